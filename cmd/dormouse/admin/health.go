package admin

import (
	"fmt"
	"net/http"
	"strings"

	"dormouse/core/auth"
)

// A Check is one thing that must be well before clients are sent here.
type Check struct {
	Name    string // a stable word
	Problem string // a sentence; empty: it is well
	Note    string // a sentence on what it does not promise though it is well
}

// apart keeps web pages of others from showing or reading what is said here, and
// browsers from taking it for a page.
var apart = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Resource-Policy": "same-origin",
	"X-Content-Type-Options":       "nosniff",
}

// public is what is on HTTP: nothing that changes anything, nothing about any
// one client.
func (s *Server) public() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", s.metrics())
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w, http.StatusOK)
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/readyz", s.ready)
	mux.HandleFunc("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for header, value := range apart {
			w.Header().Set(header, value)
		}
		switch {
		case r.Host != "" && !auth.LocalHost(r.Host): // no browser leaves it out, but HTTP/1.0 may
			answerProblem(w, http.StatusForbidden, "this is for programs on this machine: call it localhost or 127.0.0.1, not %q", r.Host)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			answerProblem(w, http.StatusMethodNotAllowed, "here one only looks: %s is not GET or HEAD", r.Method)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// ready says whether clients should be sent here, and with "?verbose" of what
// that is made.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	var all, wrong, notes strings.Builder
	for _, c := range s.o.Checks() {
		if c.Problem == "" {
			fmt.Fprintln(&all, strings.TrimRight("[+] "+c.Name+": "+c.Note, ": "))
			if c.Note != "" {
				fmt.Fprintln(&notes, c.Note)
			}
			continue
		}
		fmt.Fprintf(&all, "[-] %s: %s\n", c.Name, c.Problem)
		fmt.Fprintln(&wrong, c.Problem)
	}
	status, text := http.StatusOK, "ok\n"+notes.String()
	if wrong.Len() > 0 {
		status, text = http.StatusServiceUnavailable, wrong.String()
	}
	if r.URL.Query().Has("verbose") {
		text = all.String()
	}
	plainText(w, status)
	fmt.Fprint(w, text)
}

func plainText(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
