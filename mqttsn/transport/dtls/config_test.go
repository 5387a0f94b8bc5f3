package dtls

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

func TestValidate(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	zero := new(Config)
	err := zero.Validate()
	if err == nil {
		t.Fatal("the zero Config is valid")
	}
	for _, key := range []string{"dtls.max_handshakes", "dtls.handshakes_per_prefix", "dtls.handshake_rate", "dtls.handshake_rate_per_prefix",
		"prefix_v4", "prefix_v6", "dtls.handshake_timeout", "dtls.max_associations", "dtls.idle_timeout", "Name", "Clock"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("nothing is said of %s: %v", key, err)
		}
	}
}

// TestMetrics pins the names, which are an interface, and that each says what
// to make of it.
func TestMetrics(t *testing.T) {
	var got bytes.Buffer
	Each([]*Listener{newBench(t, benchConfig(nil)).Listener}, func(name, help, label string, _ uint64) {
		if !strings.HasSuffix(help, ".") {
			t.Errorf("%s: %q does not help", name, help)
		}
		fmt.Fprintln(&got, strings.TrimSpace(name+" "+label))
	})
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the names are not those of %s (%v); if that is meant: go test ./mqttsn/transport/dtls -run Metrics -update\n%s", golden, err, got.Bytes())
	}
}

// TestIdle: an association of which nothing is heard for that long ends, and
// not long after; one that speaks stays.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDrawer()
		c := benchConfig(k)
		c.Idle = time.Hour
		b := flood(t, c)
		silent, talker := b.welcomes(t, true, home), b.welcomes(t, true, home)
		b.receives(home, silent.seals("x"), talker.seals("x"))
		there := func() uint64 { return figure(b.Listener, "dormouse_dtls_associations") }
		time.Sleep(59 * time.Minute)
		b.receives(home, talker.seals("y"))
		synctest.Wait()
		if there() != 2 {
			t.Fatalf("%d of 2 are there after 59 minutes", there())
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if there() != 1 || len(k.synced) != 1 {
			t.Fatalf("%d are there after 69 minutes, and %d are kept; want 1", there(), len(k.synced))
		}
		b.receives(home, talker.seals("z"))
		if len(b.heard) != 4 {
			t.Errorf("heard %d of 4", len(b.heard))
		}
	})
}

// TestFull: there are no more associations than may be, and those that are do
// not suffer.
func TestFull(t *testing.T) {
	c := benchConfig(newDrawer())
	c.MaxAssociations = 2
	b := newBench(t, c)
	p := b.welcomes(t, true, home)
	b.welcomes(t, true, home)
	if _, err := b.enter(association{Association: record.Association{ID: newID(), HasCID: true}}, "", warrant{}); err != errFull {
		t.Errorf("a third: %v", err)
	}
	b.receives(home, p.seals("x"))
	if len(b.heard) != 1 {
		t.Error("the first is not heard")
	}
}

// TestHostile36: when the keys have sealed all that they may, the peer is told
// so with the last of the numbers, and has to begin anew. Long before the 2^48
// numbers that there are, none of them is used twice, and nobody else notices.
// A peer may use the greatest number itself: package record.
func TestHostile36(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	canary := b.welcomes(t, true, home)
	b.receives(home, canary.seals("x"))
	yellow := b.heard[0].Peer
	p := b.welcomes(t, true, home)
	b.heard = nil
	b.receives(home, p.seals("x"))
	to := b.heard[0].Peer
	b.with(to.Conn, func(p *part, slot int32) {
		a := p.at(slot)
		a.Sent, a.Reserved, a.asked = record.CCM8.Limit()-3, record.CCM8.Limit(), 0
	})
	for range 5 {
		b.Send([]transport.Datagram{{Peer: to, Buf: []byte("x")}})
	}
	var types []record.ContentType
	last := uint64(0)
	for _, d := range b.wire.take() {
		got, n := p.opens(t, d.Buf)
		types, last = append(types, got.Type), n
	}
	if fmt.Sprint(types) != "[23 23 21]" || last != uint64(record.CCM8.Limit()-1) {
		t.Errorf("it was sent records of the types %v, the last of them number %#x", types, last)
	}
	if figure(b.Listener, `dormouse_dtls_associations_ended_total{reason="exhausted"}`) != 1 || len(k.synced) != 1 {
		t.Error("it has not ended")
	}
	b.receives(home, canary.seals("y"))
	b.Send([]transport.Datagram{{Peer: yellow, Buf: []byte("z")}})
	if sent := b.wire.take(); len(b.heard) != 2 || string(b.heard[1].Buf) != "y" || len(sent) != 1 {
		t.Errorf("of the canary %v was heard, and it was sent %v", b.heard, sent)
	}
}
