package session

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// TestStateRoundTrip also shows that every strict prefix that is not itself a
// state is refused whole, and that a state of the future is.
func TestStateRoundTrip(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Predefined = map[uint16]string{5: "sensors/{clientid}/t"}
	s := New(mqttsn.V12, &cfg)
	s.clientID, s.state, s.keepAlive, s.sleep = "dev1", Asleep, time.Minute, 90*time.Second
	s.supervised = clock.Time(100 * time.Second)
	s.topics = []topic{
		{name: "a/b", id: 1, told: true},
		{name: "sensors/dev1/t", id: 5, kind: mqttsn.TopicPredefined},
		{name: "ab", id: 0x6162, kind: mqttsn.TopicShort},
		{name: "no", id: 2, refused: true},
		{name: "cmd/dev1/dev1", id: 3},
	}
	b := s.appendState(nil, clock.Time(10*time.Second), 2)
	restored := New(mqttsn.V12, &cfg)
	restored.clientID = "dev1"
	want := stored{Asleep, time.Minute, 90 * time.Second, 90 * time.Second, slices.Clone(s.topics)}
	want.topics[3].told, want.topics[3].kept = true, true // by the answer that this precedes
	for i := range want.topics {
		want.topics[i].stored = true
	}
	if k, ok := restored.read(b); !ok || !reflect.DeepEqual(k, want) {
		t.Errorf("stored %+v, want %+v", k, want)
	}
	if !restored.restore(b) {
		t.Fatalf("cannot read %x", b)
	}
	for i := range want.topics { // the client may have rebooted
		want.topics[i].told, want.topics[i].refused = false, false
	}
	if !reflect.DeepEqual(restored.topics, want.topics) {
		t.Errorf("restored %v, want %v", restored.topics, want.topics)
	}
	whole := map[int]bool{0: true, 14: true, 22: true, 27: true, 34: true, 41: true}
	for n := range b {
		r := New(mqttsn.V12, &cfg)
		if ok := r.restore(b[:n]); ok != whole[n] || !ok && r.topics != nil {
			t.Errorf("restore(%x) = %v, %v", b[:n], ok, r.topics)
		}
	}
	b[0]++
	if restored.restore(b) {
		t.Error("read a state of another version")
	}
	b[0]--
	if b[len(b)-1] != '1' || len(b) != 41+5+len("cmd/?/dev1") {
		t.Errorf("%q: the client id is there at its length", b)
	}
	// A predefined topic that is not configured any more is forgotten.
	cfg.Predefined = nil
	if !restored.restore(b) || len(restored.topics) != 4 {
		t.Errorf("restored %v", restored.topics)
	}
}

// TestStateOfVersion2: names were stored in full.
func TestStateOfVersion2(t *testing.T) {
	cfg := DefaultConfig()
	s := New(mqttsn.V12, &cfg)
	s.clientID = "dev1"
	k, ok := s.read(append([]byte{2, 2, 0, 0, 0, 60, 0, 0, 0, 90, 0, 0, 0, 100, 0x40, 0, 7, 0, 8}, "cmd/dev1"...))
	want := stored{Asleep, time.Minute, 90 * time.Second, 100 * time.Second, []topic{{name: "cmd/dev1", id: 7, told: true, kept: true, stored: true}}}
	if !ok || !reflect.DeepEqual(k, want) {
		t.Errorf("read %+v, want %+v", k, want)
	}
}

// TestPredefinedSince: the stored id 2 is that of a predefined topic by now.
func TestPredefinedSince(t *testing.T) {
	p := newPeer(t)
	p.b.present, p.b.state = true, []byte{1, 0, 0, 0, 0, 0, 0, 2, 0, 3, 'a', '/', 'b'}
	p.sends(connect(0), publish(normal(2), 1, 1, "x"), register("a/b", 2))
	p.gets("CONNACK 0 | PUBACK 2 #1 rc2 | REGACK 1 #2 rc0", Active)
}

func TestUnreadableStateIsCounted(t *testing.T) {
	p := newPeer(t)
	p.b.present, p.b.state = true, []byte("not ours")
	p.sends(connect(time.Minute)).gets("CONNACK 0", Active).counted(BadState, 1)

	for _, topic := range [][]byte{{0, 0, 7, 0, 0}, {0, 0, 0, 0, 1, 'a'}, {0, 255, 255, 0, 1, 'a'}} { // no name, no id
		p = newPeer(t)
		p.b.present, p.b.state = true, append([]byte{1, 0, 0, 0, 0}, topic...)
		p.sends(connect(time.Minute), publish(normal(7), 1, 1, "x"), register("b", 2))
		p.gets("CONNACK 0 | PUBACK 7 #1 rc2 | REGACK 1 #2 rc0", Active).counted(BadState, 1)
	}
}

func TestNames(t *testing.T) {
	cfg := DefaultConfig()
	for _, tt := range []struct {
		in             string
		name, filter   bool
		targetWhenName bool
	}{
		{"a", true, true, true}, {"a/b", true, true, true}, {"/", true, true, true}, {"ä/ü", true, true, true},
		{"$SYS/a", true, true, false},
		{"#", false, true, false}, {"+", false, true, false}, {"a/+/b", false, true, false}, {"a/#", false, true, false},
		{"a#", false, false, false}, {"#/a", false, false, false}, {"a+/b", false, false, false}, {"a/+b", false, false, false},
		{"", false, false, false}, {"a\x00b", false, false, false}, {"\xc3", false, false, false},
		{strings.Repeat("a", 1024), true, true, true}, {strings.Repeat("a", 1025), false, false, false},
		{strings.Repeat("/", 31), true, true, true}, {strings.Repeat("/", 32), false, false, false},
	} {
		b := []byte(tt.in)
		if n, f, g := cfg.ValidName(b), cfg.ValidFilter(b), cfg.ValidTarget(b); n != tt.name || f != tt.filter || g != tt.targetWhenName {
			t.Errorf("%.20q: name %v, filter %v, target %v", tt.in, n, f, g)
		}
	}
}

// TestNamesCannotWidenPredefined: a client id is one level, never more, and so is
// an identity; neither stands for the other.
func TestNamesCannotWidenPredefined(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Predefined = map[uint16]string{1: "alarm", 5: "sensors/{clientid}/t", 7: "{clientid}/t"}
	for id, ok := range map[string]bool{"dev1": true, "a/b": false, "+": false, "#": false, "x#": false, "a\x00": false, "": false} {
		if topic, got := cfg.PredefinedTopic(5, id); got != ok || ok && topic != "sensors/"+id+"/t" {
			t.Errorf("%q: %q, %v", id, topic, got)
		}
		if _, got := cfg.PredefinedTopic(1, id); !got {
			t.Errorf("%q has no alarm", id)
		}
	}
	if topic, ok := cfg.PredefinedTopic(7, "$SYS"); ok {
		t.Errorf("a client became %q", topic)
	}
	cfg.Predefined[8], cfg.Predefined[9] = "of/{identity}/{clientid}", "{identity}"
	for who, want := range map[string]string{
		"ann": "of/ann/dev1", "{clientid}": "of/{clientid}/dev1", "a/b": "", "+": "", "#": "", "": "", "a\x00": "",
	} {
		if topic, ok := cfg.Of(who).PredefinedTopic(8, "dev1"); ok != (want != "") || ok && topic != want {
			t.Errorf("%q: %q, %v", who, topic, ok)
		}
	}
	if topic, ok := cfg.Of("ann").PredefinedTopic(8, "{identity}"); !ok || topic != "of/ann/{identity}" {
		t.Errorf("a client id became %q", topic)
	}
	if topic, ok := cfg.Of("$SYS").PredefinedTopic(9, "dev1"); ok {
		t.Errorf("an identity became %q", topic)
	}
	if other := DefaultConfig(); other.Of("ann") != &other || cfg.Of("") != &cfg {
		t.Error("a configuration is copied that need not be")
	}
	p := active(t)
	p.s.clientID = "+"
	p.sends(subscribe(predefined(5), 1, 9)).gets("SUBACK 0 #9 q0 rc2", Active).asked("")
}

func TestConfigReportsEverything(t *testing.T) {
	err := (&Config{Predefined: map[uint16]string{0: "a/#"}}).Validate()
	if err == nil {
		t.Fatal("the zero Config is valid")
	}
	for _, name := range []string{"retry.interval is 0s", "congestion_wait", "dialogue_timeout", "max_sleep", "max_packet", "max_client_id",
		"max_topic_length", "max_topic_levels", "topic_ids.per_client", "topic_ids.octets", "registers_per_minute", "predefined.id", `"a/#"`} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported in:\n%v", name, err)
		}
	}
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for e := range NumEvents {
		if e.String() == "" {
			t.Errorf("event %d has no name", e)
		}
	}
}
