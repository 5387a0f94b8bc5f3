package session

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestRandomSchedules lives through 1,000 random lives of a client whose
// datagrams are lost, repeated and delayed, whose broker answers late, and
// checks what must hold in all of them: the peer fails if anything goes to a
// closed radio, and here
//
//   - every flush ends with exactly one PINGRESP, or is given up;
//   - there is at most one QoS 1 or 2 message outstanding, and they come in order;
//   - what the client acknowledged is not sent again, what it did not is not lost;
//   - an answer comes at most once for each time that the client asked.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { liveRandomly(t, rand.New(rand.NewPCG(seed, 1))) })
		if t.Failed() {
			return
		}
	}
}

// A life is one client of TestRandomSchedules and what it knows.
type life struct {
	*peer
	rnd     *rand.Rand
	ids     map[uint16]string // as REGISTERed
	taken   []string          // QoS 1 messages as they came, without repeats
	heard   int               // of got
	pending map[string]int    // requests of ours minus answers
	lastID  uint16
}

func liveRandomly(t *testing.T, rnd *rand.Rand) {
	p := newPeer(t)
	l := &life{peer: p, rnd: rnd, ids: map[uint16]string{}, pending: map[string]int{}}
	p.sends(connect(0), subscribe(named("#"), 2, 1)).gets("CONNACK 0 | SUBACK 0 #1 q2 rc0", Active)
	sent := 0
	for range 60 {
		switch l.rnd.IntN(10) {
		case 0:
			p.has(fmt.Sprintf("topic/%d", rnd.IntN(4)), 1, fmt.Sprint(sent))
			sent++
		case 1:
			p.b.stuck = true
		case 2, 3:
			p.b.stuck = false
			p.settle()
		case 4:
			for range rnd.IntN(12) {
				p.passes(5 * time.Second)
				l.hear(0.7)
			}
		case 5:
			l.request(sleepFor(time.Hour), "")
		case 6:
			l.request(wakeup, "PINGRESP")
		case 7:
			l.lastID++
			l.request(publish(short("up"), 1, l.lastID, "x"), "PUBACK")
		case 8:
			l.lastID++
			l.request(register(fmt.Sprintf("up/%d", rnd.IntN(5)), l.lastID), "REGACK")
		case 9:
			if rnd.IntN(8) == 0 {
				p.sends(connect(0))
			}
		}
		l.hear(0.7)
		if p.s.State() == Disconnected {
			p.s = New(mqttsn.V12, &p.cfg)
			p.sends(connect(0))
			l.hear(1)
		}
	}
	// In the end the network is good, and everything arrives.
	p.b.stuck = false
	p.settle()
	p.sends(connect(0))
	for l.hear(1) {
	}
	if len(l.taken) != sent {
		t.Log(strings.Join(p.got, "\n"))
		t.Errorf("%d of %d messages came: %v", len(l.taken), sent, l.taken)
	}
	for i, m := range l.taken {
		if m != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m)
		}
	}
	p.sends(sleepFor(time.Hour), wakeup)
	if got := strings.Join(p.got[l.heard:], " | "); got != "DISCONNECT | PINGRESP" {
		t.Errorf("at the end of the day got [%s]", got)
	}
}

// request sends a packet, perhaps twice, perhaps not at all.
func (l *life) request(k mqttsn.Packet, answer string) {
	for range []int{0, 1, 1, 1, 2}[l.rnd.IntN(5)] {
		l.pending[answer]++
		l.sends(k)
	}
}

// hear lets the client hear what was sent to it, as far as the network carries
// it, and answer. It reports whether there was anything.
func (l *life) hear(reliability float64) bool {
	l.t.Helper()
	heard := l.heard
	for l.heard < len(l.got) {
		line := l.got[l.heard]
		l.heard++
		kind, _, _ := strings.Cut(line, " ")
		switch kind {
		case "PUBACK", "REGACK", "PINGRESP":
			if l.pending[kind]--; l.pending[kind] < 0 {
				l.t.Errorf("%s without a request", line)
			}
		}
		if l.rnd.Float64() >= reliability {
			continue
		}
		var topicID, id uint16
		var name, payload string
		switch kind {
		case "REGISTER":
			if _, err := fmt.Sscanf(strings.Replace(line, "=", " ", 1), "REGISTER %s %d #%d", &name, &topicID, &id); err != nil {
				l.t.Fatal(line, err)
			}
			if old, ok := l.ids[topicID]; ok && old != name {
				l.t.Errorf("id %d means %s and %s", topicID, old, name)
			}
			l.ids[topicID] = name
			l.sends(regack(topicID, id, 0))
		case "PUBLISH":
			if _, err := fmt.Sscanf(strings.Replace(line, " dup", "", 1), "PUBLISH %d q1 #%d %s", &topicID, &id, &payload); err != nil {
				l.t.Fatal(line, err)
			}
			if l.ids[topicID] == "" {
				l.t.Errorf("%s before its REGISTER", line)
			}
			if n := len(l.taken); n == 0 || l.taken[n-1] != payload {
				l.taken = append(l.taken, payload)
			}
			l.sends(puback(topicID, id, 0))
		}
	}
	return l.heard > heard
}
