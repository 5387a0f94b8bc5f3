package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// A taped is a sensor over DTLS all of whose records somebody on the way has kept.
// It answers PUBREC, and nothing else.
type taped struct {
	t      testing.TB
	socket *net.UDPConn

	mu sync.Mutex
	record.Association
	*record.Ciphers
	tape    [][]byte
	numbers map[uint64]bool // of the broker's records
	answers chan mqttsn.Packet
}

func (b *broker) taped(identity string, n byte) *taped {
	b.t.Helper()
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.dtls))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { socket.Close() })
	s := &taped{t: b.t, socket: socket, numbers: make(map[uint64]bool), answers: make(chan mqttsn.Packet, 1<<16)}
	call, err := (&handshake.Proof{Identity: identity, Key: pskOf(n)}).Begin(b.dtls, func(b []byte) { socket.Write(b) })
	if err != nil {
		b.t.Fatal(err)
	}
	go func() {
		for buf := make([]byte, 2048); ; {
			n, err := socket.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if n > 0 && !s.hear(buf[:n]) {
				call.Deliver(buf[:n])
			}
		}
	}()
	a, err := call.Run(context.Background(), patience)
	if err != nil {
		b.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Association, s.Ciphers = *a, a.Ciphers()
	return s
}

// hear reports whether a datagram is not of the handshake.
func (s *taped) hear(datagram []byte) bool {
	r, _, err := record.Next(datagram, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.Ciphers == nil || r.Epoch != 1 {
		return false
	}
	if s.numbers[r.Sequence] {
		s.t.Errorf("the broker has used number %d twice", r.Sequence)
	}
	s.numbers[r.Sequence] = true
	got, err := s.Open(s.Ciphers, r)
	if err != nil || got.Type != record.ApplicationData {
		return true
	}
	p, err := mqttsn.Decode(mqttsn.V12, bytes.Clone(got.Octets))
	if err != nil {
		s.t.Errorf("it gets %x: %v", got.Octets, err)
		return true
	}
	if rec, ok := p.(*mqttsn.Pubrec); ok {
		s.say(&mqttsn.Pubrel{ID: rec.ID})
	}
	s.answers <- p
	return true
}

func (s *taped) send(p mqttsn.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(p)
}

func (s *taped) say(p mqttsn.Packet) {
	octets, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		panic(err)
	}
	b, err := s.Seal(s.Ciphers, nil, record.ApplicationData, octets)
	if err != nil {
		panic(err)
	}
	s.tape = append(s.tape, b)
	s.socket.Write(b) // nobody may be there
}

// wants waits for an answer, and asks again if there is none.
func (s *taped) wants(p mqttsn.Packet, is func(mqttsn.Packet) bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		s.send(p)
		for again := time.After(time.Second); ; {
			select {
			case got := <-s.answers:
				if is(got) {
					return
				}
				continue
			case <-again:
			}
			break
		}
	}
	s.t.Fatalf("no answer to %v", p)
}

// TestDTLSKilledAndReplayed: a sensor publishes in each QoS over DTLS while the
// broker is killed, several times, in the middle of that; each time all its
// records are replayed, from elsewhere, to the one that comes next. Nothing that
// it said comes out twice, in all those lives, and no number is used twice.
func TestDTLSKilledAndReplayed(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dtls := "psk_file: " + pskFile(t, map[string]byte{"one": 1})
	b := onData(t, data, overDTLS(nil, dtls))
	s := b.taped("one", 1)
	topic := mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'u'<<8 | 'p'}
	heard := make(map[string]int)
	said := 0
	for life := range 3 {
		if life > 0 {
			b = onData(t, data, overDTLS(b, dtls))
		}
		app := b.mqtt3(t, "app", nil)
		app.subscribe("#", 0)
		if life > 0 {
			b.replay(t, s.tape)
		}
		s.wants(&mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Hour, ClientID: []byte("one")}, func(p mqttsn.Packet) bool { return p.Type() == mqttsn.TypeConnack })
		end := fmt.Sprint("end of life ", life)
		publish := func(qos mqttsn.QoS) {
			said++
			p := &mqttsn.Publish{QoS: qos, Topic: topic, Payload: []byte(strconv.Itoa(said))}
			if qos > 0 {
				p.ID = uint16(said)
			}
			s.send(p)
		}
		for range 50 { // all of it comes
			for _, qos := range []mqttsn.QoS{0, 1, 2, mqttsn.QoSMinusOne} {
				publish(qos)
			}
		}
		id := uint16(60000 + life)
		s.wants(&mqttsn.Publish{QoS: 1, Topic: topic, ID: id, Payload: []byte(end)}, func(p mqttsn.Packet) bool {
			a, ok := p.(*mqttsn.Puback)
			return ok && a.ID == id
		})
		for m := ""; m != end; heard[m]++ {
			m = app.receive().payload
		}
		for range 100 { // and this, or a part of it
			publish(mqttsn.QoS(said % 3))
		}
		b.process.Process.Kill()
		await(t, b.ended, "end of the broker")
		await(t, app.lost, "end of the connection")
		for len(app.mail) > 0 {
			heard[app.receive().payload]++
		}
	}
	for payload, times := range heard {
		if _, err := strconv.Atoi(payload); err == nil && times > 1 {
			t.Errorf("%q came %d times", payload, times)
		}
	}
	if len(heard) < 4*50 {
		t.Errorf("only %d messages came", len(heard))
	}
}

// replay sends records from elsewhere, and waits until the broker has looked at
// each.
func (b *broker) replay(t *testing.T, tape [][]byte) {
	t.Helper()
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.dtls))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	looked := func() (n int) {
		for _, name := range []string{"dormouse_dtls_records_opened_total", `dormouse_dtls_records_dropped_total{reason="replayed"}`} {
			v, err := strconv.Atoi(b.metric(t, name))
			if err != nil {
				t.Fatal(err)
			}
			n += v
		}
		return n
	}
	before := looked()
	for i, d := range tape {
		if binary.BigEndian.Uint16(d[3:]) != 1 {
			t.Fatalf("a record of another epoch: %x", d)
		}
		socket.Write(d)
		for end := time.Now().Add(patience); i%100 == 99 || i == len(tape)-1; time.Sleep(time.Millisecond) {
			if looked() > before+i {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("it has looked at %d of %d records", looked()-before, i+1)
			}
		}
	}
}
