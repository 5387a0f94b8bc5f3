package config

import "time"

// Auth is who may connect.
type Auth struct {
	// Clients without a user name.
	Anonymous Anonymous `yaml:"anonymous"`

	// Who knows the clients that have one. The first that knows the name decides:
	// {type: passwd, file: …}, {type: jwt, jwks_url: …, issuer: …, audience: …},
	// {type: http, url: …, timeout: 2s, cache: 60s, on_error: deny, ca_file: …}.
	// Of the last, the web server at url is asked by POST, over https or on this
	// machine, about who has a user name or a password, in JSON:
	// {"client_id": …, "user": …, "password": …, "listener": …, "address": …}.
	// It answers with status 200 within timeout: {"result": "allow"}, and if it
	// likes "user": as whom, "roles": ["ops"], and "expire_at": when the client is
	// disconnected (0x87), in seconds since 1970; {"result": "deny"}; or
	// {"result": "ignore"}, which leaves it to those behind it. Anything else is an
	// error, and so is a redirect: with on_error deny the client is told that the
	// server is busy; with next those behind it are asked, who had better not know
	// the same names. Whom it has let in comes in again without a question within
	// cache, if all of it is the same. 64 questions are asked at once. ca_file has
	// the authorities that vouch for it, else it is the system's. A reload asks
	// about nobody again: "dormouse kick" has a client come again.
	Providers []Provider `yaml:"providers"`

	// Roles, which acl.rules may be about. Each is given to those that all of its
	// other keys fit, so that {role: sensor, listeners: [sn]} is whoever comes by
	// the listener sn; also users: [ann, "plant-*"], from: [10.1.0.0/16].
	Roles []Role `yaml:"roles"`

	// Whose a client id is.
	ClientID ClientID `yaml:"client_id"`

	// Who guesses passwords is not listened to for a while.
	Lockout Lockout `yaml:"lockout"`
}

// Lockout is for those who are wrong too often.
type Lockout struct {
	// So many wrong passwords within window, and one user name is refused for
	// block from one network (IPv4 /24, IPv6 /56), right or wrong; ten times as
	// many in all names from one network, or in one name from everywhere, and the
	// network is, or the name. Who is connected stays so. 0: nobody is.
	Failures int      `yaml:"failures" min:"0" max:"1000000"`
	Window   Duration `yaml:"window" min:"1s" max:"24h"`
	Block    Duration `yaml:"block" min:"1s" max:"24h"`

	// Networks that are not: else one program here that is wrong would lock out
	// its operator. A proxy on this machine without proxy_protocol is one of them,
	// and whom one brings with it is never on loopback.
	Exempt []Network `yaml:"exempt"`
}

// ClientID is about client ids.
type ClientID struct {
	// "identity": while a session lasts, no other user name than the one that
	// opened it may connect under its client id, where auth.providers or DTLS
	// check names. "prefix": that, and who has a user name must have a client id
	// that is it, or begins with it and one of - _ . : and /. "none": who knows a
	// client id may. Not reloaded.
	Bind string `yaml:"bind" oneof:"identity,prefix,none"`

	// Regular expression that client ids must match, such as
	// "^[A-Za-z0-9_.:-]{1,64}$". Empty: any may be. A reload parts with whoever is
	// connected by one that does not.
	Pattern string `yaml:"pattern"`
}

// A Role is given to those that all its keys fit that are set.
type Role struct {
	// Its name: letters, digits, "-", "_" and ".".
	Role string `yaml:"role"`

	// User names, or how they begin and then "*".
	Users []string `yaml:"users"`

	// Names of listeners.
	Listeners []string `yaml:"listeners"`

	// Networks, as in mqttsn.search_allow.
	From []Network `yaml:"from"`
}

// Anonymous is about MQTT clients without a user name.
type Anonymous struct {
	// From where they may connect: "loopback", which is where a proxy on this
	// machine comes from, too, if there is no proxy_protocol, and where nobody is
	// whom one brings; "true", anywhere; "false", not even through a listener with
	// "security: insecure".
	Enabled string `yaml:"enabled" oneof:"loopback,true,false"`

	// A role for all clients without a user name, those of MQTT-SN too. Empty: none.
	Role string `yaml:"role"`
}

// ACL is what clients may do.
type ACL struct {
	// What becomes of that which no rule is about: "deny" or "allow". Empty:
	// "deny" if there are rules or a file, else everything is allowed but $SYS.
	Default string `yaml:"default" oneof:",deny,allow"`

	// A file with "rules:" as here, instead of them. One without any denies
	// everything.
	File string `yaml:"file"`

	// The first rule that is about a request decides. Such as
	// {role: sensor, allow: publish, topic: "sensors/{clientid}/#", max_qos: 1, retain: false},
	// {user: "plant-*", client: p1, listener: tls, from: [10.1.0.0/16], deny: subscribe, topic: "secret/#"},
	// {allow: all, topic: "#"}. {clientid} and {identity}, the user name, stand for
	// themselves: a name with + # or / in it is in no topic that is allowed.
	Rules []Rule `yaml:"rules"`

	// Where rules are asked again about what they allowed: at each delivery, when a
	// retained message is replayed (about its publisher) or a will published, when a
	// session is resumed, and, about whoever is connected or asleep, when rules are
	// reloaded. Whoever has gone is asked about on resuming: nobody knows from where.
	Recheck []string `yaml:"recheck" oneof:"deliver,retained,will,resume,reload"`
}

// A Rule is about those that all its keys fit that are set.
type Rule struct {
	Role     string    `yaml:"role"`
	User     string    `yaml:"user"`   // a name, or how it begins and then "*"
	Client   string    `yaml:"client"` // likewise
	Listener string    `yaml:"listener"`
	From     []Network `yaml:"from"`

	Allow string `yaml:"allow" oneof:"publish,subscribe,all"`
	Deny  string `yaml:"deny" oneof:"publish,subscribe,all"`
	Topic string `yaml:"topic"`

	// What is allowed goes up to that QoS, and if Retain to retained messages.
	MaxQoS int  `yaml:"max_qos" min:"0" max:"2"`
	Retain bool `yaml:"retain"`

	Where string // it is written, such as "acl.yaml:3"
}

// setDefaults is where a rule of a file starts.
func (r *Rule) setDefaults() { r.MaxQoS, r.Retain = 2, true }

// A Provider knows clients by name.
type Provider struct {
	// "passwd": a file in Mosquitto's format, see "dormouse passwd". It is read
	// again by a reload, which parts with those whose name is gone or whose password
	// is another. "jwt": a client shows a JSON Web Token as its password, whatever
	// its user name, and is disconnected (0x87) when that expires, or by a reload when
	// its issuer has withdrawn the key. Tokens are asked about before passwords.
	// "http": a web server says who clients are.
	Type string `yaml:"type" oneof:"passwd,jwt,http"`

	// Of passwd, the file. Of jwt, a JSON Web Key Set, instead of jwks_url.
	File string `yaml:"file"`

	// Of jwt: where the issuer has its keys, https or on this machine. They are
	// fetched when they are needed, again after an hour, and for a key that is not
	// known, every 10 s at most.
	JWKSURL string `yaml:"jwks_url"`

	// Of jwt: what a token must say, which of its claims is the user name, and
	// which are roles, if any. An "exp" it must have.
	Issuer     string `yaml:"issuer"`
	Audience   string `yaml:"audience"`
	Claim      string `yaml:"claim"`
	RolesClaim string `yaml:"roles_claim"`

	// Of jwt: how tokens may be signed.
	Algorithms []string `yaml:"algorithms" oneof:"ES256,ES384,ES512,RS256,RS384,RS512,PS256,PS384,PS512,EdDSA"`

	// Of http, see Auth.Providers.
	URL     string   `yaml:"url"`
	Timeout Duration `yaml:"timeout" min:"100ms" max:"30s"`
	Cache   Duration `yaml:"cache" min:"0s" max:"24h"`
	OnError string   `yaml:"on_error" oneof:"deny,next"`
	CAFile  string   `yaml:"ca_file"`
}

// setDefaults is where a provider of a file starts.
func (p *Provider) setDefaults() {
	p.Claim, p.Algorithms = "sub", []string{"ES256", "RS256"}
	p.Timeout, p.Cache, p.OnError = Duration(2*time.Second), Duration(time.Minute), "deny"
}
