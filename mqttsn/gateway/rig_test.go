package gateway

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"dormouse/bridge"
	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// A world is the whole front end on a real broker and a network in memory, in
// virtual time and on one goroutine.
type world struct {
	t       testing.TB
	now     clock.Time
	net     *memnet.Net
	under   transport.Transport // what the gateway has of it; nil: net itself
	core    *core.Broker
	g       *Gateway
	skew    time.Duration // of the wall clock
	options core.Options
	config  Config
	disk    *disk              // nil: the broker's store answers at once
	hears   map[string]*sensor // by source
	notices []Notice
}

// beginning is when every world does: not at zero, which means never.
const beginning = clock.Time(time.Hour)

// newWorld returns a world whose configuration is the default one but for
// what change makes of it: it has three shards and trusts the test's networks.
func newWorld(t testing.TB, change func(*Config)) *world {
	return newWorldOn(t, memnet.Config{}, nil, change)
}

// newWorldOn is newWorld on a network, and on a disk unless that is nil.
func newWorldOn(t testing.TB, net memnet.Config, d *disk, change func(*Config)) *world {
	w := &world{t: t, now: beginning, net: memnet.New(net), disk: d, hears: make(map[string]*sensor)}
	w.net.Advance(w.now)
	o := core.DefaultOptions()
	if d != nil {
		o.Store = d
	}
	o.SysInterval = 0
	o.Retained.PerPublisher = o.Retained.Messages // few publishers say much
	o.Now = w.wall
	w.options = o

	c := DefaultConfig()
	c.Shards = 3
	c.Forwarders = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	c.Search.Allow = c.Forwarders
	c.Strangers.ResponsesPerPrefix, c.Strangers.Connects = 1e6, 1e6
	c.Session.RetryJitter = 0 // so that it is plain when
	c.Log = func(n Notice) { w.notices = append(w.notices, n) }
	c.Wall = w.wall
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	w.config = c
	w.start()
	return w
}

// start makes a broker and a gateway, which go on where those before were.
func (w *world) start() {
	w.prepare()
	w.open()
}

// prepare is start until the gateway is there, and knows nobody.
func (w *world) prepare() {
	w.core = core.New(w.options)
	if err := w.core.Restore(); err != nil {
		w.t.Fatal(err)
	}
	var under transport.Transport = w.net
	if w.under != nil {
		under = w.under
	}
	w.g = New(w.config, under, bridge.New(w.core, bridge.DefaultConfig()), w.now)
}

func (w *world) open() {
	w.g.TakeUp(w.now)
	w.g.SetReady(true)
}

// wall is the time of day.
func (w *world) wall() time.Time { return time.Unix(0, 0).Add(w.now.Sub(0) + w.skew) }

// settle does all that there is to do now.
func (w *world) settle() {
	w.net.Deliver(w.now, w.g.Receive)
	w.g.Step(w.now)
	w.collect()
}

// collect lets the sensors hear what has arrived.
func (w *world) collect() {
	for _, d := range w.net.Sent(w.now) {
		from := source{peer: d.Peer}
		octets := d.Buf
		if mqttsn.Encapsulated(mqttsn.V12, octets) {
			e, inner, err := mqttsn.Unwrap(mqttsn.V12, octets)
			if err != nil {
				w.t.Fatalf("the gateway sent %x: %v", d.Buf, err)
			}
			from.node, octets = string(e.Node), inner
		}
		p, err := mqttsn.Decode(mqttsn.V12, octets)
		if err != nil {
			w.t.Fatalf("the gateway sent %x: %v", d.Buf, err)
		}
		s := w.hears[from.String()]
		if s == nil {
			w.t.Fatalf("the gateway sent %v to %v, where nobody is", p, from)
		}
		s.got = append(s.got, p)
	}
}

// pass lets time pass, doing everything in its time.
func (w *world) pass(d time.Duration) {
	until := w.now.Add(d)
	for {
		w.settle()
		next := clock.Sooner(w.net.Next(), w.g.Next())
		if next == 0 || next > until {
			break
		}
		w.now = max(w.now, next)
	}
	w.now = until
	w.core.Tick(w.wall())
	w.settle()
}

// count returns the figure of that name, and label if it has one.
func (w *world) count(name, label string) uint64 {
	w.t.Helper()
	var n uint64
	found := false
	Each([]*Gateway{w.g}, func(full, _, l string, value uint64) {
		if full == "dormouse_mqttsn_"+name && strings.Contains(l, `"`+label+`"`) == (label != "") {
			n, found = n+value, true
		}
	})
	if !found {
		w.t.Fatalf("there is no figure %s %s", name, label)
	}
	return n
}

func (w *world) wantCount(name, label string, want uint64) {
	w.t.Helper()
	if got := w.count(name, label); got != want {
		w.t.Errorf("%s %s is %d, want %d", name, label, got, want)
	}
}

// A sensor is a client that says and answers what a test has it say.
type sensor struct {
	w      *world
	source source
	got    []mqttsn.Packet // heard and not yet expected
	id     uint16
}

// at returns the sensor at an address such as "10.0.0.1:7", or behind the
// forwarder there as "10.0.0.1:7/0a0b".
func (w *world) at(address string) *sensor {
	host, node, _ := strings.Cut(address, "/")
	octets, err := hex.DecodeString(node)
	if err != nil {
		w.t.Fatal(err)
	}
	from := source{transport.Peer{Addr: netip.MustParseAddrPort(host)}, string(octets)}
	if s := w.hears[from.String()]; s != nil {
		return s
	}
	s := &sensor{w: w, source: from}
	w.hears[from.String()] = s
	return s
}

// inject puts octets on the wire as they are.
func (s *sensor) inject(octets []byte) *sensor {
	if s.source.node != "" {
		wrapped, err := mqttsn.Wrap(nil, mqttsn.V12, mqttsn.Envelope{Node: []byte(s.source.node)})
		if err != nil {
			s.w.t.Fatal(err)
		}
		octets = append(wrapped, octets...)
	}
	s.w.net.Inject(s.source.peer, octets)
	return s
}

// injectHex is inject for octets in hex; blanks are ignored.
func (s *sensor) injectHex(digits string) *sensor {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		s.w.t.Fatal(err)
	}
	return s.inject(b)
}

// sends has the gateway receive p, and everything come of it.
func (s *sensor) sends(p mqttsn.Packet) *sensor {
	b, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.inject(b)
	s.w.settle()
	return s
}

// gets checks that the sensor has heard packets of these types since, in
// order, and nothing else. None: it heard nothing.
func (s *sensor) gets(types string) *sensor {
	s.w.t.Helper()
	var heard []string
	for _, p := range s.got {
		heard = append(heard, p.Type().String())
	}
	if got := strings.Join(heard, " "); got != types {
		s.w.t.Fatalf("%v heard %q, want %q", s.source, got, types)
	}
	s.got = nil
	return s
}

// last takes out the last packet heard, which must be of type P.
func last[P mqttsn.Packet](s *sensor) P {
	s.w.t.Helper()
	if len(s.got) > 0 {
		if p, ok := s.got[len(s.got)-1].(P); ok {
			s.got = s.got[:len(s.got)-1]
			return p
		}
	}
	var none P
	s.w.t.Fatalf("%v heard %v, want %T last", s.source, s.got, none)
	return none
}

// connects opens a virtual connection without a will.
func (s *sensor) connects(clientID string, clean bool, keepAlive time.Duration) *sensor {
	s.w.t.Helper()
	s.sends(&mqttsn.Connect{ProtocolID: 1, CleanSession: clean, KeepAlive: keepAlive, ClientID: []byte(clientID)})
	if a := last[*mqttsn.Connack](s); a.Reason != mqttsn.Accepted {
		s.w.t.Fatalf("CONNECT of %s is answered by %v", clientID, a.Reason)
	}
	return s
}

// subscribes returns the topic id of the answer.
func (s *sensor) subscribes(filter string, qos mqttsn.QoS) uint16 {
	s.w.t.Helper()
	s.id++
	s.sends(&mqttsn.Subscribe{QoS: qos, ID: s.id, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(filter)}})
	for i, p := range s.got {
		if a, ok := p.(*mqttsn.Suback); ok && a.ID == s.id && a.Reason == mqttsn.Accepted {
			s.got = append(s.got[:i:i], s.got[i+1:]...)
			return a.TopicID
		}
	}
	s.w.t.Fatalf("SUBSCRIBE %s is answered by %v", filter, s.got)
	return 0
}

func (s *sensor) sleeps(d time.Duration) *sensor {
	s.w.t.Helper()
	return s.sends(&mqttsn.Disconnect{Duration: d}).gets("DISCONNECT")
}

func (s *sensor) pings(clientID string) *sensor {
	return s.sends(&mqttsn.Pingreq{ClientID: []byte(clientID)})
}

// flush answers what comes until there is nothing, and returns the payloads
// of the PUBLISHes in order and the types of all else.
func (s *sensor) flush() (payloads []string, other string) {
	names := []string{}
	for len(s.got) > 0 {
		p := s.got[0]
		s.got = s.got[1:]
		switch p := p.(type) {
		case *mqttsn.Publish:
			payloads = append(payloads, string(p.Payload))
			switch p.QoS {
			case 1:
				s.sends(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
			case 2:
				s.sends(&mqttsn.Pubrec{ID: p.ID})
			}
		case *mqttsn.Pubrel:
			s.sends(&mqttsn.Pubcomp{ID: p.ID})
		case *mqttsn.Register:
			s.sends(&mqttsn.Regack{TopicID: p.TopicID, ID: p.ID})
		default:
			names = append(names, p.Type().String())
		}
	}
	return payloads, strings.Join(names, " ")
}

// wantFlush checks what a flush brings.
func (s *sensor) wantFlush(payloads, other string) {
	s.w.t.Helper()
	got, names := s.flush()
	if strings.Join(got, " ") != payloads || names != other {
		s.w.t.Errorf("%v got %q and %q, want %q and %q", s.source, got, names, payloads, other)
	}
}

// sync has the disk answer.
func (w *world) sync() {
	if w.disk != nil {
		w.disk.answer()
	}
}
