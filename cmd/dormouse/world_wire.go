package main

import (
	"context"
	"net/netip"

	"dormouse/mqttsn/transport"
)

// A wire is the gateway's end of a network on which nothing is lost or takes
// time: what is sent lies there until it is fetched. The radio, which loses and
// takes time, is the sensors'.
type wire struct {
	sent   []letter
	octets []byte
	read   int // how many of sent have been fetched
}

type letter struct {
	to         netip.AddrPort
	start, end int // in octets
}

// Serve waits for ctx to end: what is received is handed to the gateway.
func (w *wire) Serve(ctx context.Context, _ func([]transport.Datagram)) error {
	<-ctx.Done()
	return nil
}

// Send puts the datagrams down.
func (w *wire) Send(batch []transport.Datagram) error {
	if w.read > 0 && w.read == len(w.sent) {
		w.sent, w.octets, w.read = w.sent[:0], w.octets[:0], 0
	}
	for _, d := range batch {
		start := len(w.octets)
		w.octets = append(w.octets, d.Buf...)
		w.sent = append(w.sent, letter{d.Peer.Addr, start, len(w.octets)})
	}
	return nil
}

// fetch yields what lies there, once. It is good until the next Send.
func (w *wire) fetch(yield func(netip.AddrPort, []byte) bool) {
	for w.read < len(w.sent) {
		l := w.sent[w.read]
		w.read++
		if !yield(l.to, w.octets[l.start:l.end:l.end]) {
			return
		}
	}
}
