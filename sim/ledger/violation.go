package ledger

import "time"

// A Rule is an invariant. Its text is the label of a metric.
type Rule string

// The rules.
const (
	Balance       Rule = "balance"        // sent = acknowledged + timed out + refused + in flight
	LostReport    Rule = "lost_report"    // what was acknowledged reaches the subscriber
	DoubledReport Rule = "doubled_report" // QoS 2 once; QoS 0 and -1 no more often than the radio carried it
	StrangeReport Rule = "strange_report" // nothing comes that was not sent
	LostCommand   Rule = "lost_command"   // what the broker acknowledged reaches the device
	DoubledCmd    Rule = "doubled_command"
	SleeperHeard  Rule = "datagram_to_sleeper"
	EarlyPingresp Rule = "early_pingresp" // PINGRESP comes after the last buffered message
	LostWill      Rule = "lost_will"      // a will is published for a device that is lost
	FalseWill     Rule = "false_will"     // and for no other, and once
)

// A Violation is one invariant broken, once.
type Violation struct {
	Rule   Rule
	At     time.Duration // since the start of the run
	Group  string
	Device int      // in its group
	Text   string   // what happened, and what should have
	Trace  []string // the last that the device and the gateway said, oldest first
}
