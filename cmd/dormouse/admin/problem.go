package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// A Problem says why a request was not done, in the form of RFC 9457. As an
// error it is what to tell people.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"` // of HTTP
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

const problemType = "application/problem+json"

func answerProblem(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	answer(w, &Problem{http.StatusText(status), status, fmt.Sprintf(format, args...)})
}

// answer writes v. That it cannot be written is for the asker to notice.
func answer(w http.ResponseWriter, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

// nowhere answers for all paths that are none.
func nowhere(w http.ResponseWriter, r *http.Request) {
	answerProblem(w, http.StatusNotFound, "there is no %s %s here", r.Method, r.URL.Path)
}
