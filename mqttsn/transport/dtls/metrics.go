package dtls

import (
	"context"
	"errors"
	"sync/atomic"

	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// An Ending is why an association ended.
type Ending uint8

const (
	Closed    Ending = iota // by the peer
	Alerted                 // by a fatal alert of the peer
	Replaced                // by another from the same address
	Exhausted               // its keys have sealed all that they may
	Idle
	Mute      // its peer has never said anything
	Rechecked // its key is another by now, or its authority none any more
	Expired   // its certificate has
	Crowded   // another needed its place more
	numEndings
)

var endingNames = [numEndings]string{"closed", "alert", "replaced", "exhausted", "idle", "mute", "rechecked", "expired", "crowded"}

// Why a received datagram, or record, was dropped: those of dropErrors, and
const (
	stray   = iota + 7 // for nobody: no association, no handshake, and no ClientHello
	moved              // from another address, with Config.Stay
	notKept            // it could not be kept that it was received
	numDrops
)

// dropErrors are why package record refuses one.
var dropErrors = [stray]error{record.ErrTruncated, record.ErrVersion, record.ErrEpoch, record.ErrCID,
	record.ErrType, record.ErrReplayed, record.ErrForged}

var dropNames = [numDrops]string{"truncated", "version", "epoch", "cid", "type", "replayed", "forged", "stray", "moved", "not_kept"}

// Why a datagram was not sent.
const (
	gone     = iota // there is no such association, any more
	unproven        // the address has to show first that the peer is there
	unkept          // the Keeper did not answer, or too much waits for it
	numUnsent
)

var unsentNames = [numUnsent]string{"gone", "address", "not_kept"}

// Why a handshake was not begun.
const (
	rateOfPrefix = iota
	rateOfSuspects
	rateOfAll
	numRefusals
)

var refusalNames = [numRefusals]string{"prefix_rate", "suspect_rate", "rate"}

// Why a handshake came to nothing.
const (
	failedTimeout = iota
	failedKey
	failedEvicted
	failedTooMuch
	failedAnew
	failedNameless
	failedNotKept
	failedFull
	failedOtherwise // what pion refuses: certificates, suites, the peer's alerts
	numFailures
)

var failureErrors = [failedOtherwise]error{context.DeadlineExceeded, handshake.ErrKey, errEvicted, errTooMuch, errAnew, errNameless, errNotKept, errFull}

var failureNames = [numFailures]string{"timeout", "key", "evicted", "octets", "anew", "nameless", "not_kept", "associations", "protocol"}

// counters are a Listener's figures.
type counters struct {
	asked           atomic.Uint64
	begun, done     atomic.Uint64
	failed          [numFailures]atomic.Uint64
	refused         [numRefusals]atomic.Uint64
	handshakeOctets atomic.Uint64

	associations atomic.Int64
	ended        [numEndings]atomic.Uint64
	moves        atomic.Uint64

	opened, sealed atomic.Uint64
	dropped        [numDrops]atomic.Uint64
	unsent         [numUnsent]atomic.Uint64
}

// fail counts a handshake that came to nothing, and reports whether that is the
// peer's doing. One that the end of the process ends is none.
func (c *counters) fail(err error) (peers bool) {
	if errors.Is(err, context.Canceled) {
		return false
	}
	for i, why := range failureErrors {
		if errors.Is(err, why) {
			c.failed[i].Add(1)
			return i != failedAnew && i != failedNotKept && i != failedFull
		}
	}
	c.failed[failedOtherwise].Add(1)
	return true
}

// Each yields the figures of all the Listeners together, under their exported
// names, as gateway.Each does. testdata/metrics.txt pins the names.
func Each(ls []*Listener, yield func(name, help, label string, value uint64)) {
	sum := func(of func(*counters) uint64) (n uint64) {
		for _, l := range ls {
			n += of(&l.count)
		}
		return n
	}
	one := func(name, help string, of func(*counters) *atomic.Uint64) {
		yield(name, help, "", sum(func(c *counters) uint64 { return of(c).Load() }))
	}
	several := func(name, help, key string, values []string, of func(*counters) []atomic.Uint64) {
		for i, value := range values {
			yield(name, help, key+`="`+value+`"`, sum(func(c *counters) uint64 { return of(c)[i].Load() }))
		}
	}
	one("dormouse_dtls_cookies_total",
		"Strangers that were asked to show that they are where they say. Many more than handshakes begin: somebody sends under false addresses.",
		func(c *counters) *atomic.Uint64 { return &c.asked })
	one("dormouse_dtls_handshakes_begun_total",
		"Handshakes that were let begin.", func(c *counters) *atomic.Uint64 { return &c.begun })
	one("dormouse_dtls_handshakes_done_total",
		"Handshakes that came to an association. As many as sensors wake: they lose theirs, or do not know connection ids.",
		func(c *counters) *atomic.Uint64 { return &c.done })
	several("dormouse_dtls_handshakes_failed_total",
		"Handshakes that came to nothing. timeout: a lossy radio. key: a wrong key, or an unknown identity. evicted: raise dtls.max_handshakes, or somebody floods. associations: raise dtls.max_associations. protocol: certificates or cipher suites that do not fit.",
		"reason", failureNames[:], func(c *counters) []atomic.Uint64 { return c.failed[:] })
	several("dormouse_dtls_handshakes_refused_total",
		"Handshakes that were not let begin. See dtls.handshake_rate. suspect_rate: one has failed within a minute; such networks have half of it, and such a host an eighth of dtls.handshake_rate_per_prefix.",
		"reason", refusalNames[:], func(c *counters) []atomic.Uint64 { return c.refused[:] })
	one("dormouse_dtls_handshake_sent_bytes_total",
		"Octets sent in handshakes.", func(c *counters) *atomic.Uint64 { return &c.handshakeOctets })
	yield("dormouse_dtls_handshakes",
		"Handshakes in progress, or done and standing by to repeat the last flight.", "",
		func() (n uint64) {
			for _, l := range ls {
				n += uint64(l.door.busy.Load())
			}
			return n
		}())
	yield("dormouse_dtls_associations",
		"Peers whose keys are known. They need no handshake.", "",
		sum(func(c *counters) uint64 { return uint64(max(0, c.associations.Load())) }))
	several("dormouse_dtls_associations_ended_total",
		"Associations that have ended. idle: see dtls.idle_timeout. mute: nothing came after the handshake. rechecked: the key is another, or the authority none any more. crowded: raise dtls.max_associations.",
		"reason", endingNames[:], func(c *counters) []atomic.Uint64 { return c.ended[:] })
	one("dormouse_dtls_moves_total",
		"Changes of a peer's address that cost no handshake.", func(c *counters) *atomic.Uint64 { return &c.moves })
	one("dormouse_dtls_records_opened_total",
		"Records that were authentic and new.", func(c *counters) *atomic.Uint64 { return &c.opened })
	one("dormouse_dtls_records_sealed_total",
		"Records sent.", func(c *counters) *atomic.Uint64 { return &c.sealed })
	several("dormouse_dtls_records_dropped_total",
		"Records discarded. cid, stray: sensors that were away for longer than dtls.idle_timeout, or scans. forged, replayed: a few come of repeats; many are an attack. not_kept: see the store.",
		"reason", dropNames[:], func(c *counters) []atomic.Uint64 { return c.dropped[:] })
	several("dormouse_dtls_records_unsent_total",
		"Datagrams not sent. address: it is new, and gets three times what came from it until it is proved. not_kept: see the store.",
		"reason", unsentNames[:], func(c *counters) []atomic.Uint64 { return c.unsent[:] })
}
