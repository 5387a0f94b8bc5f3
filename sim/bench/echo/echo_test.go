package echo

import (
	"context"
	"net"
	"testing"
	"time"
)

// TestEcho: what is sent comes back to each as it was, and Serve ends when told.
func TestEcho(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	where, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- Serve(ctx, "127.0.0.1:0", func(a net.Addr) { where <- a }) }()
	to := <-where
	for _, said := range []string{"a report", "", "another, which is longer"} {
		c, err := net.Dial("udp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(said)); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		got := make([]byte, 100)
		n, err := c.Read(got)
		if err != nil || string(got[:n]) != said {
			t.Errorf("%q comes back as %q, %v", said, got[:n], err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
