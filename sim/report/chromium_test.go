package report

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A browser is a page in headless Chromium, spoken to in the DevTools
// protocol. It collects what the page asks of the network, and what it
// complains of.
type browser struct {
	t        *testing.T
	conn     *websocket.Conn
	session  string
	last     int
	loaded   map[string]bool // events
	requests []string        // but for the page itself
	errors   []string        // on the console, and exceptions
}

// patience bounds each step of a browser, on a slow machine too.
const patience = 60 * time.Second

// newBrowser starts Chromium, and stops it when the test is over. The package
// is listed in the Makefile.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--headless", "--remote-debugging-port=0", "--user-data-dir=" + dir, "--no-first-run", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "about:blank"}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...)
	}
	cmd := exec.CommandContext(t.Context(), "chromium", args...)
	cmd.WaitDelay = time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; it is Debian's package chromium: make programs", err)
	}
	url := make(chan string, 1)
	go func() {
		defer close(url)
		var said []string
		for s := bufio.NewScanner(stderr); s.Scan(); {
			said = append(said, s.Text())
			if _, u, ok := strings.Cut(s.Text(), "DevTools listening on "); ok {
				url <- u
			}
		}
		if len(said) > 0 && t.Failed() {
			t.Logf("chromium: %s", strings.Join(said, "\n"))
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for range url { // until it has closed its standard error
		}
		_ = cmd.Wait()
	})
	var u string
	select {
	case u = <-url:
	case <-time.After(patience):
	}
	if u == "" {
		t.Fatal("chromium does not say where it listens")
	}
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), u, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Cleanup(func() { conn.Close() })
	b := &browser{t: t, conn: conn, loaded: map[string]bool{}}
	b.session = b.call("Target.attachToTarget", object{"targetId": b.page(), "flatten": true})["sessionId"].(string)
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.call(domain+".enable", nil)
	}
	return b
}

type object = map[string]any

func (b *browser) page() string {
	b.t.Helper()
	for _, info := range b.call("Target.getTargets", nil)["targetInfos"].([]any) {
		if info.(object)["type"] == "page" {
			return info.(object)["targetId"].(string)
		}
	}
	b.t.Fatal("chromium has no page")
	return ""
}

// call makes one call, and takes in the events that come before its answer.
func (b *browser) call(method string, params object) object {
	b.t.Helper()
	b.last++
	msg := object{"id": b.last, "method": method}
	if params != nil {
		msg["params"] = params
	}
	if b.session != "" {
		msg["sessionId"] = b.session
	}
	if err := b.conn.WriteJSON(msg); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		answer := b.read()
		if id, ok := answer["id"].(float64); !ok || int(id) != b.last {
			continue
		}
		if e, ok := answer["error"]; ok {
			b.t.Fatalf("%s: %v", method, e)
		}
		result, _ := answer["result"].(object)
		return result
	}
}

func (b *browser) read() object {
	b.t.Helper()
	if err := b.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	var msg object
	if err := b.conn.ReadJSON(&msg); err != nil {
		b.t.Fatal(err)
	}
	method, _ := msg["method"].(string)
	params, _ := msg["params"].(object)
	say := func() string { s, _ := json.Marshal(params); return string(s) }
	switch method {
	case "Network.requestWillBeSent":
		if u := params["request"].(object)["url"].(string); params["type"] != "Document" && !strings.HasPrefix(u, "data:") {
			b.requests = append(b.requests, u)
		}
	case "Runtime.consoleAPICalled":
		if k := params["type"]; k == "error" || k == "warning" || k == "assert" {
			b.errors = append(b.errors, say())
		}
	case "Runtime.exceptionThrown":
		b.errors = append(b.errors, say())
	case "Log.entryAdded":
		if l := params["entry"].(object)["level"]; l == "error" || l == "warning" {
			b.errors = append(b.errors, say())
		}
	}
	b.loaded[method] = true
	return msg
}

// open opens a file, at a width in CSS pixels, in a scheme, dark or light.
func (b *browser) open(name string, width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
	b.call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}})
	delete(b.loaded, "Page.loadEventFired")
	b.call("Page.navigate", object{"url": "file://" + name})
	for !b.loaded["Page.loadEventFired"] {
		b.read()
	}
	// The charts are drawn in a microtask after the script; two frames later they are seen.
	b.eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))`, nil)
}

// eval evaluates an expression in the page, and reads its value into to.
func (b *browser) eval(expression string, to any) {
	b.t.Helper()
	r := b.call("Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if e, ok := r["exceptionDetails"]; ok {
		b.t.Fatalf("%s: %v", expression, e)
	}
	if to == nil {
		return
	}
	v, err := json.Marshal(r["result"].(object)["value"])
	if err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal(v, to); err != nil {
		b.t.Fatalf("%s is %s: %v", expression, v, err)
	}
}

// shoot keeps a picture of the whole page with the test's artifacts.
func (b *browser) shoot(name string, width int) []byte {
	b.t.Helper()
	var height int
	b.eval("document.documentElement.scrollHeight", &height)
	r := b.call("Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": true,
		"clip": object{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}})
	return b.keep(name+".png", r["data"].(string))
}

// print keeps the page as it is on paper.
func (b *browser) print(name string) []byte {
	b.t.Helper()
	r := b.call("Page.printToPDF", object{"printBackground": true, "preferCSSPageSize": true, "paperWidth": 8.27, "paperHeight": 11.69})
	return b.keep(name+".pdf", r["data"].(string))
}

func (b *browser) keep(name, data string) []byte {
	b.t.Helper()
	octets, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), name), octets, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return octets
}

func (b *browser) String() string {
	return fmt.Sprintf("requests %q, errors %q", b.requests, b.errors)
}
