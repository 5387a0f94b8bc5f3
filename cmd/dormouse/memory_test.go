package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
	"dormouse/core"
)

func TestMemoryPressure(t *testing.T) {
	const none, soft, hard = core.NoPressure, core.Soft, core.Hard
	for _, tt := range []struct {
		soft, hard   uint64 // percent
		before       core.Pressure
		kept, mapped uint64 // of 1000
		want         core.Pressure
	}{
		{75, 90, none, 749, 749, none},
		{75, 90, none, 750, 800, soft},
		{75, 90, none, 400, 800, none}, // garbage is the collector's concern
		{75, 90, none, 400, 900, hard}, // unless it cannot cope
		{75, 90, soft, 900, 900, hard},
		{75, 90, hard, 800, 851, hard}, // not much better yet
		{75, 90, hard, 800, 849, soft},
		{75, 90, hard, 600, 600, none},
		{75, 90, soft, 701, 800, soft},
		{75, 90, soft, 699, 800, none},
		{0, 90, none, 899, 899, none},
		{75, 0, none, 999, 2000, soft},
		{0, 0, none, 2000, 2000, none},
	} {
		m := &memory{bound: 1000, soft: tt.soft, hard: tt.hard}
		if got := m.pressure(tt.before, footprint{kept: tt.kept, mapped: tt.mapped}); got != tt.want {
			t.Errorf("%d/%d %%, before %v: %d kept and %d mapped of 1000: %v, want %v",
				tt.soft, tt.hard, tt.before, tt.kept, tt.mapped, got, tt.want)
		}
	}
	m := &memory{soft: 1, hard: 1}
	if got := m.pressure(none, footprint{kept: 1 << 40, mapped: 1 << 40}); got != none {
		t.Errorf("of who knows how much: %v", got)
	}
}

func TestMemoryLimit(t *testing.T) {
	for hard, want := range map[uint64]int64{90: 800, 0: 800, 50: 450} {
		m := &memory{bound: 1000, hard: hard}
		if got := m.limit(); got != want {
			t.Errorf("hard at %d %%: the collector keeps to %d of 1000, want %d", hard, got, want)
		}
	}
}

func TestMemoryBound(t *testing.T) {
	const kB = 1 << 10
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"nothing is known", nil, 0},
		{"machine", map[string]string{"proc/meminfo": "MemTotal:       1000 kB\nMemFree: 1 kB\n"}, 1000 * kB},
		{"version 2", map[string]string{
			"proc/meminfo":                     "MemTotal: 1000 kB\n",
			"proc/self/cgroup":                 "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max":     "max\n",
			"sys/fs/cgroup/a/memory.max":       "512000\n",
			"sys/fs/cgroup/other/memory.max":   "1\n",
			"sys/fs/cgroup/memory/a/limit.txt": "1\n",
		}, 512000},
		{"version 2 in a container", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n",
		}, 4096},
		{"version 1", map[string]string{
			"proc/meminfo":     "MemTotal: 1000 kB\n",
			"proc/self/cgroup": "5:cpu,memory:/a\n3:cpu:/c\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "65536\n",
			"sys/fs/cgroup/memory/c/memory.limit_in_bytes": "1\n",
		}, 65536},
		{"more than the machine has", map[string]string{
			"proc/meminfo": "MemTotal: 1 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n",
		}, kB},
		{"a group beyond sight", map[string]string{
			"proc/self/cgroup": "0::/../../a\n", "sys/fs/cgroup/memory.max": "4096\n",
		}, 4096},
	} {
		root := fstest.MapFS{}
		for name, text := range tt.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryBound(root); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if _, err := fs.Stat(os.DirFS("/"), "proc/meminfo"); err == nil && memoryBound(os.DirFS("/")) < 1<<20 {
		t.Errorf("this machine has %d octets", memoryBound(os.DirFS("/")))
	}
}

// TestUsed: what the runtime says grows with what is allocated.
func TestUsed(t *testing.T) {
	const size = 64 << 20
	runtime.GC()
	before := used()
	ballast := bytes.Repeat([]byte("x"), size)
	runtime.GC()
	after := used()
	runtime.KeepAlive(ballast)
	for what, grown := range map[string]int64{
		"heap": int64(after.heap - before.heap), "kept": int64(after.kept - before.kept),
	} {
		if grown < size*9/10 || grown > 2*size {
			t.Errorf("%s has grown by %d, want about %d", what, grown, size)
		}
	}
	if after.mapped < after.kept {
		t.Errorf("more is kept than mapped: %+v", after)
	}
}

// TestServerShortOfMemory: a server that uses more than its share lets nobody
// in until it has room again, and says each change once.
func TestServerShortOfMemory(t *testing.T) {
	var log bytes.Buffer
	c, err := config.Load("", []string{"listeners.mqtt.address=127.0.0.1:0", "listeners.sn.address=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	b := core.New(coreOptions(c, zerolog.Nop()))
	m := newMemory(c, 1<<20, b, zerolog.New(&log))
	for i, tt := range []struct {
		bound uint64
		want  error
	}{{1 << 40, nil}, {1 << 20, core.ErrBusy}, {1 << 20, core.ErrBusy}, {1 << 40, nil}} {
		m.bound = tt.bound
		m.look(used())
		b.Open(core.Identity{ClientID: fmt.Sprint(i)}, core.SessionOptions{}, new(silent), func(_ *core.Session, _ bool, err error) {
			if !errors.Is(err, tt.want) {
				t.Errorf("client %d, of %d octets: %v, want %v", i, tt.bound, err, tt.want)
			}
		})
	}
	if n := strings.Count(log.String(), `"event":"memory_pressure"`); n != 2 {
		t.Errorf("%d lines, want two:\n%s", n, &log)
	}
	figures := map[string]string{}
	m.sys(func(name, value string) { figures[name] = value })
	if len(figures["heap/current"]) < 6 || len(figures["heap/maximum"]) < len(figures["heap/current"]) {
		t.Errorf("%v", figures)
	}
}

type silent struct{ _ int }

func (*silent) Mail()                {}
func (*silent) Kick(core.KickReason) {}

// lines passes on what is logged of one event.
type lines struct {
	event string
	seen  chan string
}

func (l lines) Write(p []byte) (int, error) {
	if strings.Contains(string(p), `"event":"`+l.event+`"`) {
		l.seen <- string(p)
	}
	return len(p), nil
}

// TestServerWatchesItsMemory from the start on.
func TestServerWatchesItsMemory(t *testing.T) {
	c, err := config.Load("", []string{"listeners.mqtt.address=127.0.0.1:0", "listeners.sn.address=127.0.0.1:0",
		"listeners.ws.address=127.0.0.1:0", "admin.enabled=false", "durability.store=memory"})
	if err != nil {
		t.Fatal(err)
	}
	log := lines{"memory_pressure", make(chan string, 100)}
	s, err := open(c, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	s.memory.bound = 1 << 20 // far less than it takes
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	s.start()
	defer s.drain(t.Context())
	if got := debug.SetMemoryLimit(-1); got != s.memory.limit() {
		t.Errorf("the collector keeps to %d, want %d", got, s.memory.limit())
	}
	select {
	case line := <-log.seen:
		if !strings.Contains(line, `"pressure":"hard"`) || s.broker.Pressure() != core.Hard {
			t.Errorf("under %v: %s", s.broker.Pressure(), line)
		}
	case <-time.After(failAfter):
		t.Error("nothing was said of memory")
	}
}
