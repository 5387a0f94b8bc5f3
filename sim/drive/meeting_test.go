package drive

import (
	"slices"
	"strings"
	"testing"

	"dormouse/sim"
)

// said is a datagram of a handshake whose message has that number: the number of
// its record differs when it is repeated.
func said(message, record byte) []byte {
	b := make([]byte, 40)
	b[0], b[1], b[2], b[10], b[18] = 22, 0xfe, 0xfd, record, message
	return b
}

// TestMeeting: what was said is told apart by flights, and what a slow machine had
// repeated is left out.
func TestMeeting(t *testing.T) {
	var m Meeting
	m.Say(false, said(9, 0)) // of another
	m.Say(true, said(0, 0))
	m.Say(true, said(0, 1)) // again
	m.Say(false, said(0, 0))
	m.Say(true, said(1, 2))
	m.Say(true, []byte{20, 0xfe, 0xfd, 1})
	m.Say(false, said(0, 1)) // again
	m.Say(false, said(1, 2))
	var flights []int
	for _, f := range m.flights {
		flights = append(flights, len(f.datagrams))
	}
	if want := []int{1, 1, 2, 1}; !slices.Equal(flights, want) {
		t.Fatalf("flights are of %v datagrams, want %v", flights, want)
	}
	f := &m.flights[2]
	for i, step := range []struct {
		b   []byte
		all bool
	}{
		{said(7, 7), false},
		{said(1, 2), false},
		{said(1, 2), false}, // a copy of the radio's
		{[]byte{20, 0xfe, 0xfd, 1}, true},
		{[]byte{20, 0xfe, 0xfd, 1}, false}, // of a repeat: the other is wanted again
		{said(1, 2), true},
	} {
		if all := f.hear(step.b); all != step.all {
			t.Errorf("step %d: all of it %v; want %v", i, all, step.all)
		}
	}
}

// TestNobodyKnowsTheKeys: a plan with DTLS is refused where it cannot be done.
func TestNobodyKnowsTheKeys(t *testing.T) {
	p := &sim.Plan{Name: "vault", Groups: []*sim.Group{{DTLS: &sim.DTLS{}}}}
	if _, err := Wall(t.Context(), p, nil, nil, Options{}); err == nil || !strings.Contains(err.Error(), "vault has devices that speak DTLS, and nobody knows their keys") {
		t.Errorf("by the wall clock the error is %v", err)
	}
	if _, err := Virtual(t.Context(), p, nil, Options{}); err == nil || !strings.Contains(err.Error(), "vault has devices that speak DTLS, and the gateway does not") {
		t.Errorf("in virtual time the error is %v", err)
	}
}
