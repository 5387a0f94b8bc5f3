package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestPasswdAtOnce: who adds a user while others do loses none of theirs, also
// through a link.
func TestPasswdAtOnce(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "users"), filepath.Join(dir, "link")
	passwd := func(args ...string) {
		var errs bytes.Buffer
		if status := run(append([]string{"passwd"}, args...), strings.NewReader(""), &errs, &errs); status != 0 {
			t.Errorf("dormouse passwd %v ends with status %d: %s", args, status, &errs)
		}
	}
	passwd("create", file)
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	passwd("add", file, "leaver", "-b", "x")
	var all sync.WaitGroup
	all.Go(func() { passwd("del", file, "leaver") })
	for i := range 10 {
		all.Go(func() { passwd("add", []string{file, link}[i%2], fmt.Sprint("user", i), "-b", fmt.Sprint("secret", i)) })
	}
	all.Wait()
	for i := range 10 {
		passwd("verify", file, fmt.Sprint("user", i), "-b", fmt.Sprint("secret", i))
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 10 {
		t.Errorf("the file is %q, %v; want ten lines", text, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Errorf("beside it there are %v, %v", names, err)
	}
}
