package mqtt

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/store"
)

// twinEnv has this test binary be a twin. Its value is a setup in JSON.
const twinEnv = "MQTT_TEST_TWIN"

// TestMain has this binary be a twin if it is told so.
func TestMain(m *testing.M) {
	if text := os.Getenv(twinEnv); text != "" {
		if err := runTwin(text, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "twin:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A setup is what a scenario asks of both twins. The zero setup asks for the
// defaults.
type setup struct {
	Bare       bool
	MayPublish []string // topics; nil: all
	Log        bool     // keep a log of everything
	Queue      int      // messages that wait for one session; mochi: in flight

	// Of ours; mochi has nothing of the kind.
	ConnectTimeout time.Duration
	Retained       int           // messages of one publisher, and replayed at once
	SysInterval    time.Duration // zero: never
}

func (s *setup) mayPublish(topic string) bool {
	return s.MayPublish == nil || slices.Contains(s.MayPublish, topic)
}

// figures are what a twin says of itself.
type figures struct {
	Address string
	Log     string

	Allocated  uint64 // octets, ever
	Mallocs    uint64 // allocations, ever
	Memory     uint64 // octets of heap and stacks in use; meaningful after collect
	Goroutines int

	Connected int // clients
	Sessions  int // connected or not
	InMochi   int // clients that mochi knows of
	Queued    int // messages for sessions, in flight or not
	Dropped   int // messages for sessions, as far as that is told
	Stored    int // publishes that the store was given
	Panics    uint64
}

// What a twin can be told.
const (
	look    = "look"    // only answer
	collect = "collect" // the garbage
	hold    = "hold"    // what is written to the store
	release = "release" // what is held
	fill    = "fill"    // the store, which refuses publishes from then on
)

// runTwin is a twin: it does what it is told until it is told no more.
func runTwin(text string, in io.Reader, out io.Writer) error {
	var s setup
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	d, log := new(shelf), new(transcript)
	run := runOurs
	if s.Bare {
		run = runBare
	}
	figure, err := run(&s, d, log)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	for told := bufio.NewScanner(in); told.Scan(); {
		switch told.Text() {
		case collect:
			runtime.GC()
		case hold:
			d.hold()
		case release:
			d.release()
		case fill:
			d.fill()
		}
		f := figures{Log: log.String(), Stored: int(d.published.Load()), Goroutines: runtime.NumGoroutine()}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		f.Allocated, f.Mallocs, f.Memory = m.TotalAlloc, m.Mallocs, m.HeapAlloc+m.StackInuse
		figure(&f)
		if err := answers.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// A shelf is a disk that counts publishes and can be filled.
type shelf struct {
	disk
	published atomic.Int64
}

func (d *shelf) Write(facts ...store.Fact) error {
	if _, isPublish := facts[0].(*store.Published); isPublish {
		d.published.Add(1)
	}
	return d.disk.Write(facts...)
}

// fill has publishes refused from now on.
func (d *shelf) fill() {
	d.mu.Lock()
	d.full = true
	d.mu.Unlock()
}

// runOurs runs our broker, and returns what tells its figures.
func runOurs(s *setup, d *shelf, log *transcript) (func(*figures), error) {
	co, o := core.DefaultOptions(), DefaultOptions()
	co.Store, co.SysInterval, co.BindUsers = d, s.SysInterval, true
	co.Authorize = func(_ core.Identity, a core.Access) bool {
		return a.Do == core.ActSubscribe || s.mayPublish(a.Topic)
	}
	if s.Log {
		logTo(log)(&co, &o)
	}
	if s.Queue > 0 {
		co.Queue.Messages, co.Queue.Bytes = s.Queue, 64<<20
	}
	if s.ConnectTimeout > 0 {
		o.ConnectTimeout = s.ConnectTimeout
	}
	if s.Retained > 0 {
		co.Retained.PerPublisher, co.Retained.ReplayAtOnce = s.Retained, s.Retained
	}
	b := core.New(co)
	server := New(b, o)
	addr, err := server.Listen(ListenerConfig{Name: "twin", Address: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	go server.Serve(context.Background())
	go func() {
		for now := range time.Tick(100 * time.Millisecond) {
			b.Tick(now)
		}
	}()
	return func(f *figures) {
		n := b.Stats()
		f.Address = addr.String()
		f.Connected, f.Sessions, f.InMochi = n.Connected, n.Clients, server.mochi.Clients.Len()
		f.Queued, f.Dropped = n.Waiting+n.Inflight, int(n.Dropped.Overflow)
		f.Panics = server.Stats().Panics
	}, nil
}

// runBare runs mochi with its defaults, and returns what tells its figures.
func runBare(s *setup, d *shelf, log *transcript) (func(*figures), error) {
	o := &mochi.Options{Capabilities: mochi.NewDefaultServerCapabilities(), Logger: slog.New(slog.DiscardHandler)}
	if s.Log {
		o.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if s.Queue > 0 {
		o.Capabilities.MaximumInflight = uint16(s.Queue)
	}
	m := mochi.New(o)
	hooks := &bareHooks{setup: s, disk: d}
	if err := m.AddHook(hooks, nil); err != nil {
		return nil, err
	}
	l := listeners.NewTCP(listeners.Config{ID: "twin", Address: "127.0.0.1:0"})
	if err := m.AddListener(l); err != nil {
		return nil, err
	}
	if err := m.Serve(); err != nil {
		return nil, err
	}
	return func(f *figures) {
		f.Address = l.Address()
		f.Connected, f.Sessions = int(atomic.LoadInt64(&m.Info.ClientsConnected)), m.Clients.Len()
		f.InMochi = f.Sessions
		for _, cl := range m.Clients.GetAll() {
			f.Queued += cl.State.Inflight.Len()
		}
		f.Dropped = int(hooks.dropped.Load())
	}, nil
}

// bareHooks let everybody in and have a store, as one would write it by the
// names of mochi's hooks.
type bareHooks struct {
	mochi.HookBase
	setup   *setup
	disk    *shelf
	dropped atomic.Int64
}

func (*bareHooks) ID() string { return "twin" }

func (*bareHooks) Provides(question byte) bool {
	return slices.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish,
		mochi.OnQosPublish, mochi.OnQosDropped, mochi.OnPublishDropped}, question)
}

func (*bareHooks) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (h *bareHooks) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return !write || h.setup.mayPublish(topic)
}

// OnPublish stores a message.
func (h *bareHooks) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	return pk, h.disk.Write(new(store.Published))
}

// OnQosPublish stores a receiver's copy, and waits until that is done. It is
// called for acknowledgements, too.
func (h *bareHooks) OnQosPublish(_ *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	done := make(chan struct{})
	h.disk.Sync(func(error) { close(done) })
	<-done
}

func (h *bareHooks) OnQosDropped(*mochi.Client, packets.Packet)     { h.dropped.Add(1) }
func (h *bareHooks) OnPublishDropped(*mochi.Client, packets.Packet) { h.dropped.Add(1) }
