package scenario

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write reference.yaml and the files of testdata")

// golden compares got with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has changed; it is now\n%s\nIf that is right: go test ./sim/scenario -update", file, got)
	}
}
