package admin

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/pprof"
)

// private is what is on the socket. Its paths and the shapes of its answers
// are an interface: what changes incompatibly gets a new version.
func (s *Server) private() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/clients", s.clients)
	mux.HandleFunc("GET /v1/client", s.client)
	mux.HandleFunc("POST /v1/client/kick", s.kick)
	mux.HandleFunc("GET /v1/retained", s.retained)
	mux.HandleFunc("GET /v1/retained/message", s.retainedMessage)
	mux.HandleFunc("DELETE /v1/retained", s.removeRetained)
	mux.HandleFunc("GET /v1/backup", s.backup)
	mux.HandleFunc("POST /v1/reload", s.reload)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 0) // all is in the query
		mux.ServeHTTP(w, r)
	})
}

// A list streams a JSON array, an element a line: however long it is, it is
// never in memory as a whole.
type list struct {
	out     *bufio.Writer
	encoder *json.Encoder
	any     bool
}

func newList(w http.ResponseWriter) *list {
	w.Header().Set("Content-Type", "application/json")
	l := &list{out: bufio.NewWriterSize(w, 32<<10)}
	l.encoder = json.NewEncoder(l.out)
	l.encoder.SetEscapeHTML(false)
	return l
}

// add adds an element. An error means that nobody reads on.
func (l *list) add(element any) error {
	between := ","
	if !l.any {
		between, l.any = "[", true
	}
	if _, err := l.out.WriteString(between); err != nil {
		return err
	}
	return l.encoder.Encode(element)
}

func (l *list) end() error {
	text := "]\n"
	if !l.any {
		text = "[]\n"
	}
	if _, err := l.out.WriteString(text); err != nil {
		return err
	}
	return l.out.Flush()
}

// breakOff ends an answer that cannot be made whole, so that the asker sees it.
func breakOff() { panic(http.ErrAbortHandler) }
