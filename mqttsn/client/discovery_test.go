package client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// An ether drives one Finder by hand.
type ether struct {
	t   *testing.T
	f   *Finder
	now clock.Time
	out Actions
}

func newEther(t *testing.T, seed uint64, change func(*FinderConfig)) *ether {
	cfg := DefaultFinderConfig()
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return &ether{t: t, f: NewFinder(&cfg, seed), now: clock.Time(time.Hour)}
}

func (e *ether) searches() *ether {
	e.out.Reset()
	e.f.Search(e.now)
	return e
}

// hears hands on what somebody at an address has broadcast.
func (e *ether) hears(from string, p mqttsn.Packet) *ether {
	e.t.Helper()
	e.out.Reset()
	e.f.Handle(e.now, []byte(from), overTheWire(e.t, p), &e.out)
	return e
}

// waits moves time to the deadline, which must be from least to most away.
func (e *ether) waits(least, most time.Duration) *ether {
	e.t.Helper()
	at := e.f.Deadline()
	if d := at.Sub(e.now); at == 0 || d < least || d > most {
		e.t.Fatalf("deadline in %v, want %v to %v", d, least, most)
	}
	e.now = at
	e.out.Reset()
	e.f.Tick(e.now, &e.out)
	return e
}

// says checks what is broadcast, and knows what gateways there are.
func (e *ether) says(want string) *ether {
	e.t.Helper()
	var got []string
	for b, s := range e.out.Sent {
		p, err := mqttsn.Decode(mqttsn.V12, b)
		if err != nil {
			e.t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%v to %d hops", p, s.Radius))
	}
	if s := strings.Join(got, ", "); s != want {
		e.t.Errorf("says [%s], want [%s]", s, want)
	}
	return e
}

func (e *ether) knows(want string) *ether {
	e.t.Helper()
	var got []string
	for _, g := range e.f.Gateways() {
		got = append(got, fmt.Sprintf("%d@%s", g.ID, g.Address))
	}
	if s := strings.Join(got, " "); s != want {
		e.t.Errorf("knows [%s], want [%s]", s, want)
	}
	return e
}

func (e *ether) rests() *ether {
	e.t.Helper()
	if at := e.f.Deadline(); at != 0 {
		e.t.Errorf("a timer runs, %v ahead", at.Sub(e.now))
	}
	return e
}

// TestSearch waits for up to T_SEARCHGW, and then longer and longer, 1.2 §6.1.
func TestSearch(t *testing.T) {
	e := newEther(t, 1, func(c *FinderConfig) { c.Radius, c.MaxInterval = 2, 30*time.Second })
	e.rests()
	e.searches().says("").waits(0, 5*time.Second).says("SEARCHGW Radius:2 to 2 hops")
	e.searches() // it does
	for _, s := range []time.Duration{10, 20, 30, 30} {
		e.waits(s*time.Second, (s+5)*time.Second).says("SEARCHGW Radius:2 to 2 hops")
	}
	e.hears("north", &mqttsn.Gwinfo{GatewayID: 1}).knows("1@north").rests()
	if e.f.Searching() {
		t.Error("still searching")
	}
	e.f.Forget(1)
	e.knows("").searches().waits(0, 5*time.Second).says("SEARCHGW Radius:2 to 2 hops")
	e.hears("south", &mqttsn.Advertise{GatewayID: 2, Duration: time.Minute}).knows("2@south")
}

// TestSearchDelays are spread over T_SEARCHGW.
func TestSearchDelays(t *testing.T) {
	var halves [2]int
	for seed := range uint64(100) {
		e := newEther(t, seed, nil).searches()
		halves[e.f.Deadline().Sub(e.now)/(2500*time.Millisecond+1)]++
	}
	if halves[0] < 30 || halves[1] < 30 {
		t.Errorf("%v of 100 delays in each half", halves)
	}
}

// TestSearchOverheard: another's SEARCHGW does for ours, if it goes as far and
// ours has not gone yet.
func TestSearchOverheard(t *testing.T) {
	e := newEther(t, 1, nil).searches()
	e.hears("dev2", &mqttsn.Searchgw{Radius: 1}).waits(0, 5*time.Second).says("SEARCHGW Radius:0 to 0 hops")
	e = newEther(t, 1, nil).searches()
	e.hears("dev2", &mqttsn.Searchgw{}).waits(10*time.Second, 15*time.Second).says("SEARCHGW Radius:0 to 0 hops")
	before := e.f.Deadline()
	if e.hears("dev2", &mqttsn.Searchgw{}); e.f.Deadline() != before {
		t.Error("put off for ever by others who search")
	}
}

// TestGwinfoFromAClient has the address of the gateway in it.
func TestGwinfoFromAClient(t *testing.T) {
	e := newEther(t, 1, nil).searches()
	e.hears("dev2", &mqttsn.Gwinfo{GatewayID: 1, Address: []byte("north")}).knows("1@north").rests()
	e.hears("dev3", &mqttsn.Gwinfo{GatewayID: 1, Address: []byte("elsewhere")}).knows("1@north")
	e.hears("moved", &mqttsn.Gwinfo{GatewayID: 1}).knows("1@moved")
}

// TestGatewayFallsSilent and is forgotten after N_ADV periods, not before.
func TestGatewayFallsSilent(t *testing.T) {
	e := newEther(t, 1, nil)
	e.hears("north", &mqttsn.Gwinfo{GatewayID: 1}).rests() // it may not advertise at all
	e.hears("south", &mqttsn.Advertise{GatewayID: 2, Duration: time.Minute})
	e.now = e.now.Add(3 * time.Minute)
	e.f.Tick(e.now, &e.out)
	e.knows("1@north 2@south")
	e.hears("south", &mqttsn.Gwinfo{GatewayID: 2}) // it lives
	e.waits(3*time.Minute+1, 4*time.Minute).knows("1@north").rests()
}

// TestAnotherSearches: who knows a gateway says so after a while, unless
// somebody else does.
func TestAnotherSearches(t *testing.T) {
	e := newEther(t, 1, nil)
	e.hears("dev2", &mqttsn.Searchgw{Radius: 3}).rests() // we do not know either
	e.hears("north", &mqttsn.Gwinfo{GatewayID: 1})
	e.hears("dev2", &mqttsn.Searchgw{Radius: 3}).says("")
	e.waits(0, 5*time.Second).says(`GWINFO GatewayID:1 Address:"north" to 3 hops`).rests()
	e.hears("dev2", &mqttsn.Searchgw{}).hears("dev3", &mqttsn.Gwinfo{GatewayID: 1, Address: []byte("north")}).rests()

	e = newEther(t, 1, func(c *FinderConfig) { c.Silent = true })
	e.hears("north", &mqttsn.Gwinfo{GatewayID: 1}).hears("dev2", &mqttsn.Searchgw{}).rests()
}

// TestManyGateways: no more are noted than may be, whoever makes them up.
func TestManyGateways(t *testing.T) {
	e := newEther(t, 1, func(c *FinderConfig) { c.MaxGateways = 2 })
	for id := range byte(9) {
		e.hears("north", &mqttsn.Advertise{GatewayID: id, Duration: time.Minute})
	}
	e.knows("0@north 1@north")
	e.hears("north", &mqttsn.Connack{})
	if e.out.Stray != 1 {
		t.Error("CONNACK is taken for discovery")
	}
}

func TestFinderConfigIsChecked(t *testing.T) {
	for _, change := range []func(*FinderConfig){
		func(c *FinderConfig) { c.SearchDelay = -1 },
		func(c *FinderConfig) { c.AnswerDelay = time.Hour },
		func(c *FinderConfig) { c.Interval = 0 },
		func(c *FinderConfig) { c.Interval = c.MaxInterval + 1 },
		func(c *FinderConfig) { c.MaxInterval = 25 * time.Hour },
		func(c *FinderConfig) { c.Missed = 0 },
		func(c *FinderConfig) { c.MaxGateways = 257 },
	} {
		c := DefaultFinderConfig()
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%+v is valid", c)
		}
	}
}
