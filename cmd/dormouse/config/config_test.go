package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dormouse/configs/strict"
)

// problems loads text, of which something is wrong, and returns what.
func problems(t *testing.T, text string, sets ...string) strict.Problems {
	t.Helper()
	name := filepath.Join(t.TempDir(), "d.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(name, sets)
	var ps strict.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("Load(%.200q) error = %v, want Problems", text, err)
	}
	for _, p := range ps {
		p.Source = strings.ReplaceAll(p.Source, name, "d.yaml")
	}
	return ps
}

// TestProblems pins where a mistake is found and what is said about it.
func TestProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"misspelt key", "mqttsn:\n  gatway_id: 7\n",
			`d.yaml:2:3: there is no key "gatway_id" in mqttsn; did you mean "gateway_id"?`},
		{"key in the wrong place", "gateway_id: 7\n",
			`d.yaml:1:1: there is no key "gateway_id" at the top; did you mean mqttsn.gateway_id?`},
		{"unknown key", "sys_topics:\n  colour: red\n",
			`d.yaml:2:3: there is no key "colour" in sys_topics; the keys there are enabled, interval, allow, users`},
		{"a key of a later version", "cluster:\n  mode: none\n",
			`d.yaml:1:1: there is no key "cluster" at the top; the keys there are version, node, data_dir, durability, listeners, mqtt, mqttsn, limits, auth, acl, admin, log, sys_topics`},
		{"key set twice", "log:\n  level: info\n  level: warn\n",
			`d.yaml:3:3: log.level is set twice, first in line 2; keep one`},
		{"word for a number", "mqttsn: {gateway_id: one}\n",
			`d.yaml:1:22: mqttsn.gateway_id: "one" is not a whole number in reach`},
		{"number too large", "mqttsn:\n  gateway_id: 99999999999999999999\n",
			`d.yaml:2:15: mqttsn.gateway_id: "99999999999999999999" is not a whole number in reach`},
		{"number out of bounds", "mqttsn:\n  gateway_id: 256\n",
			`d.yaml:2:15: mqttsn.gateway_id is 256; it must be 1 to 255`},
		{"word for a truth", "sys_topics:\n  enabled: yes\n",
			`d.yaml:2:12: sys_topics.enabled: "yes" is neither true nor false`},
		{"unknown word", "log:\n  level: loud\n",
			`d.yaml:2:10: log.level is "loud"; it must be debug, info, warn or error`},
		{"list for a section", "limits: []\n",
			`d.yaml:1:9: limits is a list; it must be a section with keys of its own`},
		{"section for a value", "version: {major: 1}\n",
			`d.yaml:1:10: version is a section; it must be a single value`},
		{"value for a list", "listeners: tcp\n",
			`d.yaml:1:12: listeners is "tcp"; it must be a list`},
		{"no value", "mqttsn:\n  search_allow:\n  gateway_id: 1\n",
			`d.yaml:2:16: mqttsn.search_allow has no value; give it one, or leave the line out`},
		{"sync", "durability:\n  sync: interval:10\n",
			`d.yaml:2:9: durability.sync: "interval:10" is not when to sync; write always, interval:100ms or none`},
		{"sync too often", "durability:\n  sync: interval:1us\n",
			`d.yaml:2:9: durability.sync: the interval is 1µs; it must be 1ms to 1m`},
		{"no data_dir", "data_dir:\n",
			`d.yaml:1:11: data_dir is empty; name a directory, leave it out for ./dormouse-data, or set durability.store: memory`},
		{"memory", "limits:\n  memory_soft: 75%\n  memory_hard: 50%\n",
			`d.yaml:3:16: limits.memory_hard is 50%, below limits.memory_soft, 75%; QoS 0 is to go first`},
		{"memory, by default", "limits: {memory_soft: 95%}\n",
			`d.yaml:1:23: limits.memory_hard is 90%, below limits.memory_soft, 95%; QoS 0 is to go first`},
		{"too old for a sleeper", "durability: {max_age: 40h}\nmqttsn:\n  max_sleep: 21h\n",
			`d.yaml:3:14: mqttsn.max_sleep is 21h, more than half of durability.max_age, 40h, so that what waits for a sleeper that is late may be too old; make it 20h or less, or max_age 42h or more`},
		{"too old for a sleeper, by default", "durability: {max_age: 47h}\n",
			`d.yaml:1:23: mqttsn.max_sleep is 24h, more than half of durability.max_age, 47h, so that what waits for a sleeper that is late may be too old; make it 23h30m or less, or max_age 48h or more`},
		{"no version", "mqtt: {versions: []}\n",
			`d.yaml:1:8: mqtt.versions is empty, so that no client could connect; name one, or leave it out for all`},
		{"alias", "mqttsn:\n  forwarders: &f [any]\n  search_allow: *f\n",
			"d.yaml:2:15: anchors, aliases and tags are not supported; write the value out\n" +
				"d.yaml:3:17: anchors, aliases and tags are not supported; write the value out"},
		{"two documents", "version: 1\n---\nversion: 1\n",
			`d.yaml:1:1: not YAML: more than one document`},
		{"other version", "version: 2\n", `d.yaml:1:10: version is 2; it must be 1`},
		{"tab", "mqttsn:\n\tgateway_id: 7\n",
			`d.yaml:2:1: not YAML: found character '\t' that cannot start any token; indent with blanks, not with tabs`},
		{"terminal escape", "mqttsn:\n  predefined: [{id: 1, topic: \"a\\e[2J+\"}]\n",
			"d.yaml:2:31: \"a\\x1b[2J+\" cannot be published to: a topic has no + or # and does not begin with $"},

		{"open listener", "listeners:\n  - {name: a, type: tcp, address: \":1883\"}\n",
			`d.yaml:2:35: [::]:1883 is open beyond this machine, and no client needs a password; make a file with "dormouse passwd create FILE" and name it in auth.providers, write "security: insecure" if that is meant, or listen on 127.0.0.1`},
		{"open listener, passwords for who likes", "listeners:\n  - {name: a, type: tcp, address: \":1883\"}\nauth:\n  anonymous: {enabled: true}\n  providers: [{type: passwd, file: f}]\n",
			`d.yaml:2:35: [::]:1883 is open beyond this machine, and auth.anonymous.enabled lets in everyone without a password; leave that out, write "security: insecure" if that is meant, or listen on 127.0.0.1`},
		{"open sensors, passwords", "listeners:\n  - {name: a, type: mqttsn-udp, address: \"10.0.0.1:1884\"}\nauth: {providers: [{type: passwd, file: f}]}\n",
			`d.yaml:2:42: 10.0.0.1:1884 is open beyond this machine, and MQTT-SN over UDP knows no passwords; write "security: insecure" if that is meant, or listen on 127.0.0.1`},
		{"open listener, passwords misspelt", "listeners:\n  - {name: a, type: tcp, address: \":1883\"}\nauth: {provider: [{type: passwd, file: f}]}\n",
			`d.yaml:3:8: there is no key "provider" in auth; did you mean "providers"?`},
		{"half a provider", "auth:\n  providers:\n    - {type: passwd}\n    - {file: f}\n",
			"d.yaml:3:7: auth.providers[0] has no file; name one made by \"dormouse passwd create\"\n" +
				"d.yaml:4:7: auth.providers[1] has no type; it must be passwd, jwt or http"},
		{"user that nobody knows", "sys_topics:\n  users: [ann]\n",
			`d.yaml:2:3: sys_topics.users is for users whose password is checked; add auth.providers, or leave it out`},
		{"host name", "listeners:\n  - name: a\n    type: tcp\n    address: localhost:1883\n",
			`d.yaml:4:14: listeners[0].address: "localhost:1883" is not an IP address and port; write one like 127.0.0.1:1883, [::1]:1883 or :1883`},
		{"no listener", "listeners: []\n", `d.yaml:1:1: listeners is empty; leave it out for the defaults`},
		{"listener without anything", "listeners:\n  - security: insecure\n",
			"d.yaml:2:5: listeners[0] has no name; give it one\n" +
				"d.yaml:2:5: listeners[0] has no type; it must be tcp, tls, ws, wss, mqttsn-udp or mqttsn-dtls\n" +
				"d.yaml:2:5: listeners[0] has no address; write one like 127.0.0.1:1883"},
		{"same name, same address", "listeners:\n  - {name: a, type: tcp, address: \"127.0.0.1:1\"}\n  - {name: a, type: tcp, address: \"127.0.0.1:1\"}\n",
			"d.yaml:3:12: there are two listeners named \"a\"; rename one\n" +
				"d.yaml:3:35: 127.0.0.1:1 is open already: listener \"a\" is at 127.0.0.1:1; give each its own"},
		{"address of the operators'", "listeners:\n  - {name: a, type: tcp, address: \"127.0.0.1:18080\"}\n",
			`d.yaml:2:35: 127.0.0.1:18080 is open already: admin.listen is at 127.0.0.1:18080; give each its own`},
		{"operators' at a client's address", "admin: {listen: \"127.0.0.1:1883\"}\n",
			`d.yaml:1:17: 127.0.0.1:1883 is open already: listener "mqtt" is at 127.0.0.1:1883; give each its own`},
		{"long socket", "admin: {unix_socket: " + strings.Repeat("a", 108) + "}\n",
			`d.yaml:1:22: admin.unix_socket has 108 octets; the system allows 107 in the path of a socket`},
		{"UDP's key on TCP", "listeners:\n  - {name: a, type: tcp, address: \"127.0.0.1:1\", sockets: 2}\n",
			`d.yaml:2:59: listeners[0].sockets is for mqttsn-udp and mqttsn-dtls; leave it out`},
		{"predefined", "mqttsn:\n  predefined:\n    - {id: 1, topic: a}\n    - {id: 1, topic: b}\n    - {topic: c}\n    - {id: 2}\n    - {id: 3, topic: a/+}\n    - {id: 4, topic: \"a/{id}\"}\n    - {id: 65535, topic: a}\n",
			"d.yaml:4:12: id 1 is \"a\" already; give each topic its own\n" +
				"d.yaml:5:7: mqttsn.predefined[2] has no id; give it one from 1 to 65534\n" +
				"d.yaml:6:7: mqttsn.predefined[3] has no topic; give it one\n" +
				"d.yaml:7:22: \"a/+\" cannot be published to: a topic has no + or # and does not begin with $\n" +
				"d.yaml:8:22: \"a/{id}\" has a brace that is neither {clientid} nor {identity}, the only ones that are replaced\n" +
				"d.yaml:9:12: mqttsn.predefined[6].id is 65535; it must be 1 to 65534"},
		{"ADVERTISE to no one", "mqttsn:\n  advertise: {enabled: true}\n",
			`d.yaml:2:24: mqttsn.advertise.enabled needs mqttsn.advertise.addresses to send to, such as [225.1.1.1:1884]`},
		{"group that is none", "mqttsn:\n  multicast: {groups: [10.0.0.1]}\n",
			`d.yaml:2:24: 10.0.0.1 is not a multicast address; groups are in 224.0.0.0/4 or ff00::/8`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, p := range problems(t, tt.text) {
				p.Excerpt = ""
				lines = append(lines, p.Error())
			}
			if got := strings.Join(lines, "\n"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestExcerpt shows the line and points at the spot.
func TestExcerpt(t *testing.T) {
	const want = `d.yaml:2:15: mqttsn.gateway_id is 256; it must be 1 to 255
    2 |   gateway_id: 256
      |               ^`
	if got := problems(t, "mqttsn:\n  gateway_id: 256\n").Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestOtherEditors: a byte order mark and the line ends of Windows are no
// mistakes, and do not show.
func TestOtherEditors(t *testing.T) {
	const want = `d.yaml:2:15: mqttsn.gateway_id is 256; it must be 1 to 255
    2 |   gateway_id: 256
      |               ^`
	if got := problems(t, "\uFEFFmqttsn:\r\n  gateway_id: 256\r\n").Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestHostile29 refuses odd timer values rather than crashing on them.
func TestHostile29(t *testing.T) {
	for _, key := range []string{
		"mqtt.max_keepalive", "mqttsn.advertise.interval", "mqttsn.retry.interval",
		"mqttsn.max_sleep", "mqttsn.session_expiry", "limits.connect_timeout", "sys_topics.interval",
	} {
		for _, odd := range []string{"0", "0s", "-1s", "10", "1e9h", "9223372036854775807h", "10s10", "forever", ""} {
			if _, err := Load("", []string{key + "=" + odd}); err == nil {
				t.Errorf("%s=%q was accepted", key, odd)
			}
		}
	}
}

// TestHostile68 refuses files made to exhaust: each at once, none by crashing.
func TestHostile68(t *testing.T) {
	const maxLines = 8000 // that are read
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += strings.ReplaceAll("C: &C [*P,*P,*P,*P,*P,*P,*P,*P,*P]\n", "C", string(c))
		bomb = strings.ReplaceAll(bomb, "P", string(c-1))
	}
	for name, tt := range map[string]struct{ text, want string }{
		"bomb":          {bomb, `there is no key "a"`},
		"10 MB":         {strings.Repeat("# much ado\n", 1<<20), "longer than 256 KiB"},
		"deep brackets": {"version: " + strings.Repeat("[", 10_000), "brackets nest"},
		"deep blocks":   {deep(200), "version is a section"},
		"deep dashes":   {"version: 1\nnode:\n" + strings.Repeat("- ", 8000), ""},
		"many keys":     {strings.Repeat("version: 1\n", maxLines), "set twice"},
		"many unknown":  {strings.Repeat("x: 1\n", maxLines), `there is no key "x"`},
		"long line":     {"node: {id: " + strings.Repeat("x", 20<<10) + "}", "16 KiB"},
		"many lines":    {strings.Repeat("\n", maxLines+1), "8000 lines"},
		"wide lines":    {"node: {\n" + strings.Repeat(strings.Repeat("x: 1,", 3000)+"\n", 17) + "}\n", `there is no key "x"`},
		"binary":        {"\x00\x01\xff\xfe\n", "not UTF-8"},
		"quotes":        {strings.Repeat("\"\n", maxLines), ""},
		"colons":        {strings.Repeat(strings.Repeat(": ", 8000)+"\n", 16), ""},
	} {
		t.Run(name, func(t *testing.T) {
			ps := problems(t, tt.text)
			if !strings.Contains(ps.Error(), tt.want) {
				t.Errorf("Load: %.300v; want %q in it", ps, tt.want)
			}
			if len(ps) > strict.MaxProblems+1 {
				t.Errorf("%d problems are more than anyone reads", len(ps))
			}
		})
	}
}

// deep is a mapping in a mapping in a mapping.
func deep(n int) string {
	var b strings.Builder
	b.WriteString("version:\n")
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "x:\n")
	}
	return b.String()
}

// TestSet overlays single keys upon a file and upon the defaults.
func TestSet(t *testing.T) {
	c, err := Load("../../../configs/minimal.yaml", []string{
		"mqttsn.retry.interval=30s",
		"listeners.sn.address=[::1]:0",
		"listeners.0.address='127.0.0.1:0'", // as YAML has it
		"mqttsn.predefined=[{id: 7, topic: x}]",
		"node.id=",
		"mqttsn.qos_minus_one.topics=[7]",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.MQTTSN.Retry.Interval.String(); got != "30s" {
		t.Errorf("mqttsn.retry.interval = %s, want 30s", got)
	}
	if got := c.Listeners[0].Address.String() + " " + c.Listeners[1].Address.String(); got != "127.0.0.1:0 [::1]:0" {
		t.Errorf("listeners are at %s, want 127.0.0.1:0 [::1]:0", got)
	}
	if got := c.MQTTSN.Predefined; len(got) != 1 || got[0] != (Predefined{7, "x"}) {
		t.Errorf("mqttsn.predefined = %v, want the one that was set", got)
	}
	for arg, want := range map[string]string{
		"mqttsn.retry":              "--set mqttsn.retry: there is no value; write --set key=value",
		"mqttsn.rety.max=1":         `--set mqttsn.rety.max=1: there is no key "rety" in mqttsn; did you mean "retry"?`,
		"mqttsn.retry.max=11":       "--set mqttsn.retry.max=11: mqttsn.retry.max is 11; it must be 0 to 10",
		"mqttsn.retry.max.x=1":      `--set mqttsn.retry.max.x=1: mqttsn.retry.max is a single value and has no "x" in it`,
		"mqttsn.retry=5":            `--set mqttsn.retry=5: mqttsn.retry is "5"; it must be a section with keys of its own`,
		"listeners.tls.address=:1":  `--set listeners.tls.address=:1: listeners has no entry "tls"; give its name or its number, counted from 0`,
		"listeners.sn.address=:1":   `--set listeners.sn.address=:1: [::]:1 is open beyond this machine, and MQTT-SN over UDP knows no passwords; write "security: insecure" if that is meant, or listen on 127.0.0.1`,
		"=1":                        `--set =1: there is no key "" at the top; the keys there are version, node, data_dir, durability, listeners, mqtt, mqttsn, limits, auth, acl, admin, log, sys_topics`,
		"mqttsn.predefined=[{id: 1": "--set mqttsn.predefined=[{id: 1: not YAML: could not find flow mapping end token '}'",
	} {
		if _, err := Load("", []string{arg}); err == nil || err.Error() != want {
			t.Errorf("--set %s: %v\nwant %s", arg, err, want)
		}
	}
}

// TestOpen: a listener that everyone reaches is accepted where no one gets in
// without a password, and where the operator says that he means it.
func TestOpen(t *testing.T) {
	for _, tt := range []struct{ kind, more string }{
		{"tcp", ""}, {"ws", ""}, {"tcp", "  anonymous: {enabled: false}\n"},
		{"tcp", "  anonymous: {enabled: loopback}\n"},
	} {
		text := "listeners:\n  - {name: a, type: " + tt.kind + ", address: \":1\"}\n" +
			"  - {name: sn, type: mqttsn-udp, address: \":1\", security: insecure}\n" +
			"auth:\n  providers: [{type: passwd, file: f}]\n" + tt.more
		name := filepath.Join(t.TempDir(), "d.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(name, nil); err != nil {
			t.Errorf("with\n%s\nLoad says\n%v", text, err)
		}
	}
}

// TestUnits reads every unit as it is written and writes it the same.
func TestUnits(t *testing.T) {
	for _, s := range []string{"500ms", "10s", "1m30s", "15m", "24h", "12h8m10s", "1h0m1s", "0s"} {
		var d Duration
		if err := d.UnmarshalText([]byte(s)); err != nil || d.String() != s {
			t.Errorf("Duration %s reads as %v, %v", s, d, err)
		}
	}
	for s, want := range map[string]Bytes{"0": 0, "512": 512, "16KiB": 16384, "8MiB": 8 << 20, "1TiB": 1 << 40, "1000": 1000} {
		var n Bytes
		if err := n.UnmarshalText([]byte(s)); err != nil || n != want || n.String() != s {
			t.Errorf("Bytes %s reads as %d, %v; want %d", s, n, err, want)
		}
	}
	for _, s := range []string{"-1", "1.5MiB", "8MB", "KiB", "99999999TiB", "99999999999999999999", "1e3"} {
		if err := new(Bytes).UnmarshalText([]byte(s)); err == nil {
			t.Errorf("Bytes %s was accepted", s)
		}
	}
	for s, want := range map[string]Rate{"20/s": 20, "90/m": 1.5, "1/h": 1. / 3600, "0/s": 0} {
		var r Rate
		if err := r.UnmarshalText([]byte(s)); err != nil || r != want || r.String() != s {
			t.Errorf("Rate %s reads as %v, %v; want %v", s, r, err, float64(want))
		}
	}
	for _, s := range []string{"20", "20/d", "-1/s", "/s", "1.5/s", "20/s/s"} {
		if err := new(Rate).UnmarshalText([]byte(s)); err == nil {
			t.Errorf("Rate %s was accepted", s)
		}
	}
	for _, s := range []string{"192.0.2.1/24", "lan", "10.0.0.0", ""} {
		if err := new(Network).UnmarshalText([]byte(s)); err == nil {
			t.Errorf("Network %s was accepted", s)
		}
	}
}

// FuzzLoad: whatever the file holds, Load returns a configuration or says
// what is wrong; it neither panics nor takes long.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"minimal.yaml", "reference.yaml"} {
		b, err := os.ReadFile("../../../configs/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("mqttsn: {predefined: [{id: 1, topic: |\n x}], search_allow: &a [*a]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := newReader()
		c := Default()
		d, problem := strict.Parse("f", text)
		r.document(d, problem, reflect.ValueOf(c).Elem(), "")
		r.validate(c)
		if len(r.problems) > 0 && r.problems.Error() == "" {
			t.Fatal("something is wrong but nothing is said")
		}
	})
}
