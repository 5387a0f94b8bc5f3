package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dormouse/bridge"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/mqtt"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport/dtls"
)

// TestDefaults holds the configuration's defaults to those of the packages
// that they end up in: whoever reads either is told the truth.
func TestDefaults(t *testing.T) {
	c := config.Default()
	log := zerolog.Nop()

	o := coreOptions(c, log)
	o.Now = nil
	want := core.DefaultOptions()
	want.Now, want.Log, want.Version = nil, o.Log, o.Version
	same(t, "core", o, want)

	m, wantMQTT := mqttOptions(c, log), mqtt.DefaultOptions()
	wantMQTT.Log = m.Log
	same(t, "mqtt", m, wantMQTT)

	g, wantGateway := gatewayConfig(c, &c.Listeners[1], log), gateway.DefaultConfig()
	g.Log, g.Wall, wantGateway.Wall = nil, nil, nil
	wantGateway.Listener, wantGateway.Shards, wantGateway.Seed = g.Listener, g.Shards, g.Seed
	wantGateway.Session.Predefined = g.Session.Predefined
	// What a gateway alone lets nobody do, a broker lets those nearby do.
	wantGateway.Search.Allow, wantGateway.Forwarders = g.Search.Allow, g.Forwarders
	wantGateway.QoSMinusOne.From = gateway.Loopback
	same(t, "gateway", g, wantGateway)

	same(t, "bridge", bridgeConfig(c), bridge.DefaultConfig())
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s gets\n%+v, want\n%+v", what, got, want)
	}
}

// TestExtremes: whatever the configuration allows, the packages behind it
// accept, so that nothing passes "dormouse check" and fails "dormouse serve".
func TestExtremes(t *testing.T) {
	for _, end := range []string{"min", "max"} {
		sets := []string{"mqttsn.advertise.addresses=[225.1.1.1:1884]", "mqttsn.advertise.enabled=true"}
		for key, f := range settingsOf(reflect.TypeFor[config.Config](), "") {
			if value, ok := f.Tag.Lookup(end); ok && f.Type.Kind() != reflect.Slice {
				sets = append(sets, key+"="+value)
			}
		}
		c, err := config.Load("", sets)
		if err != nil {
			t.Fatal(err)
		}
		o, m := coreOptions(c, zerolog.Nop()), mqttOptions(c, zerolog.Nop())
		g := gatewayConfig(c, &c.Listeners[1], zerolog.Nop())
		b := bridgeConfig(c)
		for what, err := range map[string]error{"bridge": b.Validate(), "core": o.Validate(), "mqtt": m.Validate(), "gateway": g.Validate()} {
			if err != nil {
				t.Errorf("at its %s, %s refuses what the configuration allows: %v", end, what, err)
			}
		}
	}
}

// settingsOf yields the key and the field of each setting below t that is not
// a section of others.
func settingsOf(t reflect.Type, key string) map[string]reflect.StructField {
	all := map[string]reflect.StructField{}
	for i := range t.NumField() {
		f := t.Field(i)
		k := key + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[config.Address]() {
			maps.Copy(all, settingsOf(f.Type, k+"."))
			continue
		}
		all[k] = f
	}
	return all
}

// TestEverySettingCounts: each setting reaches a package behind the
// configuration.
func TestEverySettingCounts(t *testing.T) {
	left := settingsOf(reflect.TypeFor[config.Config](), "")
	for _, key := range []string{"version", "listeners", "node.id", "log.level", "log.format", "data_dir", "durability.store",
		"admin.enabled", "admin.listen", "admin.unix_socket"} {
		delete(left, key) // seen elsewhere
	}
	file := filepath.Join(t.TempDir(), "acl.yaml")
	if err := os.WriteFile(file, []byte("rules: [{allow: all, topic: a}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	advertising := []string{"mqttsn.advertise.addresses=[225.1.1.1:1884]", "mqttsn.advertise.enabled=true"}
	knowing := []string{"auth.providers=[{type: passwd, file: f}]", "sys_topics.users=[ops]"}
	binding := []string{"auth.providers=[{type: passwd, file: f}]", "auth.client_id.bind=none"}
	prefixed := []string{"auth.providers=[{type: passwd, file: f}]", "auth.client_id.bind=prefix"}
	ruled := []string{"acl.default=deny", "acl.file=" + file}
	given := []string{"auth.anonymous.role=r", "auth.roles=[{role: s, listeners: [sn]}]"}
	rules := []string{"auth.anonymous.role=r", "acl.rules=[{role: r, allow: publish, topic: a}]"}
	hearing := []string{"mqttsn.multicast.groups=[225.1.1.1]"}
	for _, sets := range [][]string{advertising, knowing, binding, prefixed, ruled, given, rules, append(hearing, "mqttsn.multicast.port=7")} {
		for _, set := range sets {
			key, _, _ := strings.Cut(set, "=")
			delete(left, key)
		}
		c, err := config.Load("", sets)
		if err != nil {
			t.Fatal(err)
		}
		before, err := config.Load("", sets[:1])
		if err != nil {
			t.Fatal(err)
		}
		if reflect.DeepEqual(wired(c), wired(before)) {
			t.Errorf("%s changes nothing", sets[1])
		}
	}
	for _, set := range []string{
		"mqtt.max_keepalive=1m", "mqtt.max_session_expiry=1m", "mqtt.versions=[5]", "mqtt.max_qos=1",
		"mqtt.topic_alias_maximum=7", "mqtt.retain=false", "mqtt.wildcard_subscriptions=false",
		"mqtt.shared_subscriptions=false",
		"mqttsn.gateway_id=7", "mqttsn.advertise.interval=1m", "mqttsn.search.answer=false",
		"mqttsn.search.hop_limit=7", "mqttsn.search.rate=7/s", "mqttsn.search_allow=[any]",
		"mqttsn.retry.interval=7s", "mqttsn.retry.jitter=7%", "mqttsn.retry.max=7", "mqttsn.max_sleep=7m", "mqttsn.session_expiry=7m",
		"mqttsn.topic_ids.per_client=7", "mqttsn.topic_ids.registers_per_minute=7",
		"mqttsn.predefined=[{id: 1, topic: a}]", "mqttsn.qos_minus_one.enabled=true",
		"mqttsn.qos_minus_one.topics=[7]", "mqttsn.qos_minus_one.rate_per_source=7/s",
		"mqttsn.qos_minus_one.rate=7/s", "mqttsn.address_migration=always", "mqttsn.forwarders=[any]",
		"mqttsn.multicast.groups=[225.1.1.1]", "mqttsn.multicast.interfaces=[lo]", "mqttsn.max_packet=512",
		"limits.max_sessions=7", "limits.max_connections=7", "limits.max_connections_per_ip=7",
		"limits.connect_timeout=7s", "limits.connect_rate=7/s", "limits.pre_connect_bytes=1KiB",
		"limits.max_packet_size=1KiB", "limits.max_topic_length=7", "limits.max_topic_levels=7",
		"limits.max_wildcards_per_filter=7", "limits.max_subscriptions_per_client=7",
		"limits.receive_maximum=7", "limits.inflight=7", "limits.queue.messages=7",
		"limits.max_filters_per_subscribe=7", "limits.max_user_properties=7",
		"limits.client_publish_rate.messages=7", "limits.client_publish_rate.bytes=7",
		"limits.retained.per_publisher=7", "limits.retained.replay_per_subscribe=7", "limits.retained.replay_rate=7/s",
		"limits.queue.bytes=7KiB", "limits.queue.overflow=drop_newest", "limits.retained.messages=7",
		"limits.memory_soft=7%", "limits.memory_hard=80%", "limits.retained.bytes=7KiB", "limits.unauthenticated_udp.responses_per_prefix=7/s",
		"limits.unauthenticated_udp.prefix_v4=8", "limits.unauthenticated_udp.prefix_v6=64", "limits.unauthenticated_udp.exempt=[private]",
		"sys_topics.enabled=false", "sys_topics.interval=7s", "sys_topics.allow=[any]",
		"auth.anonymous.enabled=false", "auth.anonymous.role=r", "auth.client_id.pattern=a", "auth.lockout.failures=7", "auth.lockout.window=7s", "auth.lockout.block=7s", "auth.lockout.exempt=[any]", "acl.default=deny", "acl.recheck=[deliver]", "auth.roles=[{role: s}]", "auth.providers=[{type: passwd, file: f}]", "listeners.mqtt.security=insecure",
		"durability.sync=none", "durability.max_bytes=1GiB", "durability.max_age=100h", "limits.disk_free_min=1GiB",
		"listeners.sn.sockets=7", "listeners.sn.recv_buffer=1MiB",
	} {
		key, _, _ := strings.Cut(set, "=")
		delete(left, key)
		c, err := config.Load("", []string{set})
		if err != nil {
			t.Error(err)
			continue
		}
		if reflect.DeepEqual(wired(c), wired(config.Default())) {
			t.Errorf("%s changes nothing", set)
		}
	}
	for key := range left {
		t.Errorf("%s is not tried", key)
	}
}

// wired is all that becomes of c, without what differs from call to call.
func wired(c *config.Config) []any {
	o := coreOptions(c, zerolog.Nop())
	o.Now = nil
	g := gatewayConfig(c, &c.Listeners[1], zerolog.Nop())
	g.Seed, g.Log, g.Wall = 0, nil, nil
	return []any{o, mqttOptions(c, zerolog.Nop()), authOptions(c), policyOf(c), clientIDsOf(c), g, bridgeConfig(c), udpConfig(c, &c.Listeners[1]), newMemory(c, 1, nil, zerolog.Nop()), diskOptions(c, zerolog.Nop())}
}

// TestBroadcast: sockets that may send to all of a network are those that
// advertise there.
func TestBroadcast(t *testing.T) {
	for addresses, want := range map[string]bool{
		"[225.1.1.1:1884]": false, "[\"[ff02::1]:1884\"]": false, "[225.1.1.1:1884, 192.0.2.255:1884]": true, "[255.255.255.255:1884]": true,
	} {
		for enabled, want := range map[string]bool{"true": want, "false": false} {
			c, err := config.Load("", []string{"mqttsn.advertise.addresses=" + addresses, "mqttsn.advertise.enabled=" + enabled})
			if err != nil {
				t.Fatal(err)
			}
			if got := udpConfig(c, &c.Listeners[1]).Broadcast; got != want {
				t.Errorf("advertising at %s, enabled %s: %v", addresses, enabled, got)
			}
		}
	}
}

// TestEveryDTLSSettingCounts: each setting of a DTLS listener reaches the
// transport, whose defaults are the same, and no extreme of one is refused there.
func TestEveryDTLSSettingCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "psk")
	if err := os.WriteFile(file, []byte("a:00112233445566778899aabbccddeeff"), 0o600); err != nil {
		t.Fatal(err)
	}
	wired := func(dtls string, sets ...string) dtls.Config {
		t.Helper()
		c, err := config.Load("", append(sets, "listeners=[{name: sns, type: mqttsn-dtls, address: '127.0.0.1:0', dtls: {psk_file: "+file+dtls+"}}]"))
		if err != nil {
			t.Fatal(err)
		}
		d := dtlsConfig(c, &c.Listeners[0])
		if err := d.Validate(); err != nil {
			t.Errorf("%s%v: %v", dtls, sets, err)
		}
		if u := udpConfig(c, &c.Listeners[0]); u.MaxDatagram < c.MQTTSN.MaxPacket+dtlsOverhead || u.Broadcast || u.Groups != nil {
			t.Errorf("%v: %+v", sets, u)
		}
		d.Name, d.Clock, d.Seed = nil, nil, 0
		return d
	}
	is, want := wired(""), dtls.DefaultConfig()
	want.Name, want.Clock = nil, nil
	same(t, "dtls", is, want)
	for _, set := range []string{"mqttsn.address_migration=never", "limits.unauthenticated_udp.prefix_v4=8", "limits.unauthenticated_udp.prefix_v6=64"} {
		if reflect.DeepEqual(wired("", set), is) {
			t.Errorf("%s changes nothing", set)
		}
	}
	wired("", "mqttsn.max_packet=2048", "mqttsn.advertise.enabled=true", "mqttsn.advertise.addresses=[192.0.2.255:1884]", "mqttsn.multicast.groups=[225.1.1.1]")
	for key, f := range settingsOf(reflect.TypeFor[config.DTLS](), "") {
		for _, end := range []string{"min", "max"} {
			if value, ok := f.Tag.Lookup(end); ok && reflect.DeepEqual(wired(", "+key+": "+value), is) {
				t.Errorf("%s: %s changes nothing", key, value)
			}
		}
	}
}

// dtlsOverhead is what a record adds: header, connection id, nonce, type and tag.
const dtlsOverhead = 13 + 8 + 8 + 1 + 16
