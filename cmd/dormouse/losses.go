package main

import (
	"context"
	"time"

	"dormouse/cmd/dormouse/config"
)

// Losses are datagrams of a front that found no room: their senders repeat
// them, but late.
type losses struct {
	buffer uint64 // in the kernel's receive buffers
	inbox  uint64 // at the shards
}

func (f *front) losses() losses { return losses{f.conn.Lost(), f.Overflow()} }

// tellOfLosses says in the log what each front has lost since this was last
// asked.
func (s *server) tellOfLosses() {
	for _, f := range s.fronts {
		now, before := f.losses(), f.lost
		f.lost = now
		if now == before {
			continue
		}
		s.log.Warn().Str("event", "datagrams_lost").Str("component", "mqttsn").Str("listener", f.listener).
			Uint64("buffer_full", now.buffer-before.buffer).Uint64("inbox_full", now.inbox-before.inbox).
			Msg("more came at once than there is room for; raise recv_buffer of the listener if its buffer was full, and add cores if an inbox was")
	}
}

// watchLosses does so every ten seconds until ctx is done.
func (s *server) watchLosses(ctx context.Context) {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.tellOfLosses()
		case <-ctx.Done():
			return
		}
	}
}

// warnOfBuffer says so if the kernel has granted the sockets of f less than l
// asks for, which only a privileged process gets past.
func (s *server) warnOfBuffer(f *front, l *config.Listener) {
	granted, err := f.conn.ReceiveBuffer()
	if granted /= 2; err == nil && granted < int(l.RecvBuffer) { // the kernel doubles what it is asked for
		s.log.Warn().Str("event", "recv_buffer_limited").Str("component", "mqttsn").Str("listener", l.Name).
			Int("asked", int(l.RecvBuffer)).Int("granted", granted).
			Msg("the system grants a smaller receive buffer than recv_buffer asks for; raise net.core.rmem_max, or let the server have CAP_NET_ADMIN")
	}
}
