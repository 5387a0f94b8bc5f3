package e2e

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestNobodyReadsTheLog: the broker goes on when the program has gone that its
// output went to.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, admin: socketPath(t), ended: make(chan struct{})}
	args := []string{"serve", "--set", "admin.unix_socket=" + b.admin, "--set", "durability.store=memory"}
	for _, s := range free {
		args = append(args, "--set", s)
	}
	b.process = exec.Command(dormouse, args...)
	b.process.Stdout, b.process.Stderr = w, w
	if err := b.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.process.Wait()
		close(b.ended)
	}()
	t.Cleanup(func() {
		b.process.Process.Kill()
		<-b.ended
	})
	w.Close()
	r.SetReadDeadline(time.Now().Add(patience))
	if err := b.readAddresses(r); err != nil {
		t.Fatal(err)
	}
	b.mqtt3(t, "ann", nil)
	r.Close()
	for range 2 { // each kick is logged before it is answered
		if status, _, stderr := run(t, "kick", "--socket", b.admin, "ann"); status != 0 {
			t.Fatalf("kick ends with status %d: %s", status, stderr)
		}
		b.mqtt3(t, "ann", nil)
	}
	if status := b.stop(); status != 0 {
		t.Errorf("dormouse serve ends with status %d, want 0", status)
	}
}
