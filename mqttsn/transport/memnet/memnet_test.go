package memnet

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

var alice = transport.Peer{Addr: netip.MustParseAddrPort("10.0.0.1:1884")}

const hour = clock.Time(time.Hour)

// texts is what a batch holds, in order.
func texts(batch []transport.Datagram) []string {
	var s []string
	for _, d := range batch {
		s = append(s, string(d.Buf))
	}
	return s
}

// received is what reaches the gateway by now.
func received(n *Net, now clock.Time) []string {
	var got []string
	n.Deliver(now, func(batch []transport.Datagram) { got = append(got, texts(batch)...) })
	return got
}

func TestPerfectNetwork(t *testing.T) {
	n := New(Config{})
	n.Advance(hour)
	octets := []byte("one")
	n.Inject(alice, octets)
	octets[0] = 'X' // the sender may use its buffer again
	n.Multicast(alice, []byte("two"))
	var got []transport.Datagram
	n.Deliver(hour, func(batch []transport.Datagram) { got = append(got, batch...) })
	want := []transport.Datagram{
		{Peer: alice, Buf: []byte("one")},
		{Peer: alice, Buf: []byte("two"), Multicast: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the gateway got %v, want %v", got, want)
	}
	if err := n.Send([]transport.Datagram{{Peer: alice, Buf: []byte("three")}}); err != nil {
		t.Error(err)
	}
	if got := n.Sent(hour); !reflect.DeepEqual(got, []transport.Datagram{{Peer: alice, Buf: []byte("three")}}) {
		t.Errorf("the peers got %v", got)
	}
	if got := n.Sent(hour); got != nil {
		t.Errorf("the peers got %v again", got)
	}
	n.Deliver(hour, func([]transport.Datagram) { t.Error("sink was called with nothing") })
	if next := n.Next(); next != 0 {
		t.Errorf("Next is %v on an empty network", next)
	}
}

func TestLatency(t *testing.T) {
	n := New(Config{Up: Link{Latency: time.Second}, Down: Link{Latency: 2 * time.Second}})
	n.Advance(hour)
	n.Inject(alice, []byte("a"))
	n.Send([]transport.Datagram{{Peer: alice, Buf: []byte("b")}})
	if next := n.Next(); next != hour.Add(time.Second) {
		t.Errorf("Next is %v, want a second on", next.Sub(hour))
	}
	if got := received(n, hour.Add(time.Second-1)); got != nil {
		t.Errorf("the gateway got %q a moment early", got)
	}
	if got := received(n, hour.Add(time.Second)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the gateway got %q after a second", got)
	}
	n.Advance(hour) // time does not go back
	n.Inject(alice, []byte("c"))
	if next := n.Next(); next != hour.Add(2*time.Second) {
		t.Errorf("Next is %v, want two seconds on", next.Sub(hour))
	}
	if got := texts(n.Sent(hour.Add(2 * time.Second))); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the peers got %q after two seconds", got)
	}
}

// carry sends 10,000 numbered datagrams up, 1 ms apart, and returns what
// arrived, in order.
func carry(seed uint64, up Link) (got []int, trace []Event) {
	n := New(Config{Seed: seed, Up: up, Trace: 100_000})
	now := hour
	for i := range 10_000 {
		n.Advance(now)
		n.Inject(alice, fmt.Append(nil, i))
		for _, s := range received(n, now) {
			var x int
			fmt.Sscan(s, &x)
			got = append(got, x)
		}
		now = now.Add(time.Millisecond)
	}
	for _, s := range received(n, now.Add(time.Hour)) {
		var x int
		fmt.Sscan(s, &x)
		got = append(got, x)
	}
	trace, _ = n.Trace()
	return got, trace
}

// TestProbabilities: each trouble happens about as often as it should, by
// itself, and the trace says so.
func TestProbabilities(t *testing.T) {
	near := func(what string, got int, want float64) {
		t.Helper()
		if d := float64(got) - want; d < -300 || d > 300 {
			t.Errorf("%s: %d of 10,000, want about %v", what, got, want)
		}
	}
	count := func(trace []Event, f Fate) (n int) {
		for _, e := range trace {
			if e.Fate == f {
				n++
			}
		}
		return n
	}

	got, trace := carry(1, Link{Loss: 0.2})
	near("not lost", len(got), 8000)
	if len(got) != 10_000-count(trace, Lost) || count(trace, Arrived) != len(got) || !slices.IsSorted(got) {
		t.Errorf("%d arrived, in order: %v; the trace says %d lost", len(got), slices.IsSorted(got), count(trace, Lost))
	}

	got, trace = carry(1, Link{Duplication: 0.1})
	near("with duplicates", len(got), 11_000)
	if len(got) != 10_000+count(trace, Duplicated) || !slices.IsSorted(got) {
		t.Errorf("%d arrived, in order: %v; the trace says %d duplicated", len(got), slices.IsSorted(got), count(trace, Duplicated))
	}

	got, trace = carry(1, Link{Reordering: 0.1, Detour: 20 * time.Millisecond})
	overtaken := 0
	for i, x := range got[:len(got)-1] {
		if slices.Min(got[i+1:min(len(got), i+30)]) < x {
			overtaken++
		}
	}
	near("held back", count(trace, HeldBack), 1000)
	if len(got) != 10_000 || overtaken == 0 {
		t.Errorf("%d arrived, %d out of order", len(got), overtaken)
	}
}

// TestSeed: the same seed is the same network, another is another.
func TestSeed(t *testing.T) {
	bad := Link{Loss: 0.2, Duplication: 0.1, Reordering: 0.1, Latency: time.Millisecond, Detour: 10 * time.Millisecond}
	a, _ := carry(1, bad)
	b, _ := carry(1, bad)
	c, _ := carry(2, bad)
	if !slices.Equal(a, b) {
		t.Error("two runs of one seed differ")
	}
	if slices.Equal(a, c) {
		t.Error("two seeds give the same run")
	}
}

// TestDirectionsAreIndependent: traffic one way does not change what becomes
// of the other's.
func TestDirectionsAreIndependent(t *testing.T) {
	run := func(chatty bool) []string {
		lossy := Link{Loss: 0.5}
		n := New(Config{Seed: 7, Up: lossy, Down: lossy})
		for i := range 100 {
			n.Inject(alice, []byte{byte('a' + i%26)})
			if chatty {
				n.Send([]transport.Datagram{{Peer: alice, Buf: []byte("x")}})
			}
		}
		return received(n, hour)
	}
	if !slices.Equal(run(false), run(true)) {
		t.Error("what was sent down changed what arrived above")
	}
}

func TestTrace(t *testing.T) {
	var seen []Event
	n := New(Config{
		Up:      Link{Latency: time.Second},
		Down:    Link{Loss: 1},
		Trace:   3,
		Observe: func(e Event) { seen = append(seen, e) },
	})
	n.Advance(hour)
	n.Inject(alice, []byte("up"))
	n.Send([]transport.Datagram{{Peer: alice, Buf: []byte("down")}})
	if _, complete := n.Trace(); !complete {
		t.Error("the trace is not complete though it fits")
	}
	received(n, hour.Add(time.Second))
	want := []Event{
		{hour, Up, Sent, alice, []byte("up")},
		{hour, Down, Sent, alice, []byte("down")},
		{hour, Down, Lost, alice, []byte("down")},
		{hour.Add(time.Second), Up, Arrived, alice, []byte("up")},
	}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("observed %v\nwant %v", seen, want)
	}
	if got, complete := n.Trace(); !reflect.DeepEqual(got, want[:3]) || complete {
		t.Errorf("trace is %v, complete: %v\nwant %v and not complete", got, complete, want[:3])
	}
	if got, want := want[2].String(), "1h0m0s 10.0.0.1:1884 down lost 646f776e"; got != want {
		t.Errorf("an event prints as %s, want %s", got, want)
	}
}

func TestUnderWayIsBounded(t *testing.T) {
	refused := 0
	n := New(Config{Up: Link{Latency: time.Second}, Observe: func(e Event) {
		if e.Fate == Refused {
			refused++
		}
	}})
	for range MaxUnderWay + 5 {
		n.Inject(alice, nil)
	}
	if got := len(received(n, hour)); got != MaxUnderWay || refused != 5 {
		t.Errorf("%d arrived and %d were refused; want %d and 5", got, refused, MaxUnderWay)
	}
}

// inbox is a sink, and what has come into it since it was last asked.
func inbox() (sink func([]transport.Datagram), got func() []string) {
	var mu sync.Mutex
	var in []string
	sink = func(batch []transport.Datagram) {
		mu.Lock()
		defer mu.Unlock()
		in = append(in, texts(batch)...)
	}
	got = func() []string {
		mu.Lock()
		defer mu.Unlock()
		taken := in
		in = nil
		return taken
	}
	return sink, got
}

// TestServeOnAClock: under goroutines, datagrams arrive by themselves when
// their time has come, and cancelling stops Serve.
func TestServeOnAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n := New(Config{
			Up:    Link{Latency: time.Second},
			Clock: func() clock.Time { return hour.Add(time.Since(began)) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		sink, got := inbox()
		done := make(chan error)
		go func() {
			done <- n.Serve(ctx, sink)
		}()
		n.Inject(alice, []byte("a"))
		time.Sleep(time.Second / 2)
		n.Inject(alice, []byte("b"))
		time.Sleep(time.Second/2 - 1)
		synctest.Wait()
		if got := got(); got != nil {
			t.Errorf("got %q a moment early", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := got(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q after a second", got)
		}
		time.Sleep(time.Second / 2)
		synctest.Wait()
		if got := got(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("got %q after one and a half", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// TestServeWithoutAClock: what arrives at once needs no clock, and what does
// not arrives when somebody tells the time.
func TestServeWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Up: Link{Latency: time.Second}})
		sink, got := inbox()
		go n.Serve(t.Context(), sink)
		n.Advance(hour)
		n.Inject(alice, []byte("a"))
		synctest.Wait()
		if got := got(); got != nil {
			t.Errorf("got %q before its time", got)
		}
		n.Advance(hour.Add(time.Second))
		synctest.Wait()
		if got := got(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q when told the time", got)
		}
	})
}
