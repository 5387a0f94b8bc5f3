package disk

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"dormouse/core/store"
)

// kinds are the bodies of records: how each is read and, as it was read,
// written again.
var kinds = []func(*reader) func([]byte) []byte{
	func(r *reader) func([]byte) []byte {
		m := r.message()
		return func(b []byte) []byte { return appendMessage(b, &m) }
	},
	func(r *reader) func([]byte) []byte {
		s := r.session()
		return func(b []byte) []byte { return appendSession(b, &s) }
	},
	func(r *reader) func([]byte) []byte {
		s := r.subscription([]byte("a"))
		return func(b []byte) []byte { return appendSubscription(b, &s) }
	},
	func(r *reader) func([]byte) []byte {
		to, flags := r.receiver(0)
		return func(b []byte) []byte { return appendReceiver(b, &to, flags) }
	},
	func(r *reader) func([]byte) []byte {
		f := r.inFlight()
		return func(b []byte) []byte { return appendInFlight(b, &f) }
	},
	func(r *reader) func([]byte) []byte {
		seq, author := r.retained()
		return func(b []byte) []byte { return appendRetained(b, seq, author) }
	},
	func(r *reader) func([]byte) []byte {
		turn := r.uint()
		return func(b []byte) []byte { return appendTurn(b, turn) }
	},
}

// full is one of each that is kept, with all in it that may be.
func full() (m store.Message, s store.Session, sub store.Subscription, to store.Receiver) {
	format, at := byte(1), time.Date(2500, 1, 1, 0, 0, 0, 5, time.UTC)
	m = store.Message{
		Topic: "a/b", Payload: []byte("x"), QoS: 2, Retain: true, Publisher: "ann", Expires: at, Taken: 1 << 40,
		Properties: &store.Properties{PayloadFormat: &format, ContentType: "text", ResponseTopic: "re",
			CorrelationData: []byte("c"), User: []store.UserProperty{{Key: "k", Value: "v"}}},
	}
	s = store.Session{ClientID: "ann", User: "anna", Expiry: -1, Ends: at, KeepWill: true, WillDue: at, Edge: "ids", Author: "anna",
		Will: &store.Will{Message: m, Delay: time.Minute, Lifetime: time.Hour}}
	sub = store.Subscription{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, ID: 1<<28 - 1}
	to = store.Receiver{ClientID: "ann", Share: "$share/g/a", QoS: 2, Retain: true, SubscriptionIDs: []uint32{1, 1 << 27}}
	return m, s, sub, to
}

// samples is a record of each kind, in the order of kinds.
func samples() [][]byte {
	m, s, sub, to := full()
	flying := inFlight{Receiver: to, seq: 1 << 60, order: 7, received: true}
	var all [][]byte
	for _, body := range []func([]byte) []byte{
		func(b []byte) []byte { return appendMessage(b, &m) },
		func(b []byte) []byte { return appendSession(b, &s) },
		func(b []byte) []byte { return appendSubscription(b, &sub) },
		func(b []byte) []byte { return appendReceiver(b, &to, 0) },
		func(b []byte) []byte { return appendInFlight(b, &flying) },
		func(b []byte) []byte { return appendRetained(b, 1<<40, "anna") },
		func(b []byte) []byte { return appendTurn(b, 1<<40) },
	} {
		all = append(all, seal(nil, []byte("key"), body))
	}
	return all
}

// TestEachFieldIsKept: also one that the store's vocabulary was given lately.
func TestEachFieldIsKept(t *testing.T) {
	m, s, sub, to := full()
	for _, v := range []any{m, *m.Properties, s, *s.Will, sub, to} {
		for i, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if f.Name != "Granted" && reflect.ValueOf(v).FieldByIndex(f.Index).IsZero() { // it is of the moment
				t.Errorf("%T: field %d, %s, is not tried", v, i, f.Name)
			}
		}
	}
	all := samples()
	read := func(kind int) *reader {
		r := unseal([]byte("key"), all[kind])
		return &r
	}
	flying := read(4).inFlight()
	for _, tt := range []struct{ got, want any }{
		{read(0).message(), m},
		{read(1).session(), s},
		{read(2).subscription([]byte(sub.Filter)), sub},
		{flying.Receiver, store.Receiver{Share: to.Share, QoS: to.QoS, Retain: to.Retain, SubscriptionIDs: to.SubscriptionIDs}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("read %+v, written %+v", tt.got, tt.want)
		}
	}
}

// TestRecords: no record with an octet changed, missing or too many is read,
// nor one in the place of another, and what is read is what was written.
func TestRecords(t *testing.T) {
	for kind, record := range samples() {
		read := func(key string, b []byte) ([]byte, error) {
			r := unseal([]byte(key), b)
			again := kinds[kind](&r)
			return seal(nil, []byte(key), again), r.end([]byte(key))
		}
		again, err := read("key", record)
		if err != nil || !bytes.Equal(again, record) {
			t.Errorf("kind %d: %x, read and written again: %x, %v", kind, record, again, err)
		}
		if _, err := read("kez", record); !errors.Is(err, errChecksum) {
			t.Errorf("kind %d, of another key: %v", kind, err)
		}
		for i := range record {
			if _, err := read("key", record[:i]); err == nil {
				t.Errorf("kind %d: read %d octets short", kind, len(record)-i)
			}
			for bit := range 8 {
				flipped := bytes.Clone(record)
				flipped[i] ^= 1 << bit
				if _, err := read("key", flipped); err == nil {
					t.Errorf("kind %d: read with bit %d of octet %d flipped", kind, bit, i)
				}
			}
		}
		newer := seal(nil, []byte("key"), func(b []byte) []byte { b[0]++; return b })
		if _, err := read("key", newer); !errors.Is(err, errVersion) {
			t.Errorf("kind %d, newer: %v", kind, err)
		}
	}
}

// FuzzRecord states the contract of what reads a record: no body panics, and
// what can be read is written as octets that are read as the same.
func FuzzRecord(f *testing.F) {
	for kind, record := range samples() {
		f.Add(byte(kind), record[1:len(record)-4])
	}
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		read := kinds[int(kind)%len(kinds)]
		r := unseal(nil, seal(nil, nil, func(b []byte) []byte { return append(b, body...) }))
		write := read(&r)
		if r.end(nil) != nil {
			return
		}
		record := seal(nil, nil, write)
		r = unseal(nil, record)
		again := read(&r)
		if err := r.end(nil); err != nil || !reflect.DeepEqual(seal(nil, nil, again), record) {
			t.Fatalf("%x is read, written as %x and then: %v", body, record, err)
		}
	})
}
