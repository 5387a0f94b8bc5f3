package drive

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"net/netip"
	"testing"
	"time"

	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/udp"
	"dormouse/sim/workload"
)

// sensors is a plan of devices that report so often, and are told something
// now and then, over a radio that loses a share of the datagrams.
func sensors(count int, every, run time.Duration, loss float64) *sim.Plan {
	link := radio.Link{Loss: radio.Loss{Mean: loss}, Latency: radio.Delay{Mean: 10 * time.Millisecond}}
	return &sim.Plan{
		Name: "test",
		Seed: 1,
		Groups: []*sim.Group{{
			Name:     "meters",
			Count:    count,
			ClientID: "meter-%i",
			Firmware: sim.Full,
			Client:   client.DefaultConfig(),
			Topics:   []sim.Topic{{Name: "dev/%i/temp"}},
			Workload: workload.Config{
				Reports: workload.Reports{Every: every, QoS: 1, Payload: payload.Config{Format: payload.Fixed, Size: 20}},
				Commands: workload.Commands{Every: 5 * every, Topic: "dev/%i/set", QoS: 0,
					Payload: payload.Config{Format: payload.Fixed, Size: 20}},
			},
			Radio: radio.Config{Up: link, Down: link},
		}},
		Stages: []sim.Stage{{Name: "all", For: run}},
		Settle: time.Minute,
	}
}

// recording hashes what reaches the gateway, and when.
func recording(h hash.Hash64) func(clock.Time, netip.AddrPort, []byte) {
	return func(now clock.Time, from netip.AddrPort, b []byte) {
		binary.Write(h, binary.BigEndian, now.Sub(Start))
		h.Write([]byte(from.String()))
		h.Write(b)
	}
}

// TestVirtualFleet runs real devices on a bad radio against a small gateway:
// all that was acknowledged arrives, no invariant breaks, and the same seed
// gives the same datagrams at the same times.
func TestVirtualFleet(t *testing.T) {
	seen := make(map[uint64]string)
	for _, seed := range []uint64{1, 1, 2} {
		h := fnv.New64a()
		w := newVillage()
		w.record = recording(h)
		p := sensors(100, time.Minute, time.Hour, 0.2)
		p.Seed = seed
		out, err := Virtual(t.Context(), p, w, Options{})
		if err != nil {
			t.Fatal(err)
		}
		u, d := out.Final.Groups[0].Ledger.Uplink, out.Final.Groups[0].Ledger.Downlink
		if u.Sent < 5500 || u.Received < u.Acknowledged || u.Missing != 0 || u.InFlight != 0 {
			t.Errorf("uplink %+v; want about 6,000, and all that was acknowledged received", u)
		}
		if d.Delivered < 500 {
			t.Errorf("downlink %+v; want most of about 1,200 delivered", d)
		}
		if out.Final.Broken != 0 {
			t.Errorf("%d invariants broken: %+v", out.Final.Broken, out.Final.Violations[0])
		}
		key := fmt.Sprintf("seed %d, %+v, %+v", seed, u, d)
		if was, ok := seen[h.Sum64()]; ok != (len(seen) == 1 && seed == 1) || ok && was != key {
			t.Errorf("%s: seen before: %v, as %s", key, ok, was)
		}
		seen[h.Sum64()] = key
	}
}

// TestWallFleet runs real devices over real UDP, told apart in each way.
func TestWallFleet(t *testing.T) {
	for _, mode := range []sim.Addressing{sim.OwnAddress, sim.OwnPort, sim.Forwarder} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			p := sensors(200, 500*time.Millisecond, 2*time.Second, 0)
			p.Groups[0].Address = mode
			p.Groups[0].Workload.Commands = workload.Commands{}
			n, err := udp.Open(udp.Config{Target: w.target()})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			served := make(chan struct{})
			starting := func() { w.serve(); close(served) }
			out, err := Wall(t.Context(), p, n, &opening{town: w, open: starting}, Options{Shards: 2})
			w.udp.Close()
			<-served
			if err != nil {
				t.Fatal(err)
			}
			u := out.Final.Groups[0].Ledger.Uplink
			if u.Sent < 600 || u.Received != u.Sent || u.Acknowledged != u.Sent {
				t.Errorf("uplink %+v; want about 800 reports, all acknowledged and received", u)
			}
			if len(w.sessions) != 200 {
				t.Errorf("the gateway saw %d peers, want 200", len(w.sessions))
			}
			if out.Final.Broken != 0 || out.Final.Shed != 0 || n.Strangers() != 0 {
				t.Errorf("%d invariants broken, %d datagrams shed, %d strange", out.Final.Broken, out.Final.Shed, n.Strangers())
			}
		})
	}
}

// An opening town serves once it knows who hears.
type opening struct {
	*town
	open func()
}

func (o *opening) Hear(f func(string, []byte, byte, bool)) {
	o.town.Hear(f)
	go o.open()
}

// BenchmarkVirtualFleet is a day of 1,000 sensors that report every quarter of
// an hour, against a gateway that costs little.
func BenchmarkVirtualFleet(b *testing.B) {
	datagrams := uint64(0)
	for b.Loop() {
		p := sensors(1000, 15*time.Minute, 24*time.Hour, 0)
		p.Groups[0].Workload.Commands.Every = 0
		out, err := Virtual(b.Context(), p, newVillage(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		datagrams += out.Final.Groups[0].Up.Datagrams + out.Final.Groups[0].Down.Datagrams
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(datagrams), "ns/datagram")
}
