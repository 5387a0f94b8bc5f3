package admin

import "net/http"

// Reloaded is what became of a reload.
type Reloaded struct {
	Restart []string `json:"restart"` // settings that a restart would change
}

// reload has the server read its files again.
func (s *Server) reload(w http.ResponseWriter, _ *http.Request) {
	restart, err := s.o.Reload()
	if err != nil {
		answerProblem(w, http.StatusBadRequest, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer(w, &Reloaded{append([]string{}, restart...)})
}
