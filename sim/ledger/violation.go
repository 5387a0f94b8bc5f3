package ledger

import (
	"fmt"
	"maps"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A Rule is an invariant. Its text is the label of a metric.
type Rule string

// The rules.
const (
	Balance        Rule = "balance"         // sent = acknowledged + timed out + refused + in flight
	LostReport     Rule = "lost_report"     // what was acknowledged reaches the subscriber
	DoubledReport  Rule = "doubled_report"  // QoS 2 once; QoS 0 and -1 no more often than the radio carried it
	StrangeReport  Rule = "strange_report"  // nothing comes that was not sent
	MisfiledReport Rule = "misfiled_report" // nothing comes on another device's topic
	LostCommand    Rule = "lost_command"    // what the broker acknowledged reaches the device
	DoubledCmd     Rule = "doubled_command"
	StrayCommand   Rule = "stray_command" // and no other device
	SleeperHeard   Rule = "datagram_to_sleeper"
	EarlyPingresp  Rule = "early_pingresp" // PINGRESP comes after the last buffered message
	LostWill       Rule = "lost_will"      // a will is published for a device that is lost
	FalseWill      Rule = "false_will"     // and for no other, and once
	Order          Rule = "order"          // at QoS 1 and 2 what was sent after an acknowledgement arrives after it
)

// A Violation is one invariant broken, once.
type Violation struct {
	Rule   Rule
	At     time.Duration // since the start of the run
	Group  string
	Device int      // in its group; -1: all of them
	Text   string   // what happened, and what should have
	Trace  []string // the last that the device and the gateway said, oldest first
}

// kept is how many violations are kept in full.
const kept = 100

// violate notes a violation by a device, or with -1 by the group.
func (b *Book) violate(r Rule, dev int32, now clock.Time, format string, args ...any) {
	b.byRule[r]++
	if len(b.first) == kept {
		return
	}
	v := Violation{Rule: r, At: now.Sub(b.start), Group: b.cfg.Group, Device: -1, Text: fmt.Sprintf(format, args...)}
	if dev >= 0 {
		v.Device = b.cfg.Index + int(dev)*b.cfg.Stride
		v.Trace = b.Trace(dev)
	}
	b.first = append(b.first, v)
}

// Violations returns the first hundred, and how many there were.
func (b *Book) Violations() (first []Violation, all uint64) {
	for _, n := range b.byRule {
		all += n
	}
	return b.first, all
}

// Broken returns how often each rule was broken.
func (b *Book) Broken() map[Rule]uint64 { return maps.Clone(b.byRule) }

func streamName(n uint8) string {
	if n == payload.Broadcast {
		return "broadcast"
	}
	return "command"
}
