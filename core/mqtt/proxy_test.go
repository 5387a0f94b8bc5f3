package mqtt

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/auth"
)

// Headers as "The PROXY protocol", 2020/03/05, §2 has them, of a client at
// 203.0.113.9:4711 or [2001:db8::9]:4711.
const (
	version1 = "PROXY TCP4 203.0.113.9 192.0.2.1 4711 1883\r\n"
	version6 = "PROXY TCP6 2001:db8::9 2001:db8::1 4711 1883\r\n"
	signed   = "\r\n\r\n\x00\r\nQUIT\n" // §2.2: twelve octets that no other protocol begins with
	version2 = signed + "\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x12\x67\x07\x5b"
)

// near is where the proxies of these tests stand.
var near = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}

// witness has a broker note where each client comes from, by its client id.
func witness(seen *sync.Map) func(*core.Options, *Options) {
	return func(_ *core.Options, o *Options) {
		o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
			seen.Store(c.ClientID, c)
			return auth.Grant{Identity: c.Identity}, nil
		}
	}
}

// relay runs a proxy before to, which says header of each connection, in one
// piece with the first that the client says, and returns its address.
func relay(t testing.TB, to, header string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	carry := func(client, server net.Conn) {
		defer server.Close()
		defer client.Close()
		first := make([]byte, 1<<10)
		n, _ := client.Read(first)
		server.Write(append([]byte(header), first[:n]...))
		go func() { io.Copy(server, client); server.(*net.TCPConn).CloseWrite() }()
		io.Copy(client, server)
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if server, err := net.Dial("tcp", to); err == nil {
				go carry(client, server)
			}
		}
	}()
	return l.Addr().String()
}

// TestProxied: clients whom a proxy brings are where it says, over each transport,
// and nothing is lost of what they say at once.
func TestProxied(t *testing.T) {
	t.Parallel()
	for name, by := range transports(t) {
		for header, at := range map[string]string{version1: "203.0.113.9:4711", version6: "[2001:db8::9]:4711", version2: "203.0.113.9:4711"} {
			t.Run(fmt.Sprintf("%s %.10q", name, header), func(t *testing.T) {
				t.Parallel()
				var seen sync.Map
				port := by.port
				port.Proxies = near
				b := startOn(t, port, witness(&seen))
				proxy := relay(t, b.addr, header)
				b.dialer = func(string) (net.Conn, error) { return by.dial(proxy) }
				p := b.connect(t, 5, "p", nil)
				p.subscribe(1, "a")
				long := strings.Repeat("0123456789abcdef", 8<<10)
				p.publish("a", long, 1, 1)
				for range 2 {
					if pk, err := p.next(); err != nil || pk.FixedHeader.Type == packets.Publish && string(pk.Payload) != long {
						t.Fatalf("the message comes round as %d octets, %v", len(pk.Payload), err)
					}
				}
				p.ping()
				if who, _ := seen.Load("p"); who.(auth.Credentials).Remote != at || !who.(auth.Credentials).Brought {
					t.Errorf("the client is %+v, want it at %s", who, at)
				}
				p.disconnect()
				b.canary(t)
			})
		}
	}
}

// TestBehindTheHeader: wherever what comes is split, and however much comes with the
// header, all of it is read, also by a lookout.
func TestBehindTheHeader(t *testing.T) {
	t.Parallel()
	b := startOn(t, ListenerConfig{Proxies: near}, nil)
	connect := string(unhex(t, "10 0d 0004 4d515454 04 02 003c 0001 70"))
	short := signed + "\x20\x00\x00\x00" + connect + "\xc0\x00"
	for cut := range len(short) {
		p := b.dial(t)
		io.WriteString(p, short[:cut])
		io.WriteString(p, short[cut:])
		p.version = 4
		p.expect(packets.Connack)
		p.expect(packets.Pingresp)
		p.Close()
	}
	for _, pings := range []int{0, 1, 100, aheadMost/2 + 1, 5000} {
		p := b.dial(t)
		io.WriteString(p, version1+connect+strings.Repeat("\xc0\x00", pings))
		p.version = 4
		p.expect(packets.Connack)
		for range pings {
			p.expect(packets.Pingresp)
		}
		p.ping()
	}
}

// bring has a proxy at an address say header, and a client then CONNECT.
func (b *broker) bring(t testing.TB, proxy, header, id string) *peer {
	t.Helper()
	client, socket := net.Pipe()
	b.server.admit(&listener{name: "pipe", proxies: near}, place{socket, proxy})
	p := newPeer(t, client)
	p.version = 4
	if _, err := io.WriteString(p, header); err == nil {
		p.Write(unhex(t, fmt.Sprintf("10 %02x 0004 4d515454 04 02 0000 %04x %x", 12+len(id), len(id), id)))
	}
	return p
}

// TestWhence: of whom a header says where it is, that holds, but for loopback,
// which is the proxy's own and not ours; all others are where the proxy is. None but
// the proxy itself is here as if by himself. What it says of TLS makes nobody a user.
func TestWhence(t *testing.T) {
	t.Parallel()
	const proxy, local = "10.0.0.7:99", "127.0.0.1:98"
	ssl := "\x20\x00\x17" + "\x07\x00\x00\x00\x00" + "\x22\x00\x05admin" + "\x21\x00\x07TLSv1.3" // PP2_TYPE_SSL with PP2_SUBTYPE_SSL_CN
	four := "\xcb\x00\x71\x09\xc0\x00\x02\x01\x12\x67\x07\x5b"
	var seen sync.Map
	inVirtualTime(t, witness(&seen), func(t *testing.T, b *broker) {
		for i, tt := range []struct{ proxy, header, want string }{
			{proxy, version1, "203.0.113.9:4711"},
			{proxy, version6, "[2001:db8::9]:4711"},
			{proxy, "PROXY TCP6 ::ffff:203.0.113.9 2001:db8::1 4711 1883\r\n", "203.0.113.9:4711"},
			{proxy, "PROXY TCP6 203.0.113.9 ::1 4711 1883\r\n", "203.0.113.9:4711"}, // nginx
			{proxy, "PROXY UNKNOWN\r\n", proxy},
			{proxy, "PROXY UNKNOWN ffff:f::f 203.0.113.9 65535 65535\r\n", proxy},
			{proxy, version2, "203.0.113.9:4711"},
			{proxy, signed + "\x21\x21\x00\x24" + strings.Repeat("\x20\x01", 8) + strings.Repeat("\x00", 16) + "\x12\x67\x07\x5b", "[2001:2001:2001:2001:2001:2001:2001:2001]:4711"},
			{proxy, signed + "\x21\x11\x00\x26" + four + ssl, "203.0.113.9:4711"},
			{proxy, signed + "\x20\x00\x00\x00", proxy},
			{proxy, signed + "\x20\x11\x00\x0c" + four, proxy},
			{proxy, signed + "\x20\x00\x00\x1a" + ssl, proxy},
			{proxy, signed + "\x21\x12\x00\x0c" + four, proxy}, // UDP
			{proxy, signed + "\x21\x31\x00\xd8" + strings.Repeat("/", 216), proxy},
			{proxy, "PROXY TCP4 127.0.0.1 192.0.2.1 4711 1883\r\n", proxy},
			{proxy, "PROXY TCP6 ::1 ::1 4711 1883\r\n", proxy},
			{proxy, "PROXY TCP6 ::ffff:127.0.0.1 ::1 4711 1883\r\n", proxy},
			{local, "PROXY TCP4 127.0.0.1 192.0.2.1 4711 1883\r\n", "127.0.0.1:4711"},
			{local, "PROXY TCP6 ::1 ::1 4711 1883\r\n", "[::1]:4711"},
			{local, version2, "203.0.113.9:4711"},
			{local, "PROXY UNKNOWN\r\n", local},
			{local, signed + "\x20\x00\x00\x00", local},
			{local, signed + "\x21\x31\x00\xd8" + strings.Repeat("/", 216), local},
		} {
			id := fmt.Sprint("c", i)
			p := b.bring(t, tt.proxy, tt.header, id)
			p.expect(packets.Connack)
			want := core.Identity{ClientID: id, Edge: "mqtt", Listener: "pipe", Remote: tt.want}
			who, _ := seen.Load(id)
			if c := who.(auth.Credentials); c.Identity != want || c.Brought != !strings.HasPrefix(tt.header, signed+"\x20") {
				t.Errorf("%q by %s brings %+v, want %+v", tt.header, tt.proxy, c, want)
			}
			p.Close()
		}
	})
}

// TestNoHeader: what is no PROXY header ends the connection, counted and logged
// with what to do; and others are brought as before.
func TestNoHeader(t *testing.T) {
	t.Parallel()
	var log transcript
	b := startOn(t, ListenerConfig{Proxies: near}, logTo(&log))
	proxy := &broker{addr: relay(t, b.addr, version2)}
	bad := []string{
		"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01p",
		"GET /mqtt HTTP/1.1\r\n\r\n",
		"PROXY", "PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
		"PROXYTCP4 203.0.113.9 192.0.2.1 4711 1883\r\n",
		"PROXY TCP4 203.0.113.9 192.0.2.1 4711 1883\n",
		"PROXY TCP4 203.0.113.9 192.0.2.1 4711 1883 0\r\n",
		"PROXY TCP4 203.0.113.9 192.0.2.1 65536 1883\r\n",
		"PROXY TCP4 2001:db8::9 2001:db8::1 4711 1883\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 4711 1883\r\n",
		"PROXY TCP4 localhost 192.0.2.1 4711 1883\r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n",
		signed[:11] + "\x00",
		signed + "\x31\x11\x00\x0c" + strings.Repeat("\x01", 12), // version 3
		signed + "\x22\x11\x00\x0c" + strings.Repeat("\x01", 12), // neither LOCAL nor PROXY
		signed + "\x21\x11\x00\x0b" + strings.Repeat("\x01", 11),
		signed + "\x21\x13\x00\x0c" + strings.Repeat("\x01", 12),
		signed + "\x21\x00\x00\x00", // comes from nowhere
		signed + "\x21\x11\xff\xff" + strings.Repeat("\x01", 12),
		signed + "\x20\x00\xff\xff",
	}
	for _, octets := range bad {
		p := b.dial(t)
		io.WriteString(p, octets)
		p.Conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, p); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", octets, err)
		}
		proxy.canary(t)
	}
	await(t, "all to be gone", func() bool { return b.server.Stats().Connections == 0 })
	if r := b.server.Stats().Refused; r.Handshake != uint64(len(bad)) {
		t.Errorf("%d of %d are counted: %+v", r.Handshake, len(bad), r)
	}
	if text := log.String(); !strings.Contains(text, `"event":"handshake_failed"`) || !strings.Contains(text, "send-proxy-v2") {
		t.Errorf("the log does not say what to do:\n%s", text)
	}
	before := b.server.Stats().Accepted
	p := b.dial(t) // to see whether we live
	p.Close()
	await(t, "it to be gone", func() bool { n := b.server.Stats(); return n.Accepted > before && n.Connections == 0 })
	if r := b.server.Stats().Refused; r.Handshake != uint64(len(bad)) {
		t.Error("who says nothing is counted as wrong")
	}
}

// TestPastTheProxies: whoever is none of the proxies is closed at once, whatever it
// says, and the log says how it would be one.
func TestPastTheProxies(t *testing.T) {
	t.Parallel()
	var log transcript
	inVirtualTime(t, logTo(&log), func(t *testing.T, b *broker) {
		b.bring(t, "192.0.2.9:5", version1, "c").mustEnd()
		b.bring(t, "[2001:db8::1]:5", version2, "c").mustEnd()
		b.bring(t, "10.1.2.3:5", version1, "c").expect(packets.Connack)
		b.bring(t, "[::ffff:10.1.2.3]:5", version1, "d").expect(packets.Connack)
		if n := b.server.Stats().Refused.Stranger; n != 2 {
			t.Errorf("%d are counted, want 2", n)
		}
	})
	if text := log.String(); strings.Count(text, "not_a_proxy") != 2 || !strings.Contains(text, `"remote":"192.0.2.9:5"`) || !strings.Contains(text, "proxy_protocol.trusted") {
		t.Errorf("the log does not say whom to trust:\n%s", text)
	}
}

// mustEnd wants nothing but the end.
func (p *peer) mustEnd() {
	p.t.Helper()
	if got, err := io.ReadAll(p); err != nil || len(got) > 0 {
		p.t.Errorf("%x comes, and %v", got, err)
	}
}

// TestLimitsBehindAProxy: clients count for their own addresses, and the proxy
// for none.
func TestLimitsBehindAProxy(t *testing.T) {
	t.Parallel()
	var log transcript
	set := func(co *core.Options, o *Options) {
		logTo(&log)(co, o)
		o.MaxConnectionsPerIP, o.ConnectRate = 2, 5
	}
	from := func(client string) string { return "PROXY TCP4 " + client + " 192.0.2.1 4711 1883\r\n" }
	inVirtualTime(t, set, func(t *testing.T, b *broker) {
		var ann []*peer
		for i, client := range []string{"203.0.113.1", "203.0.113.1", "203.0.113.2", "203.0.113.3"} {
			p := b.bring(t, "10.0.0.7:99", from(client), fmt.Sprint(i))
			p.expect(packets.Connack)
			ann = append(ann, p)
		}
		b.bring(t, "10.0.0.7:99", from("203.0.113.1"), "third").mustEnd()
		ann[0].disconnect()
		ann[0].expectEnd()
		await(t, "one to be gone", func() bool { return b.server.Stats().Connections == 3 })
		b.bring(t, "10.0.0.7:99", from("203.0.113.1"), "third").expect(packets.Connack)
		b.bring(t, "10.0.0.7:99", from("203.0.113.4"), "sixth").mustEnd() // in this second
		if r := b.server.Stats().Refused; r.PerIP != 1 || r.Rate != 1 {
			t.Errorf("counted are %+v, want one for each limit", r)
		}
	})
	for _, want := range []string{`"remote":"203.0.113.1:4711","limit":"limits.max_connections_per_ip"`, `"remote":"203.0.113.4:4711","limit":"limits.connect_rate"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, log.String())
		}
	}
}

// TestHostile28TrickledHeader: a PROXY header whose octets come one by one gets no
// more time than a CONNECT that does not come, and nobody else less.
func TestHostile28TrickledHeader(t *testing.T) {
	t.Parallel()
	set := func(_ *core.Options, o *Options) { o.ConnectTimeout = 5 * time.Second }
	inVirtualTime(t, set, func(t *testing.T, b *broker) {
		began := time.Now()
		var ended sync.WaitGroup
		for range 20 {
			client, socket := net.Pipe()
			b.server.admit(&listener{name: "pipe", proxies: near}, place{socket, "10.0.0.7:99"})
			ended.Go(func() {
				for _, octet := range []byte(version2) {
					if _, err := client.Write([]byte{octet}); err != nil {
						break
					}
					time.Sleep(time.Second - time.Millisecond)
				}
			})
			ended.Go(func() {
				io.Copy(io.Discard, client)
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("a connection is closed after %v, want 5 s", took)
				}
			})
		}
		canary := b.bring(t, "10.0.0.7:99", version2, "canary")
		canary.expect(packets.Connack)
		ended.Wait()
		canary.ping()
		if n := b.server.Stats().Refused.Timeout; n != 20 {
			t.Errorf("%d are counted, want 20", n)
		}
	})
}

// A blurt is a line that says all at once.
type blurt struct{ line }

func (b blurt) Read(p []byte) (int, error) { return b.Reader.Read(p) }

// FuzzProxyHeader: whatever a proxy says, nothing panics, the connection ends, and
// the client is where a header says or where the proxy is.
func FuzzProxyHeader(f *testing.F) {
	for _, header := range []string{version1, version6, version2, "PROXY UNKNOWN\r\n", signed + "\x20\x00\x00\x00", signed + "\x21\x31\x00\xd8"} {
		f.Add([]byte(header))
	}
	var remote atomic.Pointer[string]
	o := DefaultOptions()
	o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
		remote.Store(&c.Remote)
		return auth.Grant{Identity: c.Identity}, nil
	}
	s := New(core.New(core.DefaultOptions()), o)
	f.Fuzz(func(t *testing.T, header []byte) {
		remote.Store(nil)
		said := slices.Concat(header, []byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"))
		c := newConn(s, &listener{name: "fuzz", proxies: near}, blurt{line{bytes.NewReader(said)}})
		s.running.Add(1)
		c.serve()
		if n := s.Stats().Panics; n != 0 {
			t.Fatal("the decoder has panicked")
		}
		if at := remote.Load(); at != nil && *at != ":0" {
			if _, err := netip.ParseAddrPort(*at); err != nil {
				t.Fatalf("the client is at %q", *at)
			}
		}
	})
}
