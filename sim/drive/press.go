package drive

import (
	"context"
	"sync"

	"dormouse/mqttsn/clock"
	"dormouse/sim"
)

// A press publishes for all shards, in order and on a goroutine of its own: an
// observer may be slow.
type press struct {
	wall    *wall
	mu      sync.Mutex
	waiting []job
	more    chan struct{} // has room for one
}

type job struct {
	by *shard
	p  *sim.Publication
}

func (p *press) post(by *shard, pub *sim.Publication) {
	p.mu.Lock()
	p.waiting = append(p.waiting, job{by, pub})
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// run publishes until ctx is cancelled.
func (p *press) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.more:
		}
		p.mu.Lock()
		jobs := p.waiting
		p.waiting = nil
		p.mu.Unlock()
		for _, j := range jobs {
			if ctx.Err() != nil {
				return
			}
			p.publish(j)
		}
	}
}

func (p *press) publish(j job) {
	done := func(err error) { p.answered(j, err) }
	if p.wall.down.Load() {
		done(ErrDown)
		return
	}
	p.wall.ob.Publish(j.p.Topic, j.p.Payload, j.p.QoS, j.p.Retain, done)
}

// answered tells who has to know: of a broadcast all fleets, since all their
// devices are owed it.
func (p *press) answered(j job, err error) {
	now := clock.Now()
	if !j.p.Broadcast {
		j.by.answered(now, j.p, err)
		return
	}
	for _, s := range p.wall.shards {
		s.answered(now, j.p, err)
	}
}
