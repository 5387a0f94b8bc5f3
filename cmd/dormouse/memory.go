package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math"
	"path"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
	"dormouse/core"
)

// A memory watches how much of what it may have this process uses, and has
// core take less when that is much.
type memory struct {
	bound      uint64 // octets; zero: nobody knows
	soft, hard uint64 // percent of bound; zero: never
	log        zerolog.Logger
	broker     *core.Broker

	peak    atomic.Uint64 // of footprint.heap
	garbage int           // as the collector was told; zero: nothing yet
}

func newMemory(c *config.Config, bound uint64, b *core.Broker, log zerolog.Logger) *memory {
	return &memory{
		bound: bound, soft: uint64(c.Limits.MemorySoft), hard: uint64(c.Limits.MemoryHard),
		log: log.With().Str("component", "memory").Logger(), broker: b,
	}
}

// A footprint is what the Go runtime has of the system's memory, in octets. That is
// the process: nothing here is allocated elsewhere. The resident set would also
// count pages of the program file, which the system takes back when it likes.
type footprint struct {
	heap   uint64 // objects, garbage among them
	kept   uint64 // what a collection would leave, going by the last one
	mapped uint64 // all but what has been given back
}

// used asks the runtime.
func used() footprint {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	n := func(i int) uint64 { return s[i].Value.Uint64() }
	mapped := n(1) - n(2)
	return footprint{heap: n(3), kept: n(0) + mapped - n(3) - n(4) - n(5), mapped: mapped}
}

// pressure is what u means after before. Garbage counts only at the hard
// bound: short of that it is the collector's to keep under its own limit.
// Pressure eases when there is a little more room than it takes to bring it
// about, so that it does not come and go.
func (m *memory) pressure(before core.Pressure, u footprint) core.Pressure {
	const margin = 5 // percent
	if m.bound == 0 {
		return core.NoPressure
	}
	eased := m.level(u, margin)
	return max(m.level(u, 0), min(before, eased))
}

// level is the pressure at u and so many percent more.
func (m *memory) level(u footprint, more uint64) core.Pressure {
	over := func(octets, percent uint64) bool {
		return percent > 0 && float64(octets)/float64(m.bound)*100+float64(more) >= float64(percent)
	}
	switch {
	case over(u.mapped, m.hard):
		return core.Hard
	case over(u.kept, m.soft):
		return core.Soft
	}
	return core.NoPressure
}

// look tells core how things stand, and the log if that has changed.
func (m *memory) look(u footprint) {
	m.peak.Store(max(m.peak.Load(), u.heap))
	before := m.broker.Pressure()
	now := m.pressure(before, u)
	if now == before {
		return
	}
	m.broker.SetPressure(now)
	e := m.log.Warn()
	if now < before {
		e = m.log.Info()
	}
	e.Str("event", "memory_pressure").Stringer("pressure", now).Uint64("kept", u.kept).
		Uint64("mapped", u.mapped).Uint64("bound", m.bound).Msg(said[now])
}

var said = [...]string{
	core.NoPressure: "memory is enough again: everything is taken",
	core.Soft:       "memory is short: QoS 0 is dropped and nobody new is let in; see limits.memory_soft",
	core.Hard:       "memory is very short: no message is taken; see limits.memory_hard",
}

// watch looks every second until ctx is done. Under pressure little is
// allocated and the collector has no cause to run, so it is asked to now and
// then: what is kept is known only since it last did.
func (m *memory) watch(ctx context.Context) {
	const step, collect = time.Second, 30
	t := time.NewTicker(step)
	defer t.Stop()
	for pressed := 0; ; {
		u := used()
		m.look(u)
		m.limitGarbage(u)
		if m.broker.Pressure() == core.NoPressure {
			pressed = 0
		} else if pressed++; pressed%collect == 0 {
			runtime.GC()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// sys yields what Mosquitto publishes of its heap.
func (m *memory) sys(yield func(name, value string)) {
	heap := used().heap
	yield("heap/current", strconv.FormatUint(heap, 10))
	yield("heap/maximum", strconv.FormatUint(max(m.peak.Load(), heap), 10))
}

// limit is what the collector is to keep the process under: 80 % of bound, and
// less than the hard bound, which garbage is not to reach.
func (m *memory) limit() int64 {
	percent := 80.0
	if m.hard > 0 {
		percent = min(percent, 0.9*float64(m.hard))
	}
	return int64(float64(m.bound) * percent / 100)
}

// limitMemory has the collector keep to the limit, unless GOMEMLIMIT says
// another.
func (m *memory) limitMemory() {
	if m.bound > 0 && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(m.limit())
	}
}

// memoryBound returns how many octets this process may have: those of the
// machine, or of the tightest of its control groups, of either version. Zero:
// the system does not say. root is its root directory.
func memoryBound(root fs.FS) uint64 {
	bound := machineMemory(root)
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":") // "4:memory:/a/b", or in version 2 "0::/a/b"
		controllers, group, _ := strings.Cut(rest, ":")
		mount, file := "sys/fs/cgroup", "memory.max"
		if controllers != "" {
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		if controllers != "" && !slices.Contains(strings.Split(controllers, ","), "memory") {
			continue
		}
		for group = path.Join("/", group); ; group = path.Dir(group) {
			if n := readOctets(root, path.Join(mount, group, file)); n > 0 && (bound == 0 || n < bound) {
				bound = n
			}
			if group == "/" {
				break
			}
		}
	}
	return bound
}

// machineMemory is MemTotal, or zero.
func machineMemory(root fs.FS) (octets uint64) {
	info, _ := fs.ReadFile(root, "proc/meminfo")
	for line := range bytes.Lines(info) {
		if _, err := fmt.Sscanf(string(line), "MemTotal: %d kB", &octets); err == nil {
			return octets << 10
		}
	}
	return 0
}

// readOctets reads a number from a file; zero if there is none, such as "max".
func readOctets(root fs.FS, name string) uint64 {
	text, _ := fs.ReadFile(root, name)
	n, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n
}
