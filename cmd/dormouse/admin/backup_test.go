package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dormouse/core"
)

// TestBackup: who asks for a backup gets all of it, or is told that it does not:
// why, or that it breaks off.
func TestBackup(t *testing.T) {
	var made func(io.Writer) error
	path := inTemp(t)
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Log: zerolog.Nop(), Broker: core.New(core.DefaultOptions()),
		Backup: func(w io.Writer) error { return made(w) }}, public, listen(t, path))
	s.Serve()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	get := func() (string, error) {
		body, err := Call(path).Do(t.Context(), http.MethodGet, "/v1/backup", nil)
		if err != nil {
			return "", err
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		return string(b), err
	}
	large := strings.Repeat("x", 1<<20)
	made = func(w io.Writer) error { _, err := io.WriteString(w, large); return err }
	if got, err := get(); got != large || err != nil {
		t.Errorf("%d octets of a backup of %d, %v", len(got), len(large), err)
	}
	made = func(io.Writer) error { return errors.New("the disk is full") }
	if _, err := get(); err == nil || err.Error() != "the disk is full" {
		t.Errorf("refused as: %v", err)
	}
	made = func(w io.Writer) error {
		io.WriteString(w, large)
		return errors.New("the disk fails")
	}
	if got, err := get(); err == nil {
		t.Errorf("%d octets of a backup that breaks off pass for all of it", len(got))
	}
}
