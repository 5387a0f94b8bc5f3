package core

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// sys is what $SYS needs.
type sys struct {
	mu      sync.Mutex
	started time.Time
	next    time.Time // when it is published again
	sources []func(yield func(name, value string))
	last    map[string]string
	most    int // clients that were ever attached at once

	loads  []*load
	loaded time.Time // when they were last brought up to date
}

// AddSys adds values to what is published below $SYS/broker/: from yields
// them by name, such as "mqttsn/clients/asleep". It is called from Tick.
func (b *Broker) AddSys(from func(yield func(name, value string))) {
	b.sys.mu.Lock()
	defer b.sys.mu.Unlock()
	b.sys.sources = append(b.sys.sources, from)
}

// AddLoad adds how many of something there are a minute to what is published
// below $SYS/broker/load/: name is such as "bytes/received", and count how many
// there ever were. It is called from Tick.
func (b *Broker) AddLoad(name string, count func() uint64) {
	b.sys.mu.Lock()
	defer b.sys.mu.Unlock()
	b.sys.loads = append(b.sys.loads, &load{name: name, count: count})
}

// publishSys publishes what has changed since the last time, retained, if it
// is time.
func (b *Broker) publishSys(now time.Time) {
	for _, m := range b.changedSys(now) {
		if err := b.publish(m, "", "", func(error) {}); err != nil {
			b.o.Log.Warn().Err(err).Str("event", "sys_refused").Msg("$SYS could not be published")
		}
	}
}

func (b *Broker) changedSys(now time.Time) (changed []Message) {
	y := &b.sys
	y.mu.Lock()
	defer y.mu.Unlock()
	if b.o.SysInterval == 0 || now.Before(y.next) {
		return nil
	}
	y.next = now.Add(b.o.SysInterval)
	if y.last == nil {
		y.last = make(map[string]string)
	}
	note := func(name, value string) {
		if y.last[name] != value {
			y.last[name] = value
			changed = append(changed, Message{Topic: "$SYS/broker/" + name, Payload: []byte(value), Retain: true})
		}
	}
	b.eachSys(now, note)
	for _, from := range y.sources {
		from(note)
	}
	y.eachLoad(now, note)
	return changed
}

// eachSys yields core's own values under Mosquitto's names. A message that
// waits for two counts twice among those stored. The caller holds sys.mu.
func (b *Broker) eachSys(now time.Time, yield func(name, value string)) {
	s := b.Stats()
	b.sys.most = max(b.sys.most, s.Connected)
	number := func(name string, n uint64) { yield(name, strconv.FormatUint(n, 10)) }

	yield("version", b.o.Version)
	yield("uptime", fmt.Sprintf("%d seconds", int(now.Sub(b.sys.started).Seconds())))
	yield("memory/pressure", b.Pressure().String())
	yield("strain", b.Strain().String())
	number("clients/total", uint64(s.Clients))
	number("clients/connected", uint64(s.Connected))
	number("clients/active", uint64(s.Connected))
	number("clients/disconnected", uint64(s.Clients-s.Connected))
	number("clients/inactive", uint64(s.Clients-s.Connected))
	number("clients/maximum", uint64(b.sys.most))
	number("clients/expired", s.Expired)
	number("messages/stored", uint64(s.Retained+s.Waiting+s.Inflight))
	number("messages/inflight", uint64(s.Inflight))
	number("publish/messages/received", s.Received.Messages)
	number("publish/messages/sent", s.Sent.Messages)
	number("publish/messages/dropped", s.Dropped.Total())
	number("publish/bytes/received", s.Received.Bytes)
	number("publish/bytes/sent", s.Sent.Bytes)
	number("subscriptions/count", uint64(s.Subscriptions))
	number("shared_subscriptions/count", uint64(s.Shared))
	number("retained messages/count", uint64(s.Retained))
	number("store/messages/count", uint64(s.Retained+s.Waiting+s.Inflight))
	number("store/messages/bytes", uint64(s.RetainedBytes+s.WaitingBytes))
}
