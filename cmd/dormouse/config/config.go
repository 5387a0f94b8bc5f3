// Package config is everything an operator can set. It reads YAML strictly:
// what it does not know it refuses, saying where and what to do. [Default]
// needs no file at all; [Load] overlays a file and "--set" upon it.
package config

import "net/netip"

// A Config is the whole configuration. Start from [Default]: the zero Config
// is not valid. It is read-only once the broker has started.
//
// The comments, tags and defaults of these types are the documentation that
// configs/reference.yaml shows; a test writes it.
type Config struct {
	// Version of this configuration's own shape.
	Version int `yaml:"version" min:"1" max:"1"`

	// Who this broker is among others.
	Node Node `yaml:"node"`

	// The directory of what must outlive the process: sessions, what waits for
	// them, and retained messages. It is made if there is none, and nobody else
	// may be allowed to read it.
	DataDir string `yaml:"data_dir"`

	// How far an acknowledgement can be trusted.
	Durability Durability `yaml:"durability"`

	// Where it listens. A list in a file replaces this one.
	Listeners []Listener `yaml:"listeners"`

	// The MQTT side.
	MQTT MQTT `yaml:"mqtt"`

	// The MQTT-SN side.
	MQTTSN MQTTSN `yaml:"mqttsn"`

	// Bounds on what clients can make the broker do and keep.
	Limits Limits `yaml:"limits"`

	// Who may connect.
	Auth Auth `yaml:"auth"`

	// What they may do. SIGHUP and "dormouse reload" read auth, acl and who may
	// read $SYS again.
	ACL ACL `yaml:"acl"`

	// Where operators look and act: figures, health, "dormouse clients".
	Admin Admin `yaml:"admin"`

	// What it says about itself on standard error.
	Log Log `yaml:"log"`

	// The figures published under $SYS/broker/.
	SysTopics SysTopics `yaml:"sys_topics"`
}

// A Node names a broker.
type Node struct {
	// Name of this broker in logs. Empty: the host's name.
	ID string `yaml:"id"`
}

// Durability is what is true of a message at QoS 1 or 2 once it is acknowledged.
// QoS 0 never waits for a disk.
type Durability struct {
	// "pebble" keeps it in data_dir; "memory" loses all with the process.
	Store string `yaml:"store" oneof:"pebble,memory"`

	// When it is on the disk. "always": before it is acknowledged, so that
	// neither a kill nor a power cut loses it. "interval:100ms": so long after
	// that at the latest, which is what either may lose. "none": when the system
	// sees fit; a kill may lose the last second, a power cut more.
	Sync Sync `yaml:"sync"`

	// Most octets of what is kept in data_dir; logs and the merging of files take
	// up to 256 MiB more for a while. Beyond them, and below
	// limits.disk_free_min, QoS 1 and 2 are refused until there is room again.
	// 0: any number.
	MaxBytes Bytes `yaml:"max_bytes" min:"0" max:"1024TiB"`

	// How long a message may wait for a client. One that has waited longer is
	// dropped, whatever its QoS, counted and logged; retained messages stay. At
	// least twice mqttsn.max_sleep. 0s: any time.
	MaxAge Duration `yaml:"max_age" min:"0s" max:"876000h"`
}

// A Listener is one address that clients come to.
type Listener struct {
	// Name in logs and in "--set listeners.NAME.address=…". Unique.
	Name string `yaml:"name"`

	// What is spoken there: MQTT over TCP, TLS, WebSocket or WebSocket over
	// TLS, or MQTT-SN over UDP or DTLS 1.2.
	Type string `yaml:"type" oneof:"tcp,tls,ws,wss,mqttsn-udp,mqttsn-dtls"`

	// IP address and port; without an address, all of the machine's. Port 0
	// lets the system choose.
	Address Address `yaml:"address"`

	// "insecure" lets in without a name whoever reaches the port, to publish and
	// read everything. Must be spelled out for a listener beyond loopback, but
	// for MQTT where auth.providers or their certificates say who clients are, and
	// for DTLS.
	Security string `yaml:"security" oneof:",insecure"`

	// Certificates of tls and wss.
	TLS TLS `yaml:"tls"`

	// Keys and certificates of mqttsn-dtls.
	DTLS DTLS `yaml:"dtls"`

	// Where the certificate of a client that shows one, see tls.client_auth, has
	// its user name: "cn", the common name; "san_uri", "san_dns", the alternative
	// name of that kind. Whatever user name and password it gives besides mean
	// nothing. One with no such name, or several, is refused. "none": nowhere.
	Identity string `yaml:"identity" oneof:"none,cn,san_uri,san_dns"`

	// Where ws and wss are, and from which web pages a browser may connect, such
	// as https://example.org. "*": from any. Those of the same host and port may,
	// too, but on loopback only as localhost or by address.
	Path           string   `yaml:"path"`
	AllowedOrigins []string `yaml:"allowed_origins"`

	// Proxies in front of tcp, tls, ws and wss.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`

	// Sockets that share an address of MQTT-SN (SO_REUSEPORT). 0: one per core.
	Sockets int `yaml:"sockets" min:"0" max:"256"`

	// What the kernel may hold for each socket of MQTT-SN. Beyond
	// net.core.rmem_max it takes CAP_NET_ADMIN.
	RecvBuffer Bytes `yaml:"recv_buffer" min:"64KiB" max:"1GiB"`
}

// ProxyProtocol is how proxies, such as HAProxy by send-proxy-v2, say for whom
// they connect.
type ProxyProtocol struct {
	// Whether each connection begins with a PROXY header, of version 1 or 2. Its
	// address is then the client's to logs, limits, lockout and rules, but even
	// loopback lets nobody in without a name. A certificate that was shown to the
	// proxy is nobody's here. What the proxy sends of its own, to see whether we
	// live, comes from the proxy, and so does whoever it says no address of.
	Enabled bool `yaml:"enabled"`

	// Where the proxies are. Whoever comes from elsewhere is closed at once, since
	// it could say that it is anyone.
	Trusted []Network `yaml:"trusted"`
}

// Network is what the address belongs to: "tcp" or "udp".
func (l *Listener) Network() string {
	if l.Type == "mqttsn-udp" || l.Type == "mqttsn-dtls" {
		return "udp"
	}
	return "tcp"
}

// setDefaults is where a listener of a file starts.
func (l *Listener) setDefaults() {
	l.RecvBuffer = 8 * MiB
	l.Path = "/mqtt"
	l.Identity = "none"
	l.TLS = TLS{ClientAuth: "none", MinVersion: "1.2"}
	l.DTLS.setDefaults()
}

// TLS says who we are and whom we believe. Its files are read again on SIGHUP.
type TLS struct {
	// The certificate with its chain, and its key, in PEM.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`

	// The authorities that vouch for clients, in PEM.
	ClientCAFile string `yaml:"client_ca_file"`

	// Whether clients show a certificate: "request" verifies one that is shown,
	// "require" turns away who shows none.
	ClientAuth string `yaml:"client_auth" oneof:"none,request,require"`

	// The oldest version spoken.
	MinVersion string `yaml:"min_version" oneof:"1.2,1.3"`
}

// MQTT is what the MQTT edge grants. MQTT 5 clients are told of what is less
// than the protocol offers.
type MQTT struct {
	// Which versions are spoken.
	Versions []string `yaml:"versions" oneof:"3.1,3.1.1,5"`

	// Highest quality of service granted, and taken from publishers.
	MaxQoS int `yaml:"max_qos" min:"0" max:"2"`

	// Longest keep alive granted; a longer one is cut to it.
	MaxKeepalive Duration `yaml:"max_keepalive" min:"1s" max:"43690s"`

	// Longest time a session may outlive its connection.
	MaxSessionExpiry Duration `yaml:"max_session_expiry" min:"0s" max:"8760h"`

	// How many topics a client may abbreviate when it publishes, and how many
	// are abbreviated for it if it wants that.
	TopicAliasMaximum int `yaml:"topic_alias_maximum" min:"0" max:"65535"`

	// Whether there are retained messages, filters with + and #, and $share.
	Retain                bool `yaml:"retain"`
	WildcardSubscriptions bool `yaml:"wildcard_subscriptions"`
	SharedSubscriptions   bool `yaml:"shared_subscriptions"`
}

// MQTTSN is what the MQTT-SN gateway does.
type MQTTSN struct {
	// GwId in ADVERTISE and GWINFO. Unique among the gateways in reach.
	GatewayID int `yaml:"gateway_id" min:"1" max:"255"`

	// ADVERTISE, sent unasked.
	Advertise Advertise `yaml:"advertise"`

	// SEARCHGW and its answer.
	Search Search `yaml:"search"`

	// Who gets an answer to SEARCHGW: loopback, link-local, private, any, or
	// prefixes such as 192.0.2.0/24.
	SearchAllow []Network `yaml:"search_allow"`

	// What is not acknowledged is sent again: Tretry and Nretry.
	Retry Retry `yaml:"retry"`

	// Longest sleep granted; a longer one is cut to it.
	MaxSleep Duration `yaml:"max_sleep" min:"1m" max:"24h"`

	// How long a session with CleanSession=0 outlives its connection.
	SessionExpiry Duration `yaml:"session_expiry" min:"1m" max:"8760h"`

	// Topic ids a client may have, and how fast it may register them.
	TopicIDs TopicIDs `yaml:"topic_ids"`

	// Topic ids that every client knows without REGISTER, such as
	// {id: 1, topic: alarm}. {clientid} in a topic stands for the client id, and
	// {identity} for who a sensor over DTLS has proved to be; whose name has + # or /
	// in it, or who has none, has no such topic.
	Predefined []Predefined `yaml:"predefined"`

	// PUBLISH at QoS -1: without a connection.
	QoSMinusOne QoSMinusOne `yaml:"qos_minus_one"`

	// Whether a sleeping client may wake at a new address by a bare PINGREQ.
	// "authenticated" asks plain UDP clients to connect again, which anyone can
	// who knows a client id; "always" does not even ask; "never" refuses it, and
	// CONNECT from another host than the client's while that is connected.
	AddressMigration string `yaml:"address_migration" oneof:"never,authenticated,always"`

	// Who may wrap packets of other nodes (forwarder encapsulation).
	Forwarders []Network `yaml:"forwarders"`

	// Multicast groups to hear discovery on.
	Multicast Multicast `yaml:"multicast"`

	// Longest datagram taken in or sent, in octets.
	MaxPacket int `yaml:"max_packet" min:"64" max:"65507"`
}

// Advertise is how the gateway makes itself known.
type Advertise struct {
	// Needs addresses.
	Enabled bool `yaml:"enabled"`

	// Time between two of them, also told to clients: Tadv.
	Interval Duration `yaml:"interval" min:"1s" max:"65535s"`

	// Broadcast or multicast targets with port, such as 225.1.1.1:1884.
	Addresses []netip.AddrPort `yaml:"addresses"`
}

// Search is how the gateway answers who looks for one.
type Search struct {
	// Whether to answer at all.
	Answer bool `yaml:"answer"`

	// How far our own multicast may travel, in hops.
	HopLimit int `yaml:"hop_limit" min:"0" max:"255"`

	// Most answers, to everyone together.
	Rate Rate `yaml:"rate" min:"1/m" max:"1000000/s"`
}

// Retry is when and how often to send again.
type Retry struct {
	// Time until the first repetition.
	Interval Duration `yaml:"interval" min:"1s" max:"5m"`

	// At most so much later, each client at another time, so that not all who
	// lost something at one moment are sent it again at one moment.
	Jitter Percent `yaml:"jitter" min:"0%" max:"100%"`

	// Repetitions before the client is taken for lost.
	Max int `yaml:"max" min:"0" max:"10"`
}

// TopicIDs bounds registration.
type TopicIDs struct {
	// Most topic ids per client.
	PerClient int `yaml:"per_client" min:"1" max:"65000"`

	// How many a client may ask for per minute. It may ask for per_client of
	// them at once, and then has to wait.
	RegistersPerMinute int `yaml:"registers_per_minute" min:"1" max:"6000"`
}

// Predefined gives a topic an id.
type Predefined struct {
	// 1 to 65534.
	ID int `yaml:"id" min:"1" max:"65534"`

	// The topic's name.
	Topic string `yaml:"topic"`
}

// QoSMinusOne is the policy for publishing without a connection.
type QoSMinusOne struct {
	// Who may: "loopback", everyone ("true") or no one ("false").
	Enabled string `yaml:"enabled" oneof:"loopback,true,false"`

	// Predefined topic ids that may be published to. Empty: any topic.
	Topics []int `yaml:"topics" min:"1" max:"65534"`

	// Most from one source address, and from all.
	RatePerSource Rate `yaml:"rate_per_source" min:"1/m" max:"1000000/s"`
	Rate          Rate `yaml:"rate" min:"1/m" max:"1000000/s"`
}

// Multicast is where discovery is heard.
type Multicast struct {
	// Group addresses, such as 225.1.1.1 or ff02::1.
	Groups []netip.Addr `yaml:"groups"`

	// The groups' port.
	Port int `yaml:"port" min:"1" max:"65535"`

	// Names of the network interfaces to hear them on and to send multicast
	// out of. Empty: all, and where the route leads.
	Interfaces []string `yaml:"interfaces"`
}

// Admin is where operators look and act.
type Admin struct {
	// Whether there is such a place.
	Enabled bool `yaml:"enabled"`

	// IP address and port, on loopback, of /metrics, /livez and /readyz.
	Listen Address `yaml:"listen"`

	// The socket of "dormouse clients", "kick" and "retained". Empty:
	// /run/dormouse/admin.sock for root; else dormouse/admin.sock in
	// $XDG_RUNTIME_DIR, or in a directory of the user's own in /tmp.
	UnixSocket string `yaml:"unix_socket"`
}

// Log is what is logged and how.
type Log struct {
	// The least severe level shown.
	Level string `yaml:"level" oneof:"debug,info,warn,error"`

	// One JSON object a line, or text. "auto": text on a terminal.
	Format string `yaml:"format" oneof:"auto,json,console"`
}

// SysTopics is the broker's figures as messages.
type SysTopics struct {
	// Whether to publish them.
	Enabled bool `yaml:"enabled"`

	// How often.
	Interval Duration `yaml:"interval" min:"1s" max:"1h"`

	// Who may subscribe to them: clients from these networks, and these users.
	Allow []Network `yaml:"allow"`
	Users []string  `yaml:"users"`
}
