//go:build !race

// A million datagrams, in one goroutine.

package gateway

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
)

// A crowd is sleepers that have something to report again and again, at a
// shard that takes its time. Who gets no answer repeats what it said, and in the
// end connects again: the more goes unanswered, the more comes.
type crowd struct {
	*slowWorld
	random    *rand.Rand
	all       []crowdling
	every     time.Duration // each has something to report; zero: nobody has
	heavy     time.Duration // what a datagram takes that is dealt with; CONNECT takes thrice that, one that is dropped a tenth
	says      []transport.Datagram
	acked     int // reports
	disturbed int // datagrams to who sleeps
}

const (
	crowdHeavy = time.Millisecond
	crowdRetry = 10 * time.Second // T_RETRY
	crowdTries = 5                // 1 + N_RETRY
)

// A crowdling wakes to report and to ask for its messages. It does one thing
// after the other.
type crowdling struct {
	does   deed
	tries  int
	id     uint16
	again  clock.Time // it says that again then
	due    clock.Time // there is something to report next
	active bool       // it has connected, and is to be told that it may sleep
}

// A deed is what a crowdling waits to be answered.
type deed uint8

const (
	sleeping deed = iota
	reporting
	pinging
	connecting
	subscribing
	registering
	retiring
)

// answered is what ends a deed, and what comes next.
var answered = [...]struct {
	by   mqttsn.Type
	next deed
}{
	reporting:   {mqttsn.TypePuback, pinging},
	pinging:     {mqttsn.TypePingresp, sleeping},
	connecting:  {mqttsn.TypeConnack, subscribing},
	subscribing: {mqttsn.TypeSuback, registering},
	registering: {mqttsn.TypeRegack, reporting},
	retiring:    {mqttsn.TypeDisconnect, sleeping},
}

// newCrowd returns n crowdlings that sleep.
func newCrowd(t *testing.T, n int) *crowd {
	c := &crowd{slowWorld: newSlowWorld(t), random: rand.New(rand.NewPCG(1, 2)), all: make([]crowdling, n)}
	for i := range c.all {
		c.begin(i, connecting)
	}
	for c.awake() > 0 {
		c.turn()
	}
	c.heavy = crowdHeavy
	return c
}

// awake is how many have not got done.
func (c *crowd) awake() (n int) {
	for i := range c.all {
		if c.all[i].does != sleeping {
			n++
		}
	}
	return n
}

// reports has each report as often, for so long, and returns how many reports
// are acknowledged per second.
func (c *crowd) reports(every, d time.Duration) float64 {
	if c.every != every {
		c.every = every
		for i := range c.all {
			c.all[i].due = c.now.Add(time.Duration(c.random.Int64N(int64(every))))
		}
	}
	began := c.now
	c.acked = 0
	for until := c.now.Add(d); c.now < until; {
		c.turn()
	}
	return float64(c.acked) / c.now.Sub(began).Seconds()
}

// turn has them say what there is to say, gives the shard a turn and time for it,
// and lets them hear what came of it.
func (c *crowd) turn() {
	for i := range c.all {
		s := &c.all[i]
		if c.every > 0 && s.due <= c.now {
			s.due = s.due.Add(c.every)
			if s.does == sleeping { // who is not done with the last gives this one up
				c.begin(i, reporting)
			}
		}
		switch {
		case s.does == sleeping || s.again > c.now:
		case s.tries == crowdTries:
			c.begin(i, connecting)
		default:
			c.say(i)
		}
	}
	c.random.Shuffle(len(c.says), func(i, j int) { c.says[i], c.says[j] = c.says[j], c.says[i] })
	c.g.Receive(c.says)
	c.says = c.says[:0]

	n := c.g.shards[0].count
	received, late, opened := n.received.Load(), n.drops[shedLate].Load(), c.core.Stats().Opened
	c.g.shards[0].turn(c.now)
	received, late, opened = n.received.Load()-received, n.drops[shedLate].Load()-late, c.core.Stats().Opened-opened
	c.now = c.now.Add(max(5*time.Millisecond, time.Duration(received-late+2*opened)*c.heavy+time.Duration(late)*c.heavy/10))
	for _, d := range c.net.Sent(c.now) {
		p, err := mqttsn.Decode(mqttsn.V12, d.Buf)
		if err != nil {
			c.t.Fatal(err)
		}
		if ip := d.Peer.Addr.Addr().As4(); ip[0] == 11 {
			c.hear(int(binary.BigEndian.Uint32(ip[:])-11<<24), p)
		}
	}
}

func (c *crowd) begin(i int, does deed) {
	s := &c.all[i]
	s.does, s.tries, s.again, s.id = does, 0, c.now, max(1, s.id+1)
}

func (c *crowd) say(i int) {
	s := &c.all[i]
	var p mqttsn.Packet
	name := fmt.Appendf(nil, "c%d", i)
	switch s.does {
	case reporting:
		p = &mqttsn.Publish{QoS: 1, ID: s.id, DUP: s.tries > 0, Topic: mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 0x6162}, Payload: name}
	case pinging:
		p = &mqttsn.Pingreq{ClientID: name}
	case connecting:
		p = &mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Minute, ClientID: name}
	case subscribing:
		p = &mqttsn.Subscribe{QoS: 1, ID: s.id, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: append([]byte("told/"), name...)}}
	case registering:
		p = &mqttsn.Register{ID: s.id, Name: append([]byte("said/"), name...)}
	case retiring:
		p = &mqttsn.Disconnect{Duration: time.Hour}
	}
	s.tries++
	s.again = c.now.Add(crowdRetry)
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 11<<24+uint32(i))
	c.says = append(c.says, transport.Datagram{Peer: transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4(ip), 7)}, Buf: octets(p)})
}

func (c *crowd) hear(i int, p mqttsn.Packet) {
	s := &c.all[i]
	switch a := answered[s.does]; {
	case s.does == sleeping:
		c.disturbed++
		return
	case p.Type() == mqttsn.TypeDisconnect && s.does != retiring:
		c.begin(i, connecting)
		return
	case p.Type() != a.by:
		return
	}
	next := answered[s.does].next
	switch p := p.(type) {
	case *mqttsn.Puback:
		if p.ID != s.id {
			return
		}
		c.acked++
		if s.active {
			next = retiring
		}
	case *mqttsn.Connack:
		if p.Reason != mqttsn.Accepted {
			return
		}
		s.active = true
	case *mqttsn.Disconnect:
		s.active = false
	}
	c.begin(i, next)
}

// TestOverloadDoesNotFeedItself: while sensors have twice as much to say as a
// shard can do, it gets done what it can, though whatever is not answered comes
// again, and in the end as a CONNECT and all that follows it. Once it is over those who
// wait get done, too. Nobody is sent anything in its sleep.
func TestOverloadDoesNotFeedItself(t *testing.T) {
	const n = 40_000
	c := newCrowd(t, n)
	const can = float64(time.Second/crowdHeavy) / 2 // reports per second: PUBLISH and PINGREQ
	often := time.Duration(n / (2 * can) * float64(time.Second))

	if rate := c.reports(4*often, 20*time.Second); rate < 0.45*can {
		t.Fatalf("%.0f a second are acknowledged of half of what can be done", rate)
	}
	for i := range 6 {
		if rate := c.reports(often, 10*time.Second); rate < 0.6*can {
			t.Errorf("%d s after twice as much came as can be done %.0f a second are acknowledged, of %.0f", 10*(1+i), rate, can)
		}
	}
	// As much again has been left undone by now, for which there is the other half.
	for i := range 10 {
		if rate := c.reports(4*often, 30*time.Second); rate < 0.3*can {
			t.Errorf("%d s after it was over %.0f a second are acknowledged, of %.0f", 30*(1+i), rate, can)
		}
	}
	if left := c.awake(); left > n/100 || c.disturbed > 0 {
		t.Errorf("%d still wait for an answer; sleepers are sent %d datagrams", left, c.disturbed)
	}
}
