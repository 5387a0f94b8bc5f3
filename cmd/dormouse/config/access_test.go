package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHostile21Rules: what is wrong with a rule, a role or a client id is told
// with its place, before anything is opened: no rule is passed over in silence.
func TestHostile21Rules(t *testing.T) {
	const known = "auth: {providers: [{type: passwd, file: f}]}\n"
	for _, tt := range []struct{ name, text, want string }{
		{"listener that is none", "acl:\n  rules:\n    - {listener: mqtts, allow: all, topic: a}\n",
			`d.yaml:3:18: there is no listener "mqtts"; there are mqtt, sn, ws`},
		{"role of nobody", "acl:\n  rules:\n    - {role: sensor, allow: all, topic: a}\n",
			`d.yaml:3:14: nobody has the role "sensor": there are none; see auth.roles`},
		{"role misspelt", "auth: {anonymous: {role: anon}, roles: [{role: sensor, listeners: [sn]}]}\nacl:\n  rules:\n    - {role: sensors, allow: all, topic: a}\n",
			`d.yaml:4:14: nobody has the role "sensors": the roles are anon, sensor`},
		{"both", "acl:\n  rules:\n    - {allow: all, deny: publish, topic: a}\n",
			`d.yaml:3:26: acl.rules[0] allows and denies; make two rules of it`},
		{"neither", "acl:\n  rules:\n    - {topic: a}\n",
			`d.yaml:3:7: acl.rules[0] neither allows nor denies; add "allow" or "deny": publish, subscribe or all`},
		{"no such action", "acl:\n  rules:\n    - {allow: read, topic: a}\n",
			`d.yaml:3:15: acl.rules[0].allow is "read"; it must be publish, subscribe or all`},
		{"no topic", "acl:\n  rules:\n    - {allow: all}\n",
			`d.yaml:3:7: acl.rules[0].topic: the topic is empty; give one, or # for all`},
		{"no filter", "acl:\n  rules:\n    - {allow: all, topic: a/#/b}\n",
			`d.yaml:3:27: acl.rules[0].topic: "a/#/b": nothing may follow #`},
		{"no name", "acl:\n  rules:\n    - {allow: all, topic: \"a/{client}\"}\n",
			`d.yaml:3:27: acl.rules[0].topic: "a/{client}" has a brace that is neither {clientid} nor {identity}, the only ones that are replaced`},
		{"bounds of what is denied", "acl:\n  rules:\n    - {deny: publish, topic: a, max_qos: 1}\n",
			`d.yaml:3:14: acl.rules[0] denies, and max_qos and retain are bounds of what is allowed; leave them out`},
		{"retain of a subscription", "acl:\n  rules:\n    - {allow: subscribe, topic: a, retain: false}\n",
			`d.yaml:3:44: acl.rules[0].retain is about what is published; leave it out`},
		{"QoS", "acl:\n  rules:\n    - {allow: publish, topic: a, max_qos: 3}\n",
			`d.yaml:3:43: acl.rules[0].max_qos is 3; it must be 0 to 2`},
		{"names that nobody checks", "auth: {roles: [{role: r, users: [ann]}]}\nacl:\n  rules:\n    - {user: ann, allow: all, topic: a}\n    - {allow: all, topic: \"a/{identity}\"}\n",
			"d.yaml:1:26: \"ann\" is a user name, and nobody checks those; add auth.providers\n" +
				"d.yaml:4:14: \"ann\" is a user name, and nobody checks those; add auth.providers\n" +
				"d.yaml:5:27: \"{identity}\" is a user name, and nobody checks those; add auth.providers"},
		{"empty where nobody would be meant", known + "acl:\n  rules:\n    - {client: \"\", from: [], allow: all, topic: a}\n",
			"d.yaml:4:16: acl.rules[0].client is empty; leave it out for everybody\n" +
				"d.yaml:4:20: acl.rules[0].from is empty, so that it would be about nobody; leave it out for everywhere"},
		{"network mistyped", "acl:\n  rules:\n    - {from: [10.0.0.1/8], allow: all, topic: a}\n",
			`d.yaml:3:15: acl.rules[0].from[0]: "10.0.0.1/8" is not a network; write loopback, link-local, private, any or a prefix like 192.0.2.0/24`},
		{"role without a name", "auth: {roles: [{users: []}]}\n",
			"d.yaml:1:16: \"\" is no name of a role; it has letters, digits, \"-\", \"_\" and \".\"\n" +
				"d.yaml:1:17: auth.roles[0].users is empty, so that nobody would have the role; leave it out for everybody"},
		{"two names of a role", "auth: {anonymous: {role: \"a b\"}}\n",
			`d.yaml:1:26: "a b" is no name of a role; it has letters, digits, "-", "_" and "."`},
		{"pattern", "auth: {client_id: {pattern: \"a[\"}}\n",
			"d.yaml:1:29: auth.client_id.pattern is no regular expression: error parsing regexp: missing closing ]: `[`"},
		{"prefix of no name", "auth: {client_id: {bind: prefix}}\n",
			`d.yaml:1:26: auth.client_id.bind is prefix, which is about user names, and nobody checks those; add auth.providers, or leave it out`},
		{"file and rules", "acl: {file: f, rules: [{allow: all, topic: a}]}\n",
			`d.yaml:1:13: acl.file and acl.rules are both set; keep one`},
		{"file that is none", "acl: {file: /no/such/file}\n",
			`d.yaml:1:13: acl.file: /no/such/file: there is no such file; name a file of rules`},
		{"file that is a directory", "acl: {file: /}\n",
			`d.yaml:1:13: acl.file: /: cannot be read: is a directory; name a file of rules`},
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

// ruleFile makes a file of rules.
func ruleFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "acl.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestHostile21RuleFile: a mistake in a file of rules is told with the file and
// the line, and where each rule is written is known.
func TestHostile21RuleFile(t *testing.T) {
	name := ruleFile(t, "# rules\nrules:\n  - {allow: publish, topic: a, max_qos: 1}\n  - deny: all\n    topic: b\n")
	c, err := Load("", []string{"acl.file=" + name})
	if err != nil {
		t.Fatal(err)
	}
	want := []Rule{
		{Allow: "publish", Topic: "a", MaxQoS: 1, Retain: true, Where: name + ":3"},
		{Deny: "all", Topic: "b", MaxQoS: 2, Retain: true, Where: name + ":4"},
	}
	for i, r := range c.ACL.Rules {
		if r.Where != want[i].Where || r.Topic != want[i].Topic || r.MaxQoS != want[i].MaxQoS || !r.Retain {
			t.Errorf("rule %d is %+v, want %+v", i, r, want[i])
		}
	}
	for text, says := range map[string]string{
		"rules:\n  - {allow: all, topic: a/#/b}\n": `:2:25: rules[0].topic: "a/#/b": nothing may follow #`,
		"rules:\n  - {alow: all, topic: a}\n":      `:2:6: there is no key "alow" in rules[0]; did you mean "allow"?`,
		"- {allow: all, topic: a}\n":               `:1:1: a file of rules begins with "rules:"; see acl.rules`,
		"rule:\n  - {allow: all, topic: a}\n":      `:1:1: there is no key "rule" at the top; did you mean "rules"?`,
		"rules: {allow: all":                       `:1:`,
		"rules:\n":                                 `:1:8: rules has no value; give it one, or leave the line out`,
		"\x00":                                     `:1:1: not UTF-8; save the file as UTF-8 text`,
	} {
		name := ruleFile(t, text)
		if _, err := Load("", []string{"acl.file=" + name}); err == nil || !strings.HasPrefix(err.Error(), name+says) {
			t.Errorf("of %q it says %v, want %s", text, err, says)
		}
	}
	for _, text := range []string{"", "# none\n", "rules: []\n"} {
		c, err := Load("", []string{"acl.file=" + ruleFile(t, text)})
		if err != nil || len(c.ACL.Rules) != 0 {
			t.Errorf("a file %q without rules: %v, %v", text, c, err)
		}
	}
}

// TestReload: what may change while a server runs is taken over, all else stays
// and is named.
func TestReload(t *testing.T) {
	before, err := Load("", []string{"auth.providers=[{type: passwd, file: f}]"})
	if err != nil {
		t.Fatal(err)
	}
	next, err := Load("", []string{
		"auth.providers=[{type: passwd, file: g}]", "auth.anonymous.enabled=false", "auth.anonymous.role=r", "auth.client_id.pattern=a",
		"auth.roles=[{role: s}]", "acl.rules=[{allow: all, topic: a}]", "acl.recheck=[]", "sys_topics.allow=[any]", "sys_topics.users=[ann]",
		"auth.client_id.bind=none", "mqtt.max_qos=1", "listeners.sn.sockets=3", "limits.queue.messages=9", "sys_topics.interval=1m",
	})
	if err != nil {
		t.Fatal(err)
	}
	now, restart := before.Reload(next)
	want := []string{"listeners", "mqtt.max_qos", "limits.queue.messages", "auth.client_id.bind", "sys_topics.interval"}
	if !slices.Equal(restart, want) {
		t.Errorf("a restart would change %q, want %q", restart, want)
	}
	if now.MQTT.MaxQoS != 2 || now.Listeners[1].Sockets != before.Listeners[1].Sockets || now.Auth.ClientID.Bind != "identity" {
		t.Errorf("%+v has what takes a restart", now)
	}
	if a := &now.Auth; a.Providers[0].File != "g" || a.Anonymous != next.Auth.Anonymous || a.ClientID.Pattern != "a" || len(a.Roles) != 1 ||
		len(now.ACL.Rules) != 1 || len(now.ACL.Recheck) != 0 || now.SysTopics.Allow[0].Name != "any" || now.SysTopics.Users[0] != "ann" {
		t.Errorf("%+v does not have what is reloaded", now)
	}
	if before.Auth.Providers[0].File != "f" || len(before.ACL.Rules) != 0 {
		t.Errorf("what held before is %+v now", before)
	}
	if err := now.Check(); err != nil {
		t.Error(err)
	}
	now.Listeners = nil
	if err := now.Check(); err == nil {
		t.Error("a configuration without listeners is found to be well")
	}
}
