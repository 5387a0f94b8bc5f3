package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dormouse/core"
)

// newServer returns a server that nobody serves, and what it is about.
func newServer(checks ...Check) *Server {
	return &Server{o: Options{
		Log:    zerolog.Nop(),
		Broker: core.New(core.DefaultOptions()),
		Checks: func() []Check { return checks },
	}}
}

func get(h http.Handler, method, url string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, url, nil))
	return w
}

// TestHostile66OtherPages: no answer can be framed, read by the page of another
// origin, or taken for a page itself, whatever it is about.
func TestHostile66OtherPages(t *testing.T) {
	h := newServer().public()
	for _, url := range []string{"/livez", "/readyz?verbose", "/metrics", "/<script>", "http://evil.example/livez"} {
		for _, method := range []string{"GET", "POST"} {
			r := httptest.NewRequest(method, url, strings.NewReader("id=x"))
			if r.Host == "example.com" {
				r.Host = "localhost"
			}
			r.Header.Set("Origin", "http://evil.example")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			for header, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
				"Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s %s: %s is %q, want %q", method, url, header, got, want)
				}
			}
			if kind := w.Header().Get("Content-Type"); strings.Contains(kind, "html") || kind == "" {
				t.Errorf("%s %s is answered by %q", method, url, kind)
			}
			if method == "POST" && w.Code < 400 {
				t.Errorf("POST to %s is answered by %d", url, w.Code)
			}
		}
	}
}

// TestHTTPIsForThisMachine: a browser here must not read us out to a page of a
// stranger who had his name bound to loopback, and nothing can be changed.
func TestHTTPIsForThisMachine(t *testing.T) {
	h := newServer().public()
	for url, want := range map[string]int{
		"http://127.0.0.1:18080/livez":            200,
		"http://127.0.0.2/livez":                  200,
		"http://[::1]:18080/livez":                200,
		"http://localhost:18080/livez":            200,
		"http://LOCALHOST/livez":                  200,
		"http://dormouse.example:18080/livez":     403,
		"http://localhost.example/livez":          403,
		"http://127.0.0.1.example/livez":          403,
		"http://192.0.2.1:18080/livez":            403,
		"http://dormouse.example/metrics":         403,
		"http://127.0.0.1/":                       404,
		"http://127.0.0.1/v1/clients":             404,
		"http://127.0.0.1/debug/pprof/":           404,
		"http://127.0.0.1/debug/pprof/heap":       404,
		"http://127.0.0.1/metrics/../v1/retained": 404,
	} {
		w := get(h, "GET", url)
		if w.Code == 301 || w.Code == 307 { // to the path without dots
			w = get(h, "GET", "http://127.0.0.1"+w.Header().Get("Location"))
		}
		if w.Code != want {
			t.Errorf("GET %s is answered by %d, want %d", url, w.Code, want)
		}
		var p Problem
		if want != 200 && (w.Header().Get("Content-Type") != problemType || json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != want || p.Detail == "") {
			t.Errorf("GET %s is answered by %s %q, want a problem", url, w.Header().Get("Content-Type"), w.Body)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if w := get(h, method, "http://localhost/readyz"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s is answered by %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	nameless := httptest.NewRequest("GET", "/readyz", nil) // HTTP/1.0, as HAProxy asks
	nameless.Host = ""
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, nameless); w.Code != 200 {
		t.Errorf("without a Host it is answered by %d", w.Code)
	}
	if w := get(h, "HEAD", "http://localhost/livez"); w.Code != 200 {
		t.Errorf("HEAD is answered by %d", w.Code)
	}
}

// TestReady says what is not well, in sentences, and on demand what is.
func TestReady(t *testing.T) {
	well, ill, worse := Check{Name: "listeners"}, Check{Name: "drain", Problem: "Leaving."}, Check{Name: "memory", Problem: "Short."}
	risky := Check{Name: "store", Note: "May be lost."}
	for _, tt := range []struct {
		checks  []Check
		status  int
		text    string
		verbose string
	}{
		{[]Check{well}, 200, "ok\n", "[+] listeners\n"},
		{[]Check{well, risky}, 200, "ok\nMay be lost.\n", "[+] listeners\n[+] store: May be lost.\n"},
		{[]Check{well, ill}, 503, "Leaving.\n", "[+] listeners\n[-] drain: Leaving.\n"},
		{[]Check{ill, well, worse}, 503, "Leaving.\nShort.\n", "[-] drain: Leaving.\n[+] listeners\n[-] memory: Short.\n"},
	} {
		h := newServer(tt.checks...).public()
		if w := get(h, "GET", "http://localhost/readyz"); w.Code != tt.status || w.Body.String() != tt.text {
			t.Errorf("with %v /readyz is %d %q, want %d %q", tt.checks, w.Code, w.Body, tt.status, tt.text)
		}
		if w := get(h, "GET", "http://localhost/readyz?verbose"); w.Code != tt.status || w.Body.String() != tt.verbose {
			t.Errorf("with %v /readyz?verbose is %d %q, want %d %q", tt.checks, w.Code, w.Body, tt.status, tt.verbose)
		}
		if w := get(h, "GET", "http://localhost/livez"); w.Code != 200 {
			t.Errorf("with %v /livez is %d", tt.checks, w.Code)
		}
	}
}

// TestMetrics: figures come out as they go in, counters told from gauges.
func TestMetrics(t *testing.T) {
	s := newServer()
	s.o.Version = "7.7"
	s.o.Figures = []Figures{func(yield func(name, help, label string, value uint64)) {
		yield("dormouse_a_total", "Of a.", `kind="x"`, 1)
		yield("dormouse_a_total", "Of a.", `kind="y"`, 2)
	}, func(yield func(name, help, label string, value uint64)) {
		yield("dormouse_b", "Of b.", "", 1<<40)
	}}
	body := get(s.public(), "GET", "http://localhost/metrics").Body.String()
	for _, want := range []string{
		"# HELP dormouse_a_total Of a.\n# TYPE dormouse_a_total counter\n" +
			"dormouse_a_total{kind=\"x\"} 1\ndormouse_a_total{kind=\"y\"} 2\n",
		"# TYPE dormouse_b gauge\ndormouse_b 1.099511627776e+12\n",
		"dormouse_build_info{goversion=\"go", `version="7.7"} 1`,
		"\ngo_goroutines ", "\nprocess_open_fds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %q:\n%s", want, body)
		}
	}
}
