package gateway

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"dormouse/bridge"
	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
)

// nobody is a transport that sends nothing anywhere.
type nobody struct{ transport.Transport }

func (nobody) Send([]transport.Datagram) error { return nil }

// bare is a gateway on a broker, without a network.
func bare(b testing.TB, broker *core.Broker) *Gateway { return bareOn(b, nobody{}, broker) }

func bareOn(b testing.TB, net transport.Transport, broker *core.Broker) *Gateway {
	c := DefaultConfig()
	c.Shards = runtime.GOMAXPROCS(0)
	c.Strangers.Connects, c.Strangers.ResponsesPerPrefix = 1e9, 1e9
	if err := c.Validate(); err != nil {
		b.Fatal(err)
	}
	g := New(c, net, bridge.New(broker, bridge.DefaultConfig()), beginning)
	g.SetReady(true)
	return g
}

func (g *Gateway) hear(from transport.Peer, p mqttsn.Packet) {
	g.Receive([]transport.Datagram{{Peer: from, Buf: octets(p)}})
}

// BenchmarkSleepingSessions tells what one of 100,000 sleeping sensors costs
// in memory; see sleeperOctets.
func BenchmarkSleepingSessions(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(sleeperOctets(b, 100_000)), "B/sensor")
	}
}

// putToSleep has so many sensors connect, subscribe and fall asleep.
func (g *Gateway) putToSleep(sensors int) {
	for i := range sensors {
		from := transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1884)}
		id := fmt.Sprintf("sensor-%013d", i)
		g.hear(from, &mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(id)})
		g.hear(from, &mqttsn.Subscribe{QoS: 1, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd/" + id)}})
		g.hear(from, &mqttsn.Disconnect{Duration: time.Hour})
		if i%100 == 0 || i == sensors-1 {
			g.Step(beginning)
		}
	}
}

// BenchmarkTakeUp tells how long it takes to seat 100,000 sleeping sensors
// again after a restart, once the broker has restored its sessions.
func BenchmarkTakeUp(b *testing.B) {
	const sensors = 100_000
	o := core.DefaultOptions()
	o.Store = store.NewMemory()
	bare(b, core.New(o)).putToSleep(sensors)
	for b.Loop() {
		b.StopTimer()
		broker := core.New(o)
		if err := broker.Restore(); err != nil {
			b.Fatal(err)
		}
		g := bare(b, broker)
		runtime.GC()
		b.StartTimer()
		if n := g.TakeUp(beginning); n != sensors {
			b.Fatalf("%d of %d sensors were taken up", n, sensors)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sensors, "ns/sensor")
}
