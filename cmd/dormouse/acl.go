package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"dormouse/cmd/dormouse/admin"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/auth"
	"dormouse/core/router"
)

type aclCmd struct {
	Test aclTestCmd `cmd:"" help:"Say whether a client may publish or subscribe, and which rule decides."`
}

// An aclTestCmd asks the rules of a configuration, without a server.
type aclTestCmd struct {
	settings
	User     string   `help:"User name, as a provider knows it. Without it: none."`
	Role     []string `placeholder:"ROLE" help:"Role that a token or a web server gives it. Repeatable."`
	Client   string   `help:"Client id."`
	Listener string   `help:"Name of the listener that it comes by."`
	From     string   `placeholder:"IP" help:"Address that it comes from. Without it: not known."`
	Pub      bool     `xor:"do" required:"" help:"It publishes to TOPIC."`
	Sub      bool     `xor:"do" required:"" help:"It subscribes to TOPIC, a filter."`
	QoS      int      `name:"qos" short:"q" default:"0" help:"At this QoS: 0, 1 or 2."`
	Retain   bool     `short:"r" help:"What it publishes is to be retained."`
	Topic    string   `arg:"" help:"A topic, or a filter with --sub."`
}

// Run prints what the rules say. Exit status is 1 if they deny it.
func (c *aclTestCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	who, a, err := c.request(cfg)
	if err != nil {
		return &failure{statusUsage, err}
	}
	l := auth.NewACL(policyOf(cfg))
	d := l.Decide(who, a)
	for a.Do == core.ActSubscribe && !d.Allowed && a.QoS > 0 { // it is granted less
		a.QoS--
		d = l.Decide(who, a)
	}
	says, because := "denied", "no rule is about it, and by default nothing is allowed"
	switch {
	case a.Do == core.ActPublish && strings.HasPrefix(a.Topic, "$") && (!d.Allowed || d.Rule == nil):
		d.Allowed, because = false, "what begins with $ is the broker's own"
	case d.Rule != nil:
		because = fmt.Sprintf("%s: %v", d.Rule.At, d.Rule)
	case d.Allowed:
		because = "no rule is about it, and by default all is allowed"
	}
	if d.Allowed {
		says = "allowed"
		if int(a.QoS) < c.QoS {
			says = fmt.Sprintf("allowed at QoS %d", a.QoS)
		}
	}
	fmt.Fprintf(s.out, "%s: %s\n", says, because)
	if len(d.Roles) > 0 {
		fmt.Fprintf(s.out, "roles: %s\n", strings.Join(d.Roles, ", "))
	}
	if !d.Allowed {
		return &failure{statusFailed, nil}
	}
	return nil
}

// request is what is asked, and by whom.
func (c *aclTestCmd) request(cfg *config.Config) (who core.Identity, a core.Access, err error) {
	who = core.Identity{ClientID: c.Client, User: c.User, Roles: strings.Join(c.Role, " "), Listener: c.Listener}
	a = core.Access{Do: core.ActPublish, Topic: c.Topic, QoS: core.QoS(c.QoS), Retain: c.Retain}
	limits := coreOptions(cfg, newLog(cfg, io.Discard)).Topics
	if c.Sub {
		a.Do, err = core.ActSubscribe, router.ValidSubscription(c.Topic, limits)
		_, a.Topic, a.Shared = router.CutShare(c.Topic)
	} else {
		err = router.ValidTopic(c.Topic, limits)
	}
	switch {
	case err != nil:
	case c.QoS < 0 || c.QoS > 2:
		err = fmt.Errorf("--qos is %d; it must be 0, 1 or 2", c.QoS)
	case c.Sub && c.Retain:
		err = fmt.Errorf("--retain is about what is published; leave it out with --sub")
	case c.Listener != "" && !slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return l.Name == c.Listener }):
		err = fmt.Errorf("there is no listener %q", c.Listener)
	case c.From != "":
		var at netip.Addr
		if at, err = netip.ParseAddr(c.From); err != nil {
			err = fmt.Errorf("--from is %q; it must be an IP address", c.From)
		}
		who.Remote = netip.AddrPortFrom(at, 1).String()
	}
	return who, a, err
}

// A reloadCmd has the server read its files again.
type reloadCmd struct{ operation }

// Run asks for it. Exit status is 2 if something is wrong with them.
func (c *reloadCmd) Run(s *streams) error {
	var done admin.Reloaded
	err := c.ask(http.MethodPost, "/v1/reload", nil, func(body io.Reader) error { return json.NewDecoder(body).Decode(&done) })
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "reloaded")
	if len(done.Restart) > 0 {
		fmt.Fprintf(s.err, "dormouse reload: a restart would change %s\n", strings.Join(done.Restart, ", "))
	}
	return nil
}
