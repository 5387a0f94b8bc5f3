package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dormouse/configs/strict"
)

// TestErrors reads the scenarios of testdata/errors, all of them wrong, and
// compares what is said of each with what stands below it.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	const line = "-- says --\n"
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			yaml, want, ok := strings.Cut(string(text), line)
			if !ok {
				t.Fatalf("%s has no line %q", file, line)
			}
			_, err = Parse(name+".yaml", []byte(yaml))
			if ps := (strict.Problems)(nil); !errors.As(err, &ps) {
				t.Fatalf("the error is %v, want Problems", err)
			}
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(yaml+line+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("it says\n%s\nwant\n%s", got, want)
			}
		})
	}
}
