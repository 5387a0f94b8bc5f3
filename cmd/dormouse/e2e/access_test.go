package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"dormouse/mqttsn"
)

// Rules, by the rows of the list of what will be thrown at us. In each test the
// canary of settle goes on as if nothing were.

// A ruleBook is a file of rules: those given, and the canary's.
type ruleBook struct {
	t    testing.TB
	file string
}

func newRules(t testing.TB, rules ...string) ruleBook {
	t.Helper()
	r := ruleBook{t, filepath.Join(t.TempDir(), "acl.yaml")}
	r.write(rules...)
	return r
}

func (r ruleBook) setting() string { return "acl.file=" + r.file }

func (r ruleBook) write(rules ...string) {
	r.t.Helper()
	text := "rules:\n  - {client: canary, allow: all, topic: \"#\"}\n"
	for _, rule := range rules {
		text += "  - {" + rule + "}\n"
	}
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload has b go by these rules.
func (r ruleBook) reload(b *broker, rules ...string) {
	r.t.Helper()
	r.write(rules...)
	b.wantOutput(r.t, []string{"reloaded"}, "reload")
}

// unheard publishes to topic as the canary and proves that no subscriber hears
// of it: the canary's next message, to a topic that they may have, comes first.
func (b *broker) unheard(t testing.TB, topic, marker string, subs ...interface{ receive() message }) {
	t.Helper()
	b.publish(t, topic, "not for you", 1)
	b.publish(t, marker, "for you", 1)
	for _, sub := range subs {
		if m := sub.receive(); m.topic != marker {
			t.Errorf("a subscriber hears %v, want %s first", m, marker)
		}
	}
}

// TestHostile18RevokedByReload: what rules allowed and then do not, ends with the
// reload, for clients and sensors alike, asleep or awake: subscriptions, what
// waits, and what is retained by one who may not any more; publishes are refused
// and a will is not published.
func TestHostile18RevokedByReload(t *testing.T) {
	t.Parallel()
	rules := newRules(t, "allow: all, topic: '#'")
	b := start(t, rules.setting())
	watcher := b.mosquittoSub(t, "secret/#", 1, "-i", "watcher", "-t", "open/#")
	sleeper := b.sensor("sleeper")
	sleeper.connect(true)
	sleeper.subscribe("secret/a", 1)
	sleeper.subscribe("open/a", 1)
	sleeper.sleep(time.Hour)
	b.mosquittoPub(t, "secret/old", "retained", 1, "-i", "old", "-r")
	want(t, watcher.receive(), message{"secret/old", "retained", 1, false})
	b.publish(t, "secret/a", "waits", 1)
	want(t, watcher.receive(), message{"secret/a", "waits", 1, false})
	dying := b.mqtt3(t, "dying", func(o *mqtt.ClientOptions) { o.SetWill("open/will", "dead", 1, false) })
	awake := b.sensor("awake")
	awake.connect(true)
	topic := awake.register("open/from/awake")

	rules.reload(b,
		"client: watcher, deny: subscribe, topic: 'secret/#'",
		"client: sleeper, deny: subscribe, topic: 'secret/#'",
		"client: old, deny: publish, topic: '#'",
		"client: dying, deny: publish, topic: '#'",
		"client: awake, deny: publish, topic: '#'",
		"allow: all, topic: '#'",
	)
	b.wantLogged(t, "subscription_withdrawn", 2)
	b.unheard(t, "secret/a", "open/a", watcher)
	if mail := sleeper.wake(); len(mail) != 1 || mail[0].topic != "open/a" {
		t.Errorf("the sleeper wakes to %v, want open/a alone", mail)
	}
	fresh := b.mosquittoSub(t, "secret/#", 1, "-i", "fresh", "-t", "open/#")
	b.publish(t, "secret/new", "x", 1)
	want(t, fresh.receive(), message{"secret/new", "x", 1, false}) // and not what is retained

	b.mqtt3(t, "dying", nil) // takes over, so that the one before is lost
	awake.send(&mqttsn.Publish{QoS: 1, Topic: topic, ID: 99, Payload: []byte("x")})
	if a := expect[*mqttsn.Puback](awake); a.Reason == mqttsn.Accepted {
		t.Error("a sensor's PUBLISH that is forbidden by now is accepted")
	}
	if <-dying.lost; !b.deniesPub(t, "old", "open/x") {
		t.Error("mosquitto_pub is not told that it may not publish any more")
	}
	b.unheard(t, "secret/b", "open/b", watcher)
	b.settle(t)
}

// deniesPub reports whether mosquitto_pub as that client is told by MQTT 5 that
// it may not publish.
func (b *broker) deniesPub(t testing.TB, id, topic string, more ...string) bool {
	t.Helper()
	_, stdout, stderr := runProgram(t, "", "mosquitto_pub", append([]string{"-h", b.tcp.Addr().String(), "-p", port(b.tcp),
		"-V", "mqttv5", "-q", "1", "-i", id, "-t", topic, "-m", "x"}, more...)...)
	return strings.Contains(stdout+stderr, "Not authorized")
}

// TestHostile19AfterARestart: what was retained by one who may not any more is
// not replayed by the process after the next either, and comes back with the
// right to it; unless acl.recheck leaves that out.
func TestHostile19AfterARestart(t *testing.T) {
	t.Parallel()
	data := "data_dir=" + filepath.Join(t.TempDir(), "data")
	rules := newRules(t, "allow: all, topic: '#'")
	anew := func(settings ...string) *broker {
		t.Helper()
		return start(t, append(settings, rules.setting(), data)...)
	}
	b := anew()
	b.mosquittoPub(t, "kept", "by old", 1, "-i", "old", "-r")
	s := b.sensor("sensor")
	s.connect(true)
	s.publish(s.register("told"), "by a sensor", 1, true)
	b.stop()

	deny := []string{"client: old, deny: publish, topic: '#'", "listener: sn, deny: publish, topic: '#'", "allow: all, topic: '#'"}
	sees := func(b *broker, id string, want ...string) {
		t.Helper()
		sub := b.mqtt3(t, id, nil)
		sub.subscribe("+", 0)
		b.publish(t, "marker", "x", 0)
		got := map[string]bool{}
		for m := sub.receive(); m.topic != "marker"; m = sub.receive() {
			got[m.topic] = true
		}
		for _, topic := range want {
			if !got[topic] {
				t.Errorf("%s does not see %s", id, topic)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s sees %v, want %q", id, got, want)
		}
	}
	rules.write(deny...)
	b = anew()
	sees(b, "denied")
	rules.reload(b, "allow: all, topic: '#'")
	sees(b, "allowed", "kept", "told")
	b.stop()
	rules.write(deny...)
	b = anew("acl.recheck=[deliver, will, resume, reload]")
	sees(b, "once", "kept", "told")
}

// TestHostile15WillThatIsDenied is refused when it is left, by each client.
func TestHostile15WillThatIsDenied(t *testing.T) {
	t.Parallel()
	rules := newRules(t, "allow: all, topic: 'open/#'")
	b := start(t, rules.setting())
	for _, topic := range []string{"secret/will", "$SYS/will", "open2"} {
		if !b.deniesPub(t, "w", "open/x", "--will-topic", topic, "--will-payload", "x") {
			t.Errorf("mosquitto_pub may leave a will to %s", topic)
		}
	}
	s := b.sensor("sensor")
	s.send(&mqttsn.Connect{Will: true, CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sensor")})
	expect[*mqttsn.Willtopicreq](s)
	s.send(&mqttsn.Willtopic{QoS: 1, Topic: []byte("secret/will")})
	expect[*mqttsn.Willmsgreq](s)
	s.send(&mqttsn.Willmsg{Payload: []byte("x")})
	if a := expect[*mqttsn.Connack](s); a.Reason == mqttsn.Accepted {
		t.Error("a sensor may leave a will to secret/will")
	}
	b.settle(t)
}

// TestHostile16And17PrefixOfAnother: where client ids begin with the user name,
// nobody comes by another's: not to take over, to resume or to wipe the session,
// nor to have the name while nobody is there.
func TestHostile16And17PrefixOfAnother(t *testing.T) {
	t.Parallel()
	users := passwords(t, "ann", "a", "bob", "b")
	b := start(t, knowing(users), "auth.client_id.bind=prefix", "auth.anonymous.enabled=true")
	as := func(user, password string, clean bool) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetUsername(user).SetPassword(password).SetCleanSession(clean) }
	}
	ann := b.mqtt3(t, "ann-1", as("ann", "a", false))
	ann.subscribe("for/ann", 1)
	refused := func(when, id, user, password string) {
		t.Helper()
		for _, clean := range []string{"", "-c"} {
			args := []string{"-h", b.tcp.Addr().String(), "-p", port(b.tcp), "-i", id, "-q", "1", "-t", "x", "-E"}
			if user != "" {
				args = append(args, "-u", user, "-P", password)
			}
			if clean != "" {
				args = append(args, clean)
			}
			if status, stdout, stderr := runProgram(t, "", "mosquitto_sub", args...); status == 0 {
				t.Errorf("%s: %q comes in as %s: %s%s", when, user, id, stdout, stderr)
			}
		}
	}
	refused("taking over", "ann-1", "bob", "b")
	refused("taking over", "ann-1", "", "")
	ann.disconnect()
	b.mosquittoPub(t, "for/ann", "waits", 1)
	refused("resuming", "ann-1", "bob", "b")
	refused("resuming", "ann-1", "", "")
	refused("another name", "ann-2", "bob", "b")
	refused("a longer name", "anna", "ann", "a")
	again := b.mqtt3(t, "ann-1", as("ann", "a", false))
	want(t, again.receive(), message{"for/ann", "waits", 1, false})
	b.settle(t)
}

// TestHostile20ClientIDs: a client id that the pattern forbids does not come in,
// by either protocol, and without a pattern widens nothing.
func TestHostile20ClientIDs(t *testing.T) {
	t.Parallel()
	mine := []string{"allow: publish, topic: 's/{clientid}/t'", "allow: subscribe, topic: 's/{clientid}/#'"}
	rules := newRules(t, mine...)
	lax, strict := start(t, rules.setting()), start(t, rules.setting(), "auth.client_id.pattern='^[A-Za-z0-9_.:-]{1,64}$'")
	for _, id := range []string{"#", "+", "/", "a/b", ".*", "{clientid}", "%c"} {
		if !lax.deniesPub(t, id, "s/victim/t") {
			t.Errorf("%q may publish as another", id)
		}
		if s := lax.sensor(id); true {
			s.connect(true)
			msgID := s.nextMsgID()
			s.send(&mqttsn.Subscribe{QoS: 1, ID: msgID, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("s/+/t")}})
			if a := expect[*mqttsn.Suback](s); a.Reason == mqttsn.Accepted {
				t.Errorf("sensor %q may read what is others'", id)
			}
		}
		status, _, stderr := runProgram(t, "", "mosquitto_pub", "-h", strict.tcp.Addr().String(), "-p", port(strict.tcp), "-i", id, "-t", "x", "-m", "x")
		if status == 0 || !strings.Contains(stderr, "dentifier") {
			t.Errorf("%q comes in against the pattern: %d, %s", id, status, stderr)
		}
		s := strict.sensor(id)
		s.send(&mqttsn.Connect{CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte(id)})
		s.wantConnack(mqttsn.NotSupported)
	}
	ok := strict.sensor("victim")
	ok.connect(true)
	ok.publish(ok.register("s/victim/t"), "x", 1, false)
	lax.settle(t)
	strict.settle(t)
}

// TestHostile24FiltersTooWide bring what is allowed and no more, or nothing.
func TestHostile24FiltersTooWide(t *testing.T) {
	t.Parallel()
	rules := newRules(t, "deny: subscribe, topic: 'secret/#'", "allow: all, topic: 'open/#'", "client: wide, allow: subscribe, topic: '#'")
	b := start(t, rules.setting())
	wide := b.mqtt5(t, "wide", nil)
	wide.subscribe("#", 1)
	narrow := b.mqtt5(t, "narrow", nil)
	narrow.subscribe("open/#", 1)
	b.unheard(t, "secret/a", "open/a", wide, narrow)
	for _, tt := range []struct{ id, filter string }{
		{"wide", "$share/g/#"}, {"wide", "secret/a"}, {"wide", "$share/g/+/a"}, {"wide", "$MQTT/#"},
		{"narrow", "#"}, {"narrow", "+/#"}, {"narrow", "$share/g/#"}, {"narrow", "+/a"}, {"narrow", "open%2Fa"},
	} {
		_, stdout, stderr := runProgram(t, "", "mosquitto_sub", "-h", b.tcp.Addr().String(), "-p", port(b.tcp), "-V", "mqttv5", "-d",
			"-i", tt.id, "-t", tt.filter, "-E")
		if !strings.Contains(stdout+stderr, "135") && !strings.Contains(stdout+stderr, "denied") {
			t.Errorf("%s subscribes to %s: %s%s", tt.id, tt.filter, stdout, stderr)
		}
	}
	b.settle(t)
}

// TestHostile52And53WithoutAConnection: QoS -1 and topic ids that everybody knows
// obey the rules by listener and address, and what is theirs by client id is
// nobody's who has none.
func TestHostile52And53WithoutAConnection(t *testing.T) {
	t.Parallel()
	rules := newRules(t,
		"listener: sn, deny: publish, topic: 'secret/#'",
		"listener: sn, from: [192.0.2.0/24], allow: publish, topic: 'far/#'",
		"listener: sn, from: [loopback], allow: publish, topic: 'near/#', max_qos: 0, retain: false",
		"listener: sn, allow: publish, topic: 'mine/{clientid}'",
		"client: s1, allow: publish, topic: 'named'",
		"listener: mqtt, allow: all, topic: '#'",
	)
	b := start(t, rules.setting(), "mqttsn.predefined=[{id: 1, topic: near/a}, {id: 2, topic: far/a}, {id: 3, topic: secret/a}, {id: 4, topic: named}, {id: 5, topic: 'mine/{clientid}'}, {id: 6, topic: canary/x}]")
	sub := b.mosquittoSub(t, "#", 1)
	stranger := b.sensor("stranger")
	for _, id := range []uint16{2, 3, 4, 5, 6} {
		stranger.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: predefined(id), Payload: []byte("x")})
	}
	stranger.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: predefined(1), Retain: true, Payload: []byte("retained")})
	stranger.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short("T1"), Payload: []byte("x")})
	stranger.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: predefined(1), Payload: []byte("allowed")})
	want(t, sub.receive(), message{"near/a", "allowed", 0, false})

	s := b.sensor("s1")
	s.connect(true)
	for id, accepted := range map[uint16]bool{2: false, 3: false, 4: true, 5: true, 6: false, 1: false} {
		msgID := s.nextMsgID()
		s.send(&mqttsn.Publish{QoS: 1, Topic: predefined(id), ID: msgID, Payload: []byte("x")})
		if a := expect[*mqttsn.Puback](s); (a.Reason == mqttsn.Accepted) != accepted {
			t.Errorf("the predefined id %d at QoS 1 is answered by %v; allowed: %v", id, a.Reason, accepted)
		}
	}
	got := map[string]bool{sub.receive().topic: true, sub.receive().topic: true}
	if !got["named"] || !got["mine/s1"] {
		t.Errorf("of a sensor with a name %v arrive", got)
	}
	b.settle(t)
}

// TestHostile21BrokenReload: a mistake anywhere leaves everything as it was: told
// by the command, with status 2, and in the log, whether asked for by signal or by
// the command. What a reload does not change is named.
func TestHostile21BrokenReload(t *testing.T) {
	t.Parallel()
	rules := newRules(t, "client: ann, allow: all, topic: 'a'")
	file := configure(t, "acl: {file: "+rules.file+"}\n")
	var args []string
	for _, s := range append(free[:len(free):len(free)], "admin.unix_socket="+socketPath(t)) {
		args = append(args, "--set", s)
	}
	b := launch(t, append(args, "-c", file)...)
	holds := func(when string) {
		t.Helper()
		if b.deniesPub(t, "ann", "a") || !b.deniesPub(t, "ann", "b") || !b.deniesPub(t, "bob", "a") {
			t.Errorf("%s: other rules hold than before", when)
		}
	}
	holds("at first")
	failed := 0
	for text, says := range map[string]string{
		"rules:\n  - {allow: all, topic: a/#/b}\n": "acl.yaml:2:25: rules[0].topic",
		"rules: [{allow: all}]\n":                  "acl.yaml:1:",
		"rules: {":                                 "acl.yaml:1:",
	} {
		if err := os.WriteFile(rules.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := b.operate(t, "reload")
		if status != 2 || stdout != "" || !strings.Contains(stderr, says) {
			t.Errorf("reload with %q ends with status %d and says %q; want 2 and %q", text, status, stdout+stderr, says)
		}
		failed++
		b.wantLogged(t, "reload_failed", failed)
		holds(fmt.Sprintf("with %q", text))
	}
	if err := os.Remove(rules.file); err != nil {
		t.Fatal(err)
	}
	b.process.Process.Signal(syscall.SIGHUP)
	b.wantLogged(t, "reload_failed", failed+1)
	holds("without the file")

	rules.write("client: bob, allow: all, topic: '#'")
	if err := os.WriteFile(file, []byte("acl: {file: "+rules.file+"}\nmqtt: {max_qos: 1}\nlimits: {queue: {messages: 7}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := b.operate(t, "reload")
	if status != 0 || stdout != "reloaded\n" || stderr != "dormouse reload: a restart would change mqtt.max_qos, limits.queue.messages\n" {
		t.Errorf("reload ends with status %d and says %q, %q", status, stdout, stderr)
	}
	b.wantLogged(t, "restart_needed", 1)
	if !b.deniesPub(t, "ann", "a") || b.deniesPub(t, "bob", "b") {
		t.Error("the new rules do not hold")
	}
	if err := os.WriteFile(rules.file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := b.operate(t, "reload"); status != 0 {
		t.Errorf("reload with an empty file of rules ends with status %d: %s", status, stderr)
	}
	if !b.deniesPub(t, "bob", "b") || !b.deniesPub(t, "canary", "b") {
		t.Error("an empty file of rules allows something")
	}
	b.stop()
}
