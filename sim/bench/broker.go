package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dormouse/mqttsn/transport/dtls/handshake"
)

// A broker is one that is measured, and where it listens.
type broker struct {
	*process
	dir      string // of its data; it goes with it
	sn, mqtt netip.AddrPort
	socket   string // for its operator; Dormouse alone
	metrics  string

	secures bool             // sn speaks DTLS
	proof   *handshake.Proof // by a certificate
}

func (b *broker) stop() {
	if b.process != nil {
		b.process.stop()
	}
	os.RemoveAll(b.dir) // what is left is in the system's place for such
}

// Durability is how safe is what Dormouse acknowledges.
type Durability string

// The durabilities that are measured.
const (
	None   Durability = "none"   // nothing is kept
	Always Durability = "always" // it is on disk
)

// startDormouse starts it on free ports of loopback. The bounds that keep
// strangers from doing what a benchmark does are out of the way; its queues
// are as they come.
func (h *harness) startDormouse(d Durability) (*broker, error) {
	return h.startDormouseWith(d, nil)
}

// startDormouseWith is startDormouse with other settings, and with environment
// variables beside ours.
func (h *harness) startDormouseWith(d Durability, others []string, env ...string) (*broker, error) {
	b, err := h.newBroker()
	if err != nil {
		return nil, err
	}
	b.socket = filepath.Join(b.dir, "admin.sock")
	args := []string{"dormouse", "serve"}
	sets := []string{
		`listeners=[{name: mqtt, type: tcp, address: "127.0.0.1:0"}, {name: sn, type: mqttsn-udp, address: "127.0.0.1:0"}]`,
		"admin.listen=127.0.0.1:0",
		"admin.unix_socket=" + b.socket,
		"data_dir=" + filepath.Join(b.dir, "data"),
		"durability.store=" + map[Durability]string{None: "memory", Always: "pebble"}[d],
		"limits.max_sessions=2000000",
		"limits.connect_rate=1000000/s",
		"limits.max_connections_per_ip=100000",
		"limits.unauthenticated_udp.responses_per_prefix=1000000/s",
		"limits.retained.per_publisher=1000000",
		"limits.retained.replay_per_subscribe=1000000",
	}
	for _, set := range slices.Concat(sets, others, h.Set) {
		args = append(args, "--set", set)
	}
	ready := make(chan struct{})
	b.process, err = start("dormouse", &exec.Cmd{Path: h.Dormouse, Args: args, Env: append(os.Environ(), env...)}, func(line string) {
		switch what, where, _ := strings.Cut(line, " on "); what {
		case "MQTT":
			b.mqtt, _ = netip.ParseAddrPort(strings.TrimSuffix(where, "/tcp"))
		case "MQTT-SN", "MQTT-SN over DTLS":
			b.sn, _ = netip.ParseAddrPort(strings.TrimSuffix(where, "/udp"))
		case "Admin":
			url, _, _ := strings.Cut(where, " and ")
			b.metrics = url + "/metrics"
		case "ready":
			close(ready)
		}
	})
	if err == nil {
		err = b.await(h.ctx, ready)
	}
	if err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (h *harness) newBroker() (*broker, error) {
	dir, err := os.MkdirTemp(h.Dir, "dormouse-bench")
	return &broker{dir: dir}, err
}

// await waits until a broker serves.
func (b *broker) await(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-b.ended:
		return b.alive()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// startMochi starts the program beside this package.
func (h *harness) startMochi() (*broker, error) {
	return h.startPeer("mochi", func(at string, _ *broker) (*exec.Cmd, error) { return exec.Command(h.Mochi, at), nil })
}

// startMosquitto starts it with the same windows as ours. Its queues are
// without bounds and Nagle is off, as in the others.
func (h *harness) startMosquitto() (*broker, error) {
	return h.startPeer("mosquitto", func(at string, b *broker) (*exec.Cmd, error) {
		_, port, _ := net.SplitHostPort(at)
		file := filepath.Join(b.dir, "mosquitto.conf")
		config := "listener " + port + ` 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 64
set_tcp_nodelay true
log_dest none
`
		return exec.Command(h.Mosquitto, "-c", file), os.WriteFile(file, []byte(config), 0o644)
	})
}

// startPeer starts a broker that does not choose its own port, and waits until
// it accepts clients.
func (h *harness) startPeer(name string, command func(at string, b *broker) (*exec.Cmd, error)) (_ *broker, err error) {
	b, err := h.newBroker()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.stop()
		}
	}()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := free.Addr().String()
	free.Close()
	b.mqtt = netip.MustParseAddrPort(at)
	cmd, err := command(at, b)
	if err != nil {
		return nil, err
	}
	if b.process, err = start(name, cmd, func(string) {}); err != nil {
		return nil, err
	}
	for since := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
			return b, nil
		}
		if err := errors.Join(b.alive(), h.ctx.Err()); err != nil {
			return nil, err
		}
		if time.Since(since) > silence {
			return nil, fmt.Errorf("%s does not listen on %s: %w", name, at, err)
		}
	}
}

// startEcho starts the raw UDP echo.
func (h *harness) startEcho() (*process, netip.AddrPort, error) {
	where := make(chan netip.AddrPort, 1)
	p, err := start("echo", &exec.Cmd{Path: h.Dormouse, Args: []string{"dormouse", "bench", "echo"}}, func(line string) {
		at, _ := netip.ParseAddrPort(strings.TrimSuffix(strings.TrimPrefix(line, "Echo on "), "/udp"))
		where <- at
	})
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	select {
	case at := <-where:
		return p, at, nil
	case <-p.ended:
		return nil, netip.AddrPort{}, p.alive()
	}
}

// ask asks over the operator's socket.
func (b *broker) ask(ctx context.Context, path string, out io.Writer) error {
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", b.socket)
		},
	}}
	r, err := http.NewRequestWithContext(ctx, "GET", "http://dormouse"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	_, err = io.Copy(out, resp.Body)
	return err
}

// heap is what its live objects take in octets, after two collections: what is
// pooled survives one.
func (b *broker) heap(ctx context.Context) (int, error) {
	var text bytes.Buffer
	for range 2 {
		text.Reset()
		if err := b.ask(ctx, "/debug/pprof/heap?gc=1&debug=1", &text); err != nil {
			return 0, err
		}
	}
	_, after, _ := strings.Cut(text.String(), "# HeapAlloc = ")
	var n int
	if _, err := fmt.Sscan(after, &n); err != nil {
		return 0, fmt.Errorf("the heap of %s says no HeapAlloc: %w", b.name, err)
	}
	return n, nil
}
