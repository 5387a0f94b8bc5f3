package e2e

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// hop carries what comes to the address that it returns on to another, from
// 127.0.0.77.
func hop(t testing.TB, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	there := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := there.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			for a, b := range map[net.Conn]net.Conn{near: far, far: near} {
				go func() {
					io.Copy(a, b)
					a.Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}

// haproxy runs HAProxy with a port for each line: how it is bound, and where it
// leads, with what else to say to that. It returns addresses by which clients come
// to them from 127.0.0.77.
func haproxy(t testing.TB, lines ...[2]string) (ports []string) {
	t.Helper()
	config := "global\n  maxconn 200\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
	cmd := exec.Command("haproxy", "-db", "-f", filepath.Join(t.TempDir(), "haproxy.cfg"))
	for i, line := range lines {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close(); l.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		config += fmt.Sprintf("listen l%d\n  bind fd@%d %s\n  server s %s\n", i, 3+i, line[0], line[1])
		ports = append(ports, hop(t, l.Addr().String()))
	}
	if err := os.WriteFile(cmd.Args[3], []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	said := new(transcript)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy wrote:\n%s", said)
		}
	})
	return ports
}

// proxied are the settings of a broker that HAProxy stands in front of: of all its
// listeners but "mqtt", and as nobody else may.
func proxied(files keyPair) string {
	const by = "proxy_protocol: {enabled: true, trusted: [127.0.0.1/32]}"
	return fmt.Sprintf(`listeners=[{name: proxied, type: tcp, address: "127.0.0.1:0", %[1]s}, {name: mqtts, type: tls, address: "127.0.0.1:0", tls: {cert_file: %[2]s, key_file: %[3]s}, %[1]s},
		{name: ws, type: ws, address: "127.0.0.1:0", %[1]s}, {name: mqtt, type: tcp, address: "127.0.0.1:0"}, {name: sn, type: mqttsn-udp, address: "127.0.0.1:0"}]`, by, files.cert, files.key)
}

// TestHAProxy: clients whom HAProxy brings, by either version of its header, over
// TCP, TLS and WebSocket, come from where they are, to rules and to whom looks, and
// are no users because it has seen a certificate. The canary comes by itself.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files, clients := a.issue("server", "broker", nil), a.issue("client", "ops", nil)
	b := start(t, proxied(files), "log.level=debug", "acl.default=allow", "auth.anonymous.enabled=true",
		`acl.rules=[{from: [127.0.0.77/32], deny: publish, topic: "far/#"}, {user: ops, deny: all, topic: "#"}, {listener: mqtt, allow: all, topic: "#"}]`,
		fmt.Sprintf("auth.providers=[{type: passwd, file: %q}]", passwords(t, "ops", "secret")))
	b.settle(t)
	both := filepath.Join(a.dir, "both.pem")
	cert, err := os.ReadFile(files.cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(files.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(both, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := b.allTCP[0].String()
	at, err := url.Parse(b.ws)
	if err != nil {
		t.Fatal(err)
	}
	ports := haproxy(t,
		[2]string{"", plain + " send-proxy"},
		[2]string{"", plain + " send-proxy-v2 check inter 50ms"},
		[2]string{"", plain + " send-proxy-v2 proxy-v2-options unique-id,crc32c"},
		[2]string{"", b.tls.String() + " send-proxy-v2"},
		[2]string{"", at.Host + " send-proxy-v2"},
		[2]string{"ssl crt " + both + " ca-file " + a.file + " verify required", plain + " send-proxy-v2-ssl-cn"},
		[2]string{"", plain}, // without a header
	)
	shown, err := tls.LoadX509KeyPair(clients.cert, clients.key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := a.trusted()
	showing := trusted.Clone()
	showing.Certificates = []tls.Certificate{shown}
	from := func(server string, t *tls.Config) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) {
			o.Servers = nil
			o.AddBroker(server).SetTLSConfig(t)
		}
	}
	sub := b.mqtt3(t, "sub", nil)
	sub.subscribe("#", 1)
	for i, way := range []func(*mqtt.ClientOptions){
		from("tcp://"+ports[0], nil), from("tcp://"+ports[1], nil), from("tcp://"+ports[2], nil), from("tls://"+ports[3], trusted), from("ws://"+ports[4]+at.Path, nil), from("tls://"+ports[5], showing),
	} {
		c := b.mqtt3(t, fmt.Sprint("c", i), way)
		c.subscribe("back", 1)
		c.publish("far/away", "denied", 1, false)
		c.publish("near", fmt.Sprint(i), 1, false)
		want(t, sub.receive(), message{"near", fmt.Sprint(i), 1, false})
		b.publish(t, "back", "and back", 1)
		want(t, c.receive(), message{"back", "and back", 1, false})
		want(t, sub.receive(), message{"back", "and back", 1, false})
		if _, says, _ := run(t, "clients", "--socket", b.admin); !strings.Contains(says, "127.0.0.77:") {
			t.Errorf("by way %d a client is not seen where it is:\n%s", i, says)
		}
		c.disconnect()
		if n := strings.Count(b.log.String(), fmt.Sprintf(`"client":"c%d","user":"","listener":"%s","remote":"127.0.0.77:`, i, []string{"proxied", "proxied", "proxied", "mqtts", "ws", "proxied"}[i])); n == 0 {
			t.Errorf("by way %d the log does not say where the client is", i)
		}
	}
	bare, err := net.DialTimeout("tcp", ports[6], patience)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	bare.SetDeadline(time.Now().Add(patience))
	c := &rawMQTT{t, bare}
	c.send(withLogin("ops", "secret"))
	if said := c.wantClosed("a proxy that says nothing"); len(said) > 0 {
		t.Errorf("it is told %x", said)
	}
	past, err := (&net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 78)}}).Dial("tcp", plain)
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	past.SetDeadline(time.Now().Add(patience))
	c = &rawMQTT{t, past}
	fmt.Fprint(past, "PROXY TCP4 127.0.0.1 127.0.0.1 1 1883\r\n")
	c.send(withLogin("ops", "secret"))
	if said := c.wantClosed("somebody came past the proxy"); len(said) > 0 {
		t.Errorf("it is told %x", said)
	}
	b.settle(t)
	for _, reason := range []string{"handshake", "stranger"} { // and what HAProxy does to see whether we live is neither
		if n := b.metric(t, fmt.Sprintf("dormouse_mqtt_connections_refused_total{reason=%q}", reason)); n != "1" {
			t.Errorf("%s connections are refused for %s, want one", n, reason)
		}
	}
}

// TestProxyIsNotHere: nobody gets in without a name for what a proxy says, not even
// that it is on this machine or that nobody knows where; the proxy itself does, and
// so does who is on this machine without one.
func TestProxyIsNotHere(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	b := start(t, proxied(a.issue("server", "broker", nil)), fmt.Sprintf("auth.providers=[{type: passwd, file: %q}]", passwords(t, "ops", "secret")))
	const nameless, notAllowed = "10 0e | 0004 4d515454 05 02 003c 00 | 0001 63", 0x87
	const two = "0d0a0d0a000d0a515549540a" // what version 2 begins with
	for header, reason := range map[string]byte{
		hex.EncodeToString([]byte("PROXY TCP4 127.0.0.1 127.0.0.1 4711 1883\r\n")):    notAllowed,
		hex.EncodeToString([]byte("PROXY TCP6 ::1 ::1 4711 1883\r\n")):                notAllowed,
		hex.EncodeToString([]byte("PROXY TCP6 ::ffff:127.0.0.1 ::1 4711 1883\r\n")):   notAllowed,
		hex.EncodeToString([]byte("PROXY TCP4 0.0.0.0 127.0.0.1 4711 1883\r\n")):      notAllowed,
		hex.EncodeToString([]byte("PROXY UNKNOWN\r\n")):                               notAllowed,
		hex.EncodeToString([]byte("PROXY UNKNOWN 127.0.0.1 127.0.0.1 4711 1883\r\n")): notAllowed,
		two + "21 11 000c 7f000001 7f000001 1267 075b":                                notAllowed,
		two + "21 31 00d8" + strings.Repeat("2f", 216):                                notAllowed, // a Unix socket
		two + "21 12 000c 7f000001 7f000001 1267 075b":                                notAllowed, // UDP
		two + "20 11 000c cb007109 7f000001 1267 075b":                                letIn,      // LOCAL
		two + "20 00 0000": letIn,
	} {
		c := rawAt(t, b.allTCP[0])
		c.send(header + nameless)
		if got := c.connack(); got != reason {
			t.Errorf("behind %s a client without a name is answered by 0x%02x, want 0x%02x", header, got, reason)
		}
	}
	c := b.rawMQTT(t)
	c.send(nameless)
	if got := c.connack(); got != letIn {
		t.Errorf("without a proxy it is answered by 0x%02x", got)
	}
}
