package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/core/auth"
)

// validate complains about settings that are each in bounds but do not go
// together. A section with a mistake in it is left alone: it would be blamed
// for what it lacks by that mistake.
func (r *reader) validate(c *Config) {
	r.listeners(c)
	r.addresses(c)
	r.providers(c.Auth.Providers)
	r.access(c)
	r.predefined(c.MQTTSN.Predefined)
	if a := c.Admin.Listen; c.Admin.Enabled && !a.Addr().Unmap().IsLoopback() {
		r.complain(r.at["admin.listen"], "%s is open beyond this machine, where anyone could look; admin.listen must be on loopback, such as 127.0.0.1:18080", a)
	}
	if n := len(c.Admin.UnixSocket); c.Admin.Enabled && n > maxSocketPath {
		r.complain(r.at["admin.unix_socket"], "admin.unix_socket has %d octets; the system allows %d in the path of a socket", n, maxSocketPath)
	}
	if c.DataDir == "" && c.Durability.Store == "pebble" {
		r.complain(r.at["data_dir"], "data_dir is empty; name a directory, leave it out for %s, or set durability.store: memory", Default().DataDir)
	}
	r.ages(c)
	r.memory(c.Limits.MemorySoft, c.Limits.MemoryHard)
	if len(c.MQTT.Versions) == 0 {
		r.complain(r.at["mqtt.versions"], "mqtt.versions is empty, so that no client could connect; name one, or leave it out for all")
	}
	sn := &c.MQTTSN
	if sn.Advertise.Enabled && len(sn.Advertise.Addresses) == 0 {
		r.complain(r.at["mqttsn.advertise.enabled"], "mqttsn.advertise.enabled needs mqttsn.advertise.addresses to send to, such as [225.1.1.1:1884]")
	}
	if d := time.Duration(sn.Advertise.Interval); d%time.Second != 0 {
		r.complain(r.at["mqttsn.advertise.interval"], "mqttsn.advertise.interval is %v; clients are told whole seconds", d)
	}
	if len(c.SysTopics.Users) > 0 && !c.KnowsUsers() {
		r.complain(r.at["sys_topics.users"], "sys_topics.users is for users whose password is checked; add auth.providers, or leave it out")
	}
	for i, g := range sn.Multicast.Groups {
		if !g.IsMulticast() {
			r.complain(r.at[fmt.Sprintf("mqttsn.multicast.groups[%d]", i)], "%v is not a multicast address; groups are in 224.0.0.0/4 or ff00::/8", g)
		}
	}
}

// maxSocketPath is what sun_path of a unix socket has room for, in octets.
const maxSocketPath = 107

// ages complains if what comes for a sleeper may be too old when it wakes.
func (r *reader) ages(c *Config) {
	age, sleep := c.Durability.MaxAge, c.MQTTSN.MaxSleep
	if age == 0 || sleep <= age/2 {
		return
	}
	at, set := r.at["mqttsn.max_sleep"]
	if !set {
		at = r.at["durability.max_age"]
	}
	r.complain(at, "mqttsn.max_sleep is %v, more than half of durability.max_age, %v, so that what waits for a sleeper that is late may be too old; make it %v or less, or max_age %v or more", sleep, age, age/2, 2*sleep)
}

// memory complains about a hard bound below the soft one.
func (r *reader) memory(soft, hard Percent) {
	if soft == 0 || hard == 0 || hard >= soft {
		return
	}
	at, set := r.at["limits.memory_hard"]
	if !set {
		at = r.at["limits.memory_soft"]
	}
	r.complain(at, "limits.memory_hard is %v, below limits.memory_soft, %v; QoS 0 is to go first", hard, soft)
}

// settingsOfSome are the settings that only some types of listener have.
var settingsOfSome = map[string][]string{
	"sockets":         {"mqttsn-udp", "mqttsn-dtls"},
	"recv_buffer":     {"mqttsn-udp", "mqttsn-dtls"},
	"security":        {"tcp", "tls", "ws", "wss", "mqttsn-udp"},
	"dtls":            {"mqttsn-dtls"},
	"tls":             {"tls", "wss"},
	"identity":        {"tls", "wss"},
	"path":            {"ws", "wss"},
	"allowed_origins": {"ws", "wss"},
	"proxy_protocol":  {"tcp", "tls", "ws", "wss"},
}

func (r *reader) listeners(c *Config) {
	ls := c.Listeners
	if len(ls) == 0 {
		r.complain(r.at["listeners"], "listeners is empty; leave it out for the defaults")
	}
	names := map[string]bool{}
	for i := range ls {
		l := &ls[i]
		key := fmt.Sprintf("listeners[%d]", i)
		if r.bad[key] {
			continue
		}
		at := func(name string) strict.Place {
			if p, ok := r.at[key+"."+name]; ok {
				return p
			}
			return r.at[key]
		}
		switch {
		case l.Name == "":
			r.complain(at("name"), "%s has no name; give it one", key)
		case names[l.Name]:
			r.complain(at("name"), "there are two listeners named %q; rename one", l.Name)
		}
		names[l.Name] = true
		if l.Type == "" {
			r.complain(at("type"), "%s has no type; it must be tcp, tls, ws, wss, mqttsn-udp or mqttsn-dtls", key)
		}
		for name, kinds := range settingsOfSome {
			if _, set := r.at[key+"."+name]; set && l.Type != "" && !slices.Contains(kinds, l.Type) {
				r.complain(at(name), "%s.%s is for %s; leave it out", key, name, strings.Join(kinds, " and "))
			}
		}
		if l.Secured() {
			r.tls(key, l, at)
		}
		if l.Web() {
			r.web(key, l, at)
		}
		if l.Proves() {
			r.dtls(key, l, at)
		}
		r.proxies(key, l, at)
		if !l.Address.IsValid() {
			r.complain(at("address"), "%s has no address; write one like 127.0.0.1:1883", key)
			continue
		}
		if why := r.exposed(c, l); why != "" {
			r.complain(at("address"), "%s is open beyond this machine, and %s \"security: insecure\" if that is meant, or listen on 127.0.0.1", l.Address, why)
		}
	}
}

// exposed says why l must not be open beyond this machine, and what to do but
// for what always helps.
func (r *reader) exposed(c *Config, l *Listener) string {
	switch {
	case l.Address.Addr().Unmap().IsLoopback() || l.Security == "insecure" || l.Proves():
		return ""
	case l.Network() == "udp":
		return "MQTT-SN over UDP knows no passwords; write"
	case l.Identifies() && l.TLS.ClientAuth == "require":
		return ""
	case len(c.Auth.Providers) == 0 && !r.bad["auth"]:
		return "no client needs a password; make a file with \"dormouse passwd create FILE\" and name it in auth.providers, write"
	case c.Auth.Anonymous.Enabled == "true":
		return "auth.anonymous.enabled lets in everyone without a password; leave that out, write"
	}
	return ""
}

func (r *reader) providers(ps []Provider) {
	for i, p := range ps {
		key := fmt.Sprintf("auth.providers[%d]", i)
		if r.bad[key] {
			continue
		}
		if p.Type == "" {
			r.complain(r.at[key], "%s has no type; it must be passwd, jwt or http", key)
		}
		r.foreign(key, &ps[i])
		switch {
		case p.Type == "jwt":
			r.tokens(key, &ps[i])
		case p.Type == "http":
			r.hook(key, &ps[i])
		case p.File == "":
			r.complain(r.at[key], "%s has no file; name one made by \"dormouse passwd create\"", key)
		}
	}
}

func (r *reader) predefined(ps []Predefined) {
	topics := map[int]string{}
	for i, p := range ps {
		key := fmt.Sprintf("mqttsn.predefined[%d]", i)
		if r.bad[key] {
			continue
		}
		bare := strings.NewReplacer(auth.ClientMark, "", auth.IdentityMark, "").Replace(p.Topic)
		switch {
		case p.ID == 0:
			r.complain(r.at[key], "%s has no id; give it one from 1 to 65534", key)
		case p.Topic == "":
			r.complain(r.at[key], "%s has no topic; give it one", key)
		case strings.ContainsAny(p.Topic, "+#\x00") || strings.HasPrefix(p.Topic, "$"):
			r.complain(r.at[key+".topic"], "%q cannot be published to: a topic has no + or # and does not begin with $", p.Topic)
		case strings.ContainsAny(bare, "{}"):
			r.complain(r.at[key+".topic"], "%q has a brace that is neither %s nor %s, the only ones that are replaced", p.Topic, auth.ClientMark, auth.IdentityMark)
		case topics[p.ID] != "":
			r.complain(r.at[key+".id"], "id %d is %q already; give each topic its own", p.ID, topics[p.ID])
		}
		topics[p.ID] = p.Topic
	}
}
