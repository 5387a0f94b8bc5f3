package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// carry out a command line in this process.
func command(t testing.TB, line string, args ...any) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(strings.Fields(fmt.Sprintf(line, args...)), strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

// TestBenchMQTT: publishers and subscribers of one bench each reach each other
// through a server, and say how many messages they sent and got.
func TestBenchMQTT(t *testing.T) {
	p := serve(t)
	_, port, _ := strings.Cut(p.tcp, ":")
	figure := func(out, name string) int {
		m := regexp.MustCompile(name + ` +(\d+)`).FindStringSubmatch(out)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	type result struct {
		status    int
		out, errs string
	}
	subscribed := make(chan result)
	go func() {
		s, o, e := command(t, "bench sub -p %s -c 5 -i 1 -n 7 -t b/%%i -q 1 --duration 3s", port)
		subscribed <- result{s, o, e}
	}()
	status, out, errs := command(t, "bench pub -p %s -c 5 -i 1 -n 7 -t b/%%i -q 1 -I 20 -s 30 --duration 1s", port)
	if status != 0 || figure(out, "clients") != 5 || figure(out, "published") < 5 {
		t.Errorf("bench pub exits %d and prints\n%s%s", status, out, errs)
	}
	if !strings.Contains(errs, "published") || !strings.Contains(out, "publish    p50") {
		t.Errorf("bench pub prints\n%s%s", out, errs)
	}
	sub := <-subscribed
	if got := figure(sub.out, "received"); sub.status != 0 || got < 5 || got > figure(out, "published") {
		t.Errorf("bench sub exits %d and prints\n%s%s", sub.status, sub.out, sub.errs)
	}
	if status, out, errs := command(t, "bench conn -p %s -c 20 -R 100 --duration 100ms", port); status != 0 || figure(out, "clients") != 20 {
		t.Errorf("bench conn exits %d and prints\n%s%s", status, out, errs)
	}

	began := time.Now()
	if status, _, errs := command(t, "bench conn -p 1 -c 2 --duration 1h"); status != statusUnreachable || time.Since(began) > failAfter {
		t.Errorf("with nobody there it exits %d after %v and says %s", status, time.Since(began), errs)
	}

	for line, want := range map[string]int{
		"bench pub -h 127.0.0.1 -p 1 -t a -c 2 --duration 100ms": statusUnreachable,
		"bench conn -h 192.0.2.1 -p 1883":                        statusUsage,
		"bench conn -c 0":                                        statusUsage,
		"bench pub -t a -q 3":                                    statusUsage,
		"bench pub -t a -I 0":                                    statusUsage,
		"bench pub":                                              statusUsage,
	} {
		if status, out, errs := command(t, "%s", line); status != want || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s exits %d and prints\n%s%s; want status %d and one message", line, status, out, errs, want)
		}
	}
}
