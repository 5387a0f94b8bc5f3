package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain has this binary be others, by the name that it is started under.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dormouse": main})
}

func TestScripts(t *testing.T) { testscript.Run(t, testscript.Params{Dir: "testdata"}) }

// TestStatus pins the exit statuses that scripts branch on.
func TestStatus(t *testing.T) {
	unreadable := t.TempDir()
	for _, tt := range []struct {
		args string
		want int
	}{
		{"version", 0},
		{"check", 0},
		{"--help", 0},
		{"check -c " + unreadable, 2},
		{"check --format json -c " + unreadable, 2},
		{"serve -c " + unreadable, 2},
		{"serve --set nonsense", 2},
		{"check --frobnicate", 2},
		{"frobnicate", 2},
	} {
		var out, errs bytes.Buffer
		if got := run(strings.Fields(tt.args), os.Stdin, &out, &errs); got != tt.want {
			t.Errorf("dormouse %s exits %d, want %d; it said %s%s", tt.args, got, tt.want, &out, &errs)
		}
	}
}
