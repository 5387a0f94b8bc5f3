package drive

import (
	"dormouse/sim"
	"dormouse/sim/udp"
)

// An outbox is datagrams that are to be sent, in order.
type outbox struct {
	waiting []parcel
	octets  []byte
	sent    int // of waiting
	batch   [chunk]udp.Datagram
}

type parcel struct {
	endpoint sim.Endpoint
	from, to int // in octets
}

func (o *outbox) len() int { return len(o.waiting) - o.sent }

func (o *outbox) add(e sim.Endpoint, b []byte) {
	if o.sent > chunk && o.sent*2 > len(o.waiting) { // rather than grow with a burst that does not end
		o.trim()
	}
	from := len(o.octets)
	o.octets = append(o.octets, b...)
	o.waiting = append(o.waiting, parcel{e, from, len(o.octets)})
}

// trim forgets what is sent.
func (o *outbox) trim() {
	first := o.waiting[o.sent].from
	o.octets = o.octets[:copy(o.octets, o.octets[first:])]
	o.waiting = o.waiting[:copy(o.waiting, o.waiting[o.sent:])]
	o.sent = 0
	for i := range o.waiting {
		o.waiting[i].from -= first
		o.waiting[i].to -= first
	}
}

// send sends up to n datagrams.
func (o *outbox) send(net Network, shard, n int) error {
	n = min(n, o.len(), len(o.batch))
	if n == 0 {
		return nil
	}
	for i, p := range o.waiting[o.sent : o.sent+n] {
		o.batch[i] = udp.Datagram{Endpoint: int32(p.endpoint), Buf: o.octets[p.from:p.to]}
	}
	if o.sent += n; o.sent == len(o.waiting) {
		o.waiting, o.octets, o.sent = o.waiting[:0], o.octets[:0], 0
	}
	return net.Send(shard, o.batch[:n])
}
