package gateway

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/transport"
)

// maxBatch bounds what is put aside before it is sent, in datagrams and octets.
const (
	maxBatch       = 256
	maxBatchOctets = 256 << 10
)

// An outbox puts datagrams aside until there are enough to be sent at once.
type outbox struct {
	transport transport.Transport
	count     *counters
	batch     []transport.Datagram
	octets    []byte
}

// add puts a packet's octets aside, in an envelope if there is a forwarder.
func (o *outbox) add(to source, radius uint8, packet []byte) {
	if len(o.batch) == maxBatch || len(o.octets)+len(packet) > maxBatchOctets {
		o.flush()
	}
	start := len(o.octets)
	if to.node != "" {
		wrapped, err := mqttsn.Wrap(o.octets, mqttsn.V12, mqttsn.Envelope{Radius: radius, Node: []byte(to.node)})
		if err != nil {
			return // a node that Unwrap has read can be written
		}
		o.octets = wrapped
	}
	o.octets = append(o.octets, packet...)
	o.batch = append(o.batch, transport.Datagram{Peer: to.peer, Buf: o.octets[start:len(o.octets):len(o.octets)]})
}

// flush sends what was put aside.
func (o *outbox) flush() {
	if len(o.batch) == 0 {
		return
	}
	if err := o.transport.Send(o.batch); err != nil {
		o.count.sendErrors.Add(1)
	}
	o.count.sent.Add(uint64(len(o.batch)))
	clear(o.batch)
	o.batch, o.octets = o.batch[:0], o.octets[:0]
}
