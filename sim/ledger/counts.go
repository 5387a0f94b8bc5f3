package ledger

// Uplink counts what devices published. Sent is always the sum of
// Acknowledged, TimedOut, Refused and InFlight; at QoS 0 and -1 a message is
// Acknowledged as soon as it has left.
type Uplink struct {
	Sent         uint64
	Acknowledged uint64
	TimedOut     uint64 // given up: it may have arrived or not
	Refused      uint64 // by the gateway, with a reason
	InFlight     uint64

	Carried    uint64 // QoS 0 and -1: of Sent, reached the gateway
	Received   uint64 // different messages that the subscriber got
	Duplicates uint64 // more copies of those
	Missing    uint64 // owed to the subscriber, and not there yet
	Forgiven   uint64 // owed, but the gateway was restarted and is known to forget
	Misfiled   uint64 // copies that came on another topic than they were sent to
}

// Downlink counts what devices were sent. A broadcast counts once for each
// device.
type Downlink struct {
	Published  uint64 // handed to the broker
	Accepted   uint64 // of those, acknowledged by the broker
	Delivered  uint64 // different messages that arrived at their device
	Duplicates uint64
	Late       uint64 // of Delivered, after their deadline
	Missing    uint64 // owed to a device, and not there yet
	Forgiven   uint64
	Astray     uint64 // copies that arrived at a device that they were not for
}

// Wills counts what was published for devices that were lost.
type Wills struct {
	Fired   uint64
	Missing uint64 // devices that are lost without a will having been published
}

// Counts is where a ledger stands.
type Counts struct {
	Uplink   Uplink
	Downlink Downlink
	Wills    Wills
}

// Add adds what another ledger counted.
func (c *Counts) Add(o *Counts) {
	c.Uplink.add(&o.Uplink)
	c.Downlink.add(&o.Downlink)
	c.Wills.Fired += o.Wills.Fired
	c.Wills.Missing += o.Wills.Missing
}

func (u *Uplink) add(o *Uplink) {
	u.Sent += o.Sent
	u.Acknowledged += o.Acknowledged
	u.TimedOut += o.TimedOut
	u.Refused += o.Refused
	u.InFlight += o.InFlight
	u.Carried += o.Carried
	u.Received += o.Received
	u.Duplicates += o.Duplicates
	u.Missing += o.Missing
	u.Forgiven += o.Forgiven
	u.Misfiled += o.Misfiled
}

func (d *Downlink) add(o *Downlink) {
	d.Published += o.Published
	d.Accepted += o.Accepted
	d.Delivered += o.Delivered
	d.Duplicates += o.Duplicates
	d.Late += o.Late
	d.Missing += o.Missing
	d.Forgiven += o.Forgiven
	d.Astray += o.Astray
}
