package admin

import (
	"net/http"
	"path/filepath"
)

// backup copies what is kept to the directory in the query, which must not
// exist, while all goes on.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	dir := r.URL.Query().Get("dir")
	switch {
	case s.o.Backup == nil:
		answerProblem(w, http.StatusConflict, "nothing is on disk: durability.store is memory")
		return
	case !filepath.IsAbs(dir):
		answerProblem(w, http.StatusBadRequest, "%q is no path from the root", dir)
		return
	}
	if err := s.o.Backup(dir); err != nil {
		answerProblem(w, http.StatusInternalServerError, "%v", err)
		return
	}
	s.o.Log.Info().Str("event", "backup_created").Str("dir", dir).Msg("an operator has made a backup")
	w.WriteHeader(http.StatusNoContent)
}
