package auth

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"dormouse/core"
)

// policy reads rules as people say them: "allow pub a/# to user ann, qos 1".
func policy(t testing.TB, lines ...string) Policy {
	t.Helper()
	var p Policy
	for i, line := range lines {
		words := strings.Fields(line)
		r := Rule{At: fmt.Sprint(i + 1), Deny: words[0] == "deny", MaxQoS: 2, Retain: true, Topic: words[2],
			Publish: words[1] != "sub", Subscribe: words[1] != "pub"}
		for _, w := range words[3:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "role":
				r.Role = value
			case "user":
				r.User = value
			case "client":
				r.Client = value
			case "listener":
				r.Listener = value
			case "from":
				r.From = append(r.From, netip.MustParsePrefix(value))
			case "qos":
				r.MaxQoS = core.QoS(value[0] - '0')
			case "unretained":
				r.Retain = false
			}
		}
		if err := ValidTopic(r.Topic); err != nil {
			t.Fatal(err)
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

var ann = core.Identity{ClientID: "a1", User: "ann", Edge: "mqtt", Listener: "mqtt", Remote: "192.0.2.7:5"}

// asks reads a request: "pub a/b", "sub a/#", "get a/b" for a delivery, then
// "qos=1", "retained" or "shared".
func asks(request string) core.Access {
	words := strings.Fields(request)
	a := core.Access{Do: core.ActSubscribe, Topic: words[1]}
	switch words[0] {
	case "pub":
		a.Do = core.ActPublish
	case "get":
		a.At = core.OnDelivery
	}
	for _, w := range words[2:] {
		switch {
		case strings.HasPrefix(w, "qos="):
			a.QoS = core.QoS(w[4] - '0')
		case w == "retained":
			a.Retain = true
		case w == "shared":
			a.Shared = true
		}
	}
	return a
}

// wantRule wants the n-th rule, from 1 on, to decide; 0: none is about it.
func wantRule(t *testing.T, l *ACL, who core.Identity, request string, n int) {
	t.Helper()
	got, at := l.Decide(who, asks(request)), "0"
	if got.Rule != nil {
		at = got.Rule.At
	}
	if at != fmt.Sprint(n) {
		t.Errorf("%s by %+v: rule %s decides, want %d", request, who, at, n)
	}
}

// TestFirstRuleDecides, whomever it names and however it is found.
func TestFirstRuleDecides(t *testing.T) {
	p := policy(t,
		"deny  all a/secret user=ann",
		"allow pub a/#      client=a1",
		"allow pub a/b      user=ann",
		"deny  pub a/#      ",
		"allow all b/#      user=an* qos=1 unretained",
		"allow sub c/#      role=day",
		"allow all d/#      from=192.0.2.0/24",
		"deny  all d/#      listener=mqtt",
		"allow all d/#      user=ann client=a1",
		"allow sub #        role=bot",
	)
	p.Roles = []Role{
		{Name: "day", Users: []string{"ann", "x*"}, Listeners: []string{"mqtt"}},
		{Name: "day", From: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}},
		{Name: "bot", Anonymous: true},
	}
	l := NewACL(p)
	with := func(change func(*core.Identity)) core.Identity {
		who := ann
		change(&who)
		return who
	}
	for _, tt := range []struct {
		who     core.Identity
		request string
		rule    int
	}{
		{ann, "pub a/secret", 1},
		{ann, "sub a/secret", 1},
		{ann, "pub a/b", 2},
		{ann, "sub a/b", 0},
		{with(func(i *core.Identity) { i.ClientID = "a2" }), "pub a/b", 3},
		{with(func(i *core.Identity) { i.ClientID = "a2" }), "pub a/c", 4},
		{with(func(i *core.Identity) { i.User = "bob" }), "pub a/secret", 2},
		{with(func(i *core.Identity) { i.User, i.ClientID = "bob", "b1" }), "pub a/secret", 4},
		{ann, "pub b/x qos=1", 5},
		{ann, "pub b/x qos=2", 0},
		{ann, "pub b/x retained", 0},
		{ann, "sub b/+ qos=1", 5},
		{ann, "sub b/+ qos=2", 0},
		{with(func(i *core.Identity) { i.User = "a" }), "pub b/x", 0},
		{with(func(i *core.Identity) { i.User = "" }), "pub b/x", 0},
		{ann, "sub c/x", 6},
		{with(func(i *core.Identity) { i.Listener = "sn" }), "sub c/x", 0},
		{with(func(i *core.Identity) { i.User = "xav" }), "sub c/x", 6},
		{with(func(i *core.Identity) { i.User, i.Remote = "bob", "[2001:db8::9]:5" }), "sub c/x", 6},
		{with(func(i *core.Identity) { i.User, i.Roles = "bob", "night day" }), "sub c/x", 6},
		{with(func(i *core.Identity) { i.User, i.Roles = "bob", "nights daylight" }), "sub c/x", 0},
		{with(func(i *core.Identity) { i.User = "" }), "sub c/x", 10},
		{ann, "pub d/x", 7},
		{with(func(i *core.Identity) { i.Remote = "[::ffff:192.0.2.9]:5" }), "pub d/x", 7},
		{with(func(i *core.Identity) { i.Remote = "198.51.100.1:5" }), "pub d/x", 8},
		{with(func(i *core.Identity) { i.Remote, i.Listener = "", "sn" }), "pub d/x", 9},
		{with(func(i *core.Identity) { i.Remote, i.Listener = "192.0.2.7:5/0a0b", "sn" }), "pub d/x", 9},
	} {
		wantRule(t, l, tt.who, tt.request, tt.rule)
	}
}

// TestNotAboutAnybodyElse: what no rule is about is as the default says.
func TestNotAboutAnybodyElse(t *testing.T) {
	for _, allow := range []bool{false, true} {
		l := NewACL(Policy{Allow: allow})
		for _, request := range []string{"pub a", "sub #", "get a"} {
			if got := l.Allows(ann, asks(request)); got != (allow || request == "get a") {
				t.Errorf("by default %v, %s: %v", allow, request, got)
			}
		}
	}
	if !NewACL(Policy{}).Allows(core.Identity{Edge: Admin}, asks("pub a retained")) {
		t.Error("an operator may not remove what is retained")
	}
}

// TestDenyWithoutAddress: a rule that keeps some addresses out keeps out whoever
// has none, and one that lets some in does not let him.
func TestDenyWithoutAddress(t *testing.T) {
	l := NewACL(policy(t, "deny pub a from=192.0.2.0/24", "allow pub b from=192.0.2.0/24", "allow pub a"))
	behind := core.Identity{Remote: "192.0.2.7:5/0a0b"}
	wantRule(t, l, behind, "pub a", 1)
	wantRule(t, l, behind, "pub b", 0)
	wantRule(t, l, core.Identity{Remote: "198.51.100.1:5"}, "pub a", 3)
}

// TestHostile20Literally: a name stands for itself. One that could say more than
// a level is in no topic that is allowed, and in each that is denied.
func TestHostile20Literally(t *testing.T) {
	l := NewACL(policy(t,
		"deny  pub private/{identity}/x",
		"allow all s/{clientid}/#",
		"allow all u/x-{identity}-{clientid}y",
		"allow sub {clientid}/#",
		"allow pub private/#",
	))
	named := func(id string) core.Identity { return core.Identity{ClientID: id, User: id} }
	for _, tt := range []struct {
		id, request string
		rule        int
	}{
		{"a", "pub s/a/t", 2},
		{"a", "pub s/a", 2},
		{"a", "sub s/a/#", 2},
		{"a", "pub s/ab/t", 0},
		{"a", "sub s/+/t", 0},
		{"a", "sub s/#", 0},
		{"a", "sub +/a/t", 0},
		{"a", "pub u/x-a-ay", 3},
		{"a", "pub u/x-a-y", 0},
		{"a", "pub u/x-a-ayy", 0},
		{"a", "sub a/b", 4},
		{"a", "pub private/a/x", 1},
		{"a", "pub private/b/x", 5},
		{"+", "sub s/+/t", 0},
		{"+", "pub s/a/t", 0},
		{"+", "sub +/b", 0},
		{"#", "sub s/#", 0},
		{"#", "sub #", 0},
		{"a/b", "pub s/a/b/t", 0},
		{"a/b", "pub private/c/x", 1},
		{"+", "pub private/c/x", 1},
		{"", "pub s//t", 0},
		{"", "pub private/c/x", 1},
		{"$SYS", "sub $SYS/x", 0},
		{"{clientid}", "pub s/{clientid}/t", 2},
		{"{clientid}", "pub s/a/t", 0},
		{"{identity}", "pub u/x-{identity}-{identity}y", 3},
		{".*", "pub s/a/t", 0},
		{"%c", "pub s/%c/t", 2},
	} {
		wantRule(t, l, named(tt.id), tt.request, tt.rule)
	}
}

// topics and filters are all of up to three levels of a few words.
func universe() (topics, filters []string) {
	words := []string{"a", "b", "$a", "+", "#"}
	var grow func(prefix string, levels int)
	grow = func(prefix string, levels int) {
		for _, w := range words {
			f := prefix + w
			filters = append(filters, f)
			if !strings.ContainsAny(f, "+#") {
				topics = append(topics, f)
			}
			if levels > 1 && w != "#" {
				grow(f+"/", levels-1)
			}
		}
	}
	grow("", 3)
	return topics, filters
}

// pattern is a filter as a regular expression, MQTT 5 §4.7.
func pattern(filter string) *regexp.Regexp {
	e := regexp.QuoteMeta(filter)
	e = strings.ReplaceAll(e, `\+`, "[^/]*")
	if e == "#" || strings.HasSuffix(e, "/#") {
		e = strings.TrimSuffix(strings.TrimSuffix(e, "#"), "/")
		if e == "" {
			e = ".*"
		} else {
			e += "(/.*)?"
		}
	}
	return regexp.MustCompile("^" + e + "$")
}

func matches(filter, topic string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	return pattern(filter).MatchString(topic)
}

// TestHostile24FiltersAreSets holds what rules say of filters to what the filters
// bring, for all small ones: a filter is allowed only if each topic of it is, and
// by a share or where deliveries are not looked at denied if any topic of it is.
// Otherwise each topic that is denied is kept back at delivery.
func TestHostile24FiltersAreSets(t *testing.T) {
	topics, filters := universe()
	sets := make(map[string]string)
	for _, f := range filters {
		set := make([]byte, len(topics))
		for i, topic := range topics {
			set[i] = '0'
			if matches(f, topic) {
				set[i] = '1'
			}
		}
		sets[f] = string(set)
	}
	for _, rule := range filters {
		allows := NewACL(policy(t, "allow sub "+rule))
		denies := policy(t, "deny sub "+rule)
		denies.Allow = true
		looks := NewACL(denies)
		denies.Once = []core.Occasion{core.OnDelivery}
		blind := NewACL(denies)
		for _, filter := range filters {
			below, meets := true, false
			for i := range topics {
				in, of := sets[rule][i] == '1', sets[filter][i] == '1'
				below = below && (in || !of)
				meets = meets || in && of
			}
			a := core.Access{Do: core.ActSubscribe, Topic: filter}
			if allows.Allows(ann, a) && !below {
				t.Errorf("%s allows %s, which brings more", rule, filter)
			}
			if blind.Allows(ann, a) == meets {
				t.Errorf("%s is denied, %s in %s: %v", rule, filter, map[bool]string{true: "meets it", false: "does not meet it"}[meets], !meets)
			}
			a.Shared = true
			if looks.Allows(ann, a) == meets {
				t.Errorf("%s is denied, and %s, shared, is allowed: %v, it meets it: %v", rule, filter, !meets, meets)
			}
		}
		for i, topic := range topics {
			a := core.Access{Do: core.ActSubscribe, Topic: topic, At: core.OnDelivery}
			if looks.Allows(ann, a) == (sets[rule][i] == '1') {
				t.Errorf("%s is denied, %s is delivered", rule, topic)
			}
			a = core.Access{Do: core.ActPublish, Topic: topic}
			if all := NewACL(policy(t, "allow all "+rule)); all.Allows(ann, a) != (sets[rule][i] == '1') {
				t.Errorf("%s is allowed, publishing %s: %v", rule, topic, !(sets[rule][i] == '1'))
			}
		}
	}
}

// TestOnce: what is not to be asked again is allowed then, and only then.
func TestOnce(t *testing.T) {
	for at := core.OnRequest; at <= core.OnReload; at++ {
		p := policy(t, "deny all #")
		p.Once = []core.Occasion{at}
		for asked := core.OnRequest; asked <= core.OnReload; asked++ {
			a := core.Access{Do: core.ActSubscribe, Topic: "a", At: asked}
			if got := NewACL(p).Allows(ann, a); got != (asked == at) {
				t.Errorf("once on %d, asked on %d: %v", at, asked, got)
			}
		}
	}
}

// TestHostile25BuiltIn: $SYS is for some, a bridge says of itself alone whether it
// is connected, and a rule goes ahead of both.
func TestHostile25BuiltIn(t *testing.T) {
	p := policy(t, "deny all $SYS/broker/uptime", "allow all # user=root")
	p.Rules = append(p.Rules, BuiltIn([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []string{"ops"})...)
	l := NewACL(p)
	near, ops := core.Identity{Remote: "127.0.0.1:5"}, core.Identity{User: "ops"}
	for _, tt := range []struct {
		who     core.Identity
		request string
		want    bool
	}{
		{near, "sub $SYS/#", true}, {ops, "sub $SYS/#", true}, {ann, "sub $SYS/#", false},
		{near, "sub $SYS/broker/uptime", false}, {ann, "sub $SYS/+/version", false},
		{core.Identity{User: "root"}, "sub $SYS/#", false}, // "#" is not about it
		{core.Identity{User: "root"}, "sub #", true},
		{core.Identity{ClientID: "plant"}, "pub $SYS/broker/connection/plant/state retained qos=1", true},
		{core.Identity{ClientID: "plant"}, "pub $SYS/broker/connection/other/state", false},
	} {
		if got := l.Allows(tt.who, asks(tt.request)); got != tt.want {
			t.Errorf("%s by %+v: %v, want %v", tt.request, tt.who, got, tt.want)
		}
	}
}

// TestTopicsOfRules that cannot be.
func TestTopicsOfRules(t *testing.T) {
	for _, topic := range []string{"", "a/#/b", "a+/b", "a/b#", "{client}", "{clientid", "a}", "{}", "$share/g/a", "a\x00", "{clientid}+"} {
		if err := ValidTopic(topic); err == nil {
			t.Errorf("%q is a topic of a rule", topic)
		}
	}
	for _, topic := range []string{"#", "+", "+/a/#", "a//b", "/", "{clientid}/{identity}/x{clientid}", "$SYS/#", "$shared/a"} {
		if err := ValidTopic(topic); err != nil {
			t.Errorf("%q: %v", topic, err)
		}
	}
}

// TestClientIDs that may be.
func TestClientIDs(t *testing.T) {
	c := ClientIDs{Pattern: regexp.MustCompile("^[a-z0-9./-]+$"), Prefix: true}
	for _, tt := range []struct {
		user, id string
		want     bool
	}{
		{"ann", "ann", true}, {"ann", "ann-1", true}, {"ann", "ann/a", true}, {"ann", "ann.", true},
		{"ann", "anna", false}, {"ann", "bob", false}, {"ann", "an", false}, {"ann", "", false},
		{"ann", "ann:1", false}, {"ann", "ann_1", false}, // the pattern
		{"", "bob", true}, {"", "Bob", false}, {"", "#", false},
		{"ann", core.AssignedID(), true}, {"ann", "auto-x", false},
		{"ann", "auto-" + strings.Repeat("#", 26), false}, {"ann", "auto-" + strings.Repeat("a", 26), false}, // chosen so as to look assigned
	} {
		if got := c.Allow(core.Identity{User: tt.user, ClientID: tt.id}); got != tt.want {
			t.Errorf("%q as %q: %v, want %v", tt.user, tt.id, got, tt.want)
		}
	}
}
