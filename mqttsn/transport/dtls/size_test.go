//go:build !race

package dtls

import (
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// TestSize pins what an association costs: in the table at most 200 octets with
// all that finds it, beside the text of its identity; and no goroutine.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(association{}); n > 136 {
		t.Errorf("an association takes %d octets; it should be 136", n)
	}
	const n = 200_000
	b := newBench(t, benchConfig(nil))
	before, goroutines := heap(), runtime.NumGoroutine()
	for i := range uint64(n) {
		id := newID()
		a := association{Association: record.Association{ID: id, Suite: record.CCM8, HasCID: true}}
		binary.BigEndian.PutUint64(a.addr[:], i)
		if _, err := b.enter(a, "sensor", warrant{}); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(heap()-before) / n
	t.Logf("%.0f octets", each)
	if each > 200 {
		t.Errorf("an association takes %.0f octets; at most 200", each)
	}
	if more := runtime.NumGoroutine() - goroutines; more != 0 {
		t.Errorf("%d goroutines for %d associations", more, n)
	}
	runtime.KeepAlive(b)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAllocs pins that the way of a datagram in and out allocates nothing but
// what the ciphers do.
func TestAllocs(t *testing.T) {
	for name, most := range map[record.Suite]float64{record.GCM: 0, record.CCM8: 9} {
		b := newBench(t, benchConfig(nil))
		p := b.welcomes(t, true, home)
		conn := uint32(0)
		b.endThose(Idle, func(a *association, _ string) bool {
			a.Suite, a.pending, conn = name, false, a.number
			return false
		})
		p.Suite = name
		p.ciphers = p.Ciphers()
		silent := &silence{}
		b.under = silent
		const rounds = 300
		var in [rounds + 1][]byte
		for i := range in {
			in[i] = p.seals("reading 21.5")
		}
		batch := []transport.Datagram{{Peer: transport.Peer{Addr: home}}}
		out := []transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: []byte("reading 21.5")}}
		heard, i := 0, 0
		sink := func(batch []transport.Datagram) { heard += len(batch) }
		n := testing.AllocsPerRun(rounds, func() {
			batch[0].Buf = in[i]
			i++
			b.receive(batch, sink)
			b.Send(out)
		})
		if n > most || heard != rounds+1 || silent.sent != rounds+1 {
			t.Errorf("suite %d: %v allocations for a record in and one out, at most %v; %d heard, %d sent", name, n, most, heard, silent.sent)
		}
	}
}

// A silence counts what is sent.
type silence struct {
	wire
	sent int
}

func (s *silence) Send(batch []transport.Datagram) error {
	s.sent += len(batch)
	return nil
}
