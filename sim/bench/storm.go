package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn"
)

// A storm is sensors and strangers that send whether or not what they sent is
// answered, one message of QoS 1 of each sensor under way (1.2 §6.6).
type storm struct {
	*reporter
	sensors, strangers int32
	sub                *receiver
	heard0             atomic.Int64 // messages of QoS 0 that have arrived
	got                []uint32     // by sensor: the latest of QoS 1 that has arrived

	start   time.Time
	said1   []uint32        // by sensor: messages of QoS 1, and of those the last
	asked   []time.Duration // by sensor: when it sent what is not acknowledged; zero: nothing
	again   []bool          // by sensor: it has sent that more than once
	idle    []int32         // who has nothing under way
	waiting []asked         // in the order of time
	retry   time.Duration   // after so long without an answer
	acked   int             // of QoS 1, ever
	next    int32           // stranger, or who is to send QoS 0
	turn    int
	knocks  int   // of strangers, ever
	probe   int32 // the sensor that takes part in no load

	before0 int64 // of heard0, when the load began
	*load         // that is sent
}

// A load is what was sent in a while, and what came of it.
type load struct {
	qos0, qos1, strangers int
	withheld              int // of QoS 1: no sensor was free to send it
	heard0, prompt        int // arrived; acknowledged without being sent again
	refused, letIn        int // strangers
	elapsed               time.Duration
	took                  *hdrhistogram.Histogram // prompt ones, in microseconds
}

func newLoad() *load {
	return &load{took: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)}
}

func (l *load) rate() float64 { return float64(l.qos0+l.qos1+l.strangers) / l.elapsed.Seconds() }

// quantile is in milliseconds.
func (l *load) quantile(q float64) float64 { return float64(l.took.ValueAtQuantile(q)) / 1000 }

// What messages begin with: QoS 0 has nothing else, and QoS 1 the sensor and
// which of its messages it is, in four octets each.
const (
	ofQoS0 = '0'
	ofQoS1 = '1'
)

// noise is what a busy machine may make of any answer's time.
const noise = 10 * time.Millisecond

func (h *harness) newStorm(b *broker, sensors, strangers int) (*storm, error) {
	s := &storm{
		sensors: int32(sensors), strangers: int32(strangers), got: make([]uint32, sensors), start: time.Now(),
		said1: make([]uint32, sensors), asked: make([]time.Duration, sensors), again: make([]bool, sensors),
	}
	var err error
	if s.sub, err = newReader(h.ctx, b, "ingest/#", 1, s.arrived); err != nil {
		return nil, err
	}
	if s.reporter, err = newReporter(h.ctx, b, sensors, strangers); err != nil {
		s.sub.close()
		return nil, err
	}
	s.probe = s.sensors - 1
	s.idle = s.everybody()[:s.probe]
	return s, nil
}

func (s *storm) close() {
	s.reporter.close()
	s.sub.close()
}

func (s *storm) failed() error { return errors.Join(s.err, s.sub.failed()) }

// arrived is told of what the subscriber gets, by its goroutine.
func (s *storm) arrived(payload []byte) {
	if payload[0] == ofQoS0 {
		s.heard0.Add(1)
		return
	}
	e, n := binary.BigEndian.Uint32(payload[1:]), binary.BigEndian.Uint32(payload[5:])
	if n == s.got[e]+1 { // or it has come before; or one before it is missing
		atomic.StoreUint32(&s.got[e], n)
	}
}

// lost is how many messages were acknowledged and have not arrived.
func (s *storm) lost() (n int) {
	for e := range s.got {
		n += int(s.said1[e] - atomic.LoadUint32(&s.got[e]))
	}
	return n
}

// run sends for d: so many requests a second or, with zero, so many that a
// thousand or so of QoS 1 are under way. Of ten four are of QoS 1, five of
// QoS 0, and one is a stranger's CONNECT.
func (s *storm) run(d time.Duration, rate float64) *load {
	const burst, flying = 64, 1000
	s.load, s.retry = newLoad(), 10*time.Second
	s.before0 = s.heard0.Load()
	start, sent := time.Now(), 0
	for s.err == nil && s.ctx.Err() == nil && s.elapsed < d {
		for range burst {
			if rate > 0 && float64(sent) >= rate*time.Since(start).Seconds() || rate == 0 && s.flying() >= min(flying, int(s.probe)) {
				break
			}
			s.one()
			sent++
		}
		s.listen(0)
		s.elapsed = time.Since(start)
	}
	return s.load
}

// flying is how many messages of QoS 1 are under way.
func (s *storm) flying() int { return int(s.probe) - len(s.idle) }

// one sends one request.
func (s *storm) one() {
	s.turn++
	switch s.turn % 10 {
	case 0:
		s.load.strangers++
		s.knock()
	case 2, 4, 6, 8:
		s.load.qos1++
		if len(s.idle) == 0 {
			s.withheld++
			return
		}
		e := s.idle[0]
		s.idle = s.idle[1:]
		s.said1[e]++
		s.again[e] = false
		s.publish(e)
	default:
		s.next = (s.next + 1) % s.probe
		s.load.qos0++
		s.say(s.next, &mqttsn.Publish{Topic: mqttsn.Topic{ID: s.topics[s.next]}, Payload: []byte{ofQoS0}})
	}
}

// knock has a stranger connect that was never there before.
func (s *storm) knock() {
	s.knocks++
	e := s.sensors + int32(s.knocks%int(s.strangers))
	s.say(e, &mqttsn.Connect{ProtocolID: 1, CleanSession: true, KeepAlive: time.Minute, ClientID: fmt.Appendf(nil, "stranger-%d", s.knocks)})
}

// publish has e say its latest of QoS 1.
func (s *storm) publish(e int32) {
	s.asked[e] = time.Since(s.start)
	s.waiting = append(s.waiting, asked{e, s.asked[e]})
	says := binary.BigEndian.AppendUint32([]byte{ofQoS1}, uint32(e))
	says = binary.BigEndian.AppendUint32(says, s.said1[e])
	s.say(e, &mqttsn.Publish{QoS: 1, DUP: s.again[e], ID: uint16(s.said1[e]), Topic: mqttsn.Topic{ID: s.topics[e]}, Payload: says})
}

// listen hears what has come, or comes within wait, and has said again what has
// been without an answer for too long.
func (s *storm) listen(wait time.Duration) {
	s.hear(wait, s.heard)
	now := time.Since(s.start)
	for len(s.waiting) > 0 && now-s.waiting[0].at >= s.retry {
		w := s.waiting[0]
		s.waiting = s.waiting[1:]
		if s.asked[w.e] == w.at {
			s.again[w.e] = true
			s.publish(w.e)
		}
	}
}

func (s *storm) heard(e int32, p mqttsn.Packet) {
	switch p := p.(type) {
	case *mqttsn.Connack:
		switch {
		case e < s.sensors:
		case p.Reason == mqttsn.Accepted:
			s.letIn++
		case p.Reason == mqttsn.Congestion:
			s.refused++
		default:
			s.err = fmt.Errorf("a stranger is answered %v", p)
		}
	case *mqttsn.Puback:
		if s.asked[e] == 0 || p.ID != uint16(s.said1[e]) || p.Reason == mqttsn.Congestion {
			return // a late answer to what was said twice; or it is to be said again
		}
		if p.Reason != mqttsn.Accepted {
			s.err = fmt.Errorf("PUBLISH is answered %v", p)
		}
		s.acked++
		if !s.again[e] {
			s.prompt++
			s.took.RecordValue(max(1, (time.Since(s.start) - s.asked[e]).Microseconds()))
		}
		s.asked[e] = 0
		if e != s.probe {
			s.idle = append(s.idle, e)
		}
	case *mqttsn.Disconnect:
		if e < s.sensors {
			s.err = fmt.Errorf("sensor %d is told to connect anew", e)
		}
	}
}

// settle waits until all of QoS 1 is acknowledged and all that is to arrive has,
// and notes what has arrived of the load's QoS 0.
func (s *storm) settle(of *load) {
	const patience, quiet = time.Minute, time.Second
	s.retry = retryAfter
	arrived, since := s.sub.count.Load(), time.Now()
	for start := time.Now(); s.failed() == nil && (s.flying() > 0 || time.Since(since) < quiet); s.listen(time.Millisecond) {
		if n := s.sub.count.Load(); n != arrived {
			arrived, since = n, time.Now()
		}
		if time.Since(start) > patience {
			s.err = fmt.Errorf("%d messages are never acknowledged", s.flying())
		}
		if s.ctx.Err() != nil {
			s.err = context.Cause(s.ctx)
		}
	}
	of.heard0 = int(s.heard0.Load() - s.before0)
}

// exchange has the probe have a message acknowledged, and returns how long that took.
func (s *storm) exchange() time.Duration {
	begun := time.Now()
	s.said1[s.probe]++
	s.again[s.probe] = false
	for s.publish(s.probe); s.asked[s.probe] != 0 && s.failed() == nil && s.ctx.Err() == nil; s.listen(200 * time.Microsecond) {
		if time.Since(s.start)-s.asked[s.probe] > retryAfter {
			s.again[s.probe] = true
			s.publish(s.probe)
		}
	}
	return time.Since(begun)
}

// pace is the time between two exchanges.
const pace = 2 * time.Millisecond

// usual is how long an exchange takes when there is no load: p99.
func (s *storm) usual(d time.Duration) time.Duration {
	s.load = newLoad()
	for start := time.Now(); s.failed() == nil && s.ctx.Err() == nil && time.Since(start) < d; s.listen(pace) {
		s.exchange()
	}
	return time.Duration(s.took.ValueAtQuantile(99)) * time.Microsecond
}

// recover is to follow a load at once. It returns after how long an exchange took
// no longer than most, and none of a hundred after it either; and after how
// long a stranger was let in.
func (s *storm) recover(most time.Duration) (back, welcome time.Duration) {
	const inARow, patience = 100, 30 * time.Second
	s.load = newLoad()
	start := time.Now()
	for good := 0; s.failed() == nil && s.ctx.Err() == nil && (good < inARow || welcome == 0); s.listen(pace) {
		if good++; s.exchange() > most {
			good, back = 0, time.Since(start)
		}
		if welcome == 0 {
			s.knock()
		}
		if s.letIn > 0 && welcome == 0 {
			welcome = time.Since(start)
		}
		if time.Since(start) > patience {
			s.err = fmt.Errorf("%v after the load all is not as before", patience)
		}
	}
	return back, welcome
}
