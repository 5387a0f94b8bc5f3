package mqtt

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"dormouse/core"
)

func startWS(t testing.TB, change func(*core.Options, *Options), origins ...string) *broker {
	t.Helper()
	b := startOn(t, ListenerConfig{WebSocket: &WebSocket{Path: "/mqtt", AllowedOrigins: origins}}, change)
	b.dialer = transports(t)["ws"].dial
	return b
}

// rawDial opens a TCP connection to a port that expects something else.
func (b *broker) rawDial(t testing.TB) *peer {
	t.Helper()
	over := &broker{addr: b.addr}
	return over.dial(t)
}

// ask sends an HTTP request as it is and returns the answer.
func (p *peer) ask(request string) (*http.Response, string) {
	p.t.Helper()
	io.WriteString(p, request)
	answer, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.t.Fatalf("%.60q is answered by %v", request, err)
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer, ""
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer, string(body)
}

// upgrade is a request for a WebSocket at path, with more header lines.
func upgrade(path string, more ...string) string {
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: broker:8083", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// at is a request for a WebSocket at /mqtt of that host.
func at(host string, more ...string) string {
	return strings.Replace(upgrade("/mqtt", more...), "broker:8083", host, 1)
}

// TestSameHostElsewhere: beyond loopback a page of the same host may connect,
// whatever that is called.
func TestSameHostElsewhere(t *testing.T) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgrade("/mqtt", "Origin: https://broker:8083"))))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"192.0.2.1": true, "2001:db8::1": true, "127.0.0.1": false, "::1": false} {
		at := &net.TCPAddr{IP: net.ParseIP(address), Port: 8083}
		if got := new(WebSocket).welcomes(r, at); got != want {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
}

// TestUpgrade: who asks for MQTT gets it, and no compression; who asks for
// anything else is told what is wrong, and that is all.
func TestUpgrade(t *testing.T) {
	b := startWS(t, nil, "https://example.org", "http://test:8000")
	for _, tt := range []struct {
		name, request string
		status        int
		says          string // in the body; or the subprotocol
	}{
		{"mqtt", upgrade("/mqtt", "Sec-WebSocket-Protocol: chat, mqtt"), 101, "mqtt"},
		{"mqttv3.1", upgrade("/mqtt", "Sec-WebSocket-Protocol: mqttv3.1"), 101, "mqttv3.1"},
		{"no subprotocol", upgrade("/mqtt"), 101, ""},
		{"a query", upgrade("/mqtt?token=1"), 101, ""},
		{"compression", upgrade("/mqtt", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"), 101, ""},
		{"the same origin", at("LocalHost:8083", "Origin: http://localhost:8083"), 101, ""},
		{"the same origin by IPv4", at("127.0.0.1:8083", "Origin: http://127.0.0.1:8083"), 101, ""},
		{"the same origin by IPv6", at("[::1]:8083", "Origin: http://[::1]:8083"), 101, ""},
		{"an allowed origin by another name", at("evil.example:8083", "Origin: https://example.org"), 101, ""},
		{"an allowed origin", upgrade("/mqtt", "Origin: https://example.org"), 101, ""},
		{"an allowed origin with its port", upgrade("/mqtt", "Origin: https://example.org:443"), 101, ""},
		{"another allowed origin", upgrade("/mqtt", "Origin: http://test:8000"), 101, ""},

		{"a stranger's name bound to loopback", at("evil.example:8083", "Origin: http://evil.example:8083"), 403, "allowed_origins"},
		{"a name like this machine's", at("127.0.0.1.evil.example", "Origin: http://127.0.0.1.evil.example"), 403, "allowed_origins"},
		{"an address of another machine", at("192.0.2.1:8083", "Origin: http://192.0.2.1:8083"), 403, "allowed_origins"},
		{"another origin", upgrade("/mqtt", "Origin: https://evil.example"), 403, "allowed_origins"},
		{"an origin of another port", at("localhost:8083", "Origin: http://localhost:8084"), 403, "allowed_origins"},
		{"an origin of another scheme", upgrade("/mqtt", "Origin: http://example.org"), 403, "allowed_origins"},
		{"an origin that begins like one", upgrade("/mqtt", "Origin: https://example.org.evil.example"), 403, "allowed_origins"},
		{"no origin to speak of", upgrade("/mqtt", "Origin: null"), 403, "allowed_origins"},
		{"another path", upgrade("/"), 404, "/mqtt"},
		{"a path below", upgrade("/mqtt/"), 404, "/mqtt"},
		{"a browser's visit", "GET /mqtt HTTP/1.1\r\nHost: broker:8083\r\n\r\n", 400, "connect with an MQTT client"},
		{"POST", strings.Replace(upgrade("/mqtt"), "GET", "POST", 1), 405, "GET"},
		{"an old version", strings.Replace(upgrade("/mqtt"), ": 13", ": 8", 1), 400, "version"},
		{"a key that is none", strings.Replace(upgrade("/mqtt"), "dGhl", "", 1), 400, "Sec-WebSocket-Key"},
		{"no HTTP", "\x10\x0f\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x02crlf\r\n", 400, "not HTTP"},
		{"a long line", "GET /" + strings.Repeat("a", maxRequest) + " HTTP/1.1\r\n\r\n", 431, "8192"},
		{"a long header", upgrade("/mqtt", "Cookie: "+strings.Repeat("a", maxRequest)), 431, "8192"},
		{"a long body", strings.Replace(upgrade("/mqtt", "Content-Length: 1000000"), "GET", "PUT", 1) + strings.Repeat("a", maxRequest), 405, "GET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.server.Stats().Refused.Handshake
			p := b.rawDial(t)
			answer, body := p.ask(tt.request)
			says := body
			if answer.StatusCode == 101 {
				says = answer.Header.Get("Sec-WebSocket-Protocol")
			}
			if answer.StatusCode != tt.status || !strings.Contains(says, tt.says) || tt.says == "" && says != "" {
				t.Fatalf("%d %q, want %d %q", answer.StatusCode, says, tt.status, tt.says)
			}
			if e := answer.Header.Get("Sec-WebSocket-Extensions"); e != "" {
				t.Errorf("the extension %s is agreed on", e)
			}
			if tt.status == 101 {
				return
			}
			if _, err := p.in.ReadByte(); err != io.EOF {
				t.Errorf("after the answer: %v, want the end", err)
			}
			if n := b.server.Stats().Refused.Handshake - before; n != 1 {
				t.Errorf("counted %d times, want once", n)
			}
		})
	}
	b.canary(t)
}

// TestAnyOrigin: "*" lets all web pages in, even those without an origin.
func TestAnyOrigin(t *testing.T) {
	b := startWS(t, nil, "*")
	for _, origin := range []string{"https://evil.example", "null"} {
		if answer, _ := b.rawDial(t).ask(upgrade("/mqtt", "Origin: "+origin)); answer.StatusCode != 101 {
			t.Errorf("%s: %d, want 101", origin, answer.StatusCode)
		}
	}
}

// dialFrames opens a WebSocket on which a test sends frames of its own.
func (b *broker) dialFrames(t testing.TB) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return c
}

const connect5 = "10 0f | 0004 4d515454 05 02 003c 00 | 0002 6372"

// TestHostile04Frames: packets may be split over frames and packed in them;
// what a frame holds too little of is waited for, and is not taken from behind
// it; and nobody gets memory by announcing a frame.
func TestHostile04Frames(t *testing.T) {
	b := startWS(t, func(_ *core.Options, o *Options) { o.ConnectTimeout = 200 * time.Millisecond })
	t.Run("split and packed", func(t *testing.T) {
		c := b.dialFrames(t)
		for _, octet := range unhex(t, connect5) {
			c.WriteMessage(websocket.BinaryMessage, []byte{octet})
			c.WriteMessage(websocket.BinaryMessage, nil)
		}
		if _, answer, err := c.ReadMessage(); err != nil || answer[0] != 0x20 {
			t.Fatalf("CONNECT is answered by %x, %v", answer, err)
		}
		c.WriteMessage(websocket.BinaryMessage, unhex(t, "c0 00 | c0 00 | c0"))
		c.WriteMessage(websocket.BinaryMessage, unhex(t, "00"))
		var answers []byte
		for len(answers) < 6 {
			_, more, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, more...)
		}
		if want := unhex(t, "d000 d000 d000"); string(answers) != string(want) {
			t.Errorf("three PINGREQ are answered by %x", answers)
		}
	})
	t.Run("too little", func(t *testing.T) {
		c := b.dialFrames(t)
		c.WriteMessage(websocket.BinaryMessage, unhex(t, "10 8020 | 0004 4d")) // 4096, of which there are three
		if kind, said, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("got %d %x, %v; want nothing but the end", kind, said, err)
		}
		if n := b.server.Stats().Refused.Timeout; n != 1 {
			t.Errorf("%d connections have run out of time, want 1", n)
		}
	})
	t.Run("huge", func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			p := b.rawDial(t)
			p.ask(upgrade("/mqtt"))
			p.raw("82 ff 0000000040000000 00000000 | 30 02 0000") // 1 GiB of one that begins with PUBLISH
			if _, err := io.Copy(io.Discard, p.in); err != nil {
				t.Fatal(err)
			}
			p.Close()
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 20<<20 {
			t.Errorf("%d KiB were allocated for 100 headers", grown>>10)
		}
	})
	b.canary(t)
}

// TestHostile05Frames: a frame that is none ends the connection, by a Close
// frame that says why.
func TestHostile05Frames(t *testing.T) {
	b := startWS(t, nil)
	connect := strings.ReplaceAll(strings.ReplaceAll(connect5, " ", ""), "|", "")
	for _, tt := range []struct {
		name, octets string
		close        uint16
	}{
		{"text", "81 82 00000000 c000", websocket.CloseUnsupportedData},
		{"a compressed frame", "c2 82 00000000 c000", websocket.CloseProtocolError},
		{"reserved bits", "b2 82 00000000 c000", websocket.CloseProtocolError},
		{"no mask", "82 02 c000", websocket.CloseProtocolError},
		{"an unknown opcode", "83 82 00000000 c000", websocket.CloseProtocolError},
		{"a continuation of nothing", "80 82 00000000 c000", websocket.CloseProtocolError},
		{"a fragmented ping", "09 80 00000000", websocket.CloseProtocolError},
		{"a long ping", "89 fe 00ff 00000000", websocket.CloseProtocolError},
		{"a new message in the midst of one", "02 80 00000000 82 81 00000000 00", websocket.CloseProtocolError},
	} {
		for when, before := range map[string]string{"first": "", "later": "82 91 00000000 " + connect} {
			t.Run(tt.name+", "+when, func(t *testing.T) {
				p := b.rawDial(t)
				p.ask(upgrade("/mqtt"))
				p.raw(before + tt.octets)
				said, err := io.ReadAll(p.in)
				if got := closeCode(said); err != nil || got != tt.close {
					t.Errorf("the broker says %x, %v: Close %d; want %d", said, err, got, tt.close)
				}
			})
		}
	}
	if c := b.server.Stats().Closed; c.Malformed+c.Protocol != 18 {
		t.Errorf("closed: %+v; want 18 for malformed frames and text", c)
	}
	b.canary(t)
}

// closeCode returns the status code of the Close frame that octets end in.
func closeCode(frames []byte) uint16 {
	for len(frames) >= 4 {
		length := int(frames[1])
		if frames[0] == 0x88 {
			return uint16(frames[2])<<8 | uint16(frames[3])
		}
		frames = frames[min(2+length, len(frames)):]
	}
	return 0
}

// TestControlFrames: a ping is answered in the midst of a message, and a Close
// frame by another; without DISCONNECT the will is published.
func TestControlFrames(t *testing.T) {
	b := startWS(t, nil)
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "will")

	p := b.rawDial(t)
	p.ask(upgrade("/mqtt"))
	p.raw("02 85 00000000 10 19 0004 4d | 89 82 00000000 6869") // CONNECT begins, ping "hi"
	expectFrame(t, p.in, "8a 02 6869")
	p.raw("80 96 00000000 515454 04 06 003c | 0002 6372 | 0004 77696c6c | 0003 627965")
	expectFrame(t, p.in, "82 04 20020000")
	p.raw("88 82 00000000 03e9") // Close: going away
	expectFrame(t, p.in, "88 02 03e9")
	if _, err := p.in.ReadByte(); err != io.EOF {
		t.Errorf("after the Close frame: %v, want the end", err)
	}
	watcher.expectMessage("will bye 0 0")
}

func expectFrame(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	octets := unhex(t, want)
	got := make([]byte, len(octets))
	if n, err := io.ReadFull(in, got); string(got) != string(octets) {
		t.Fatalf("got %x, %v; want %x", got[:n], err, octets)
	}
}

// TestPingAfterSilence: a ping is answered however long ago something was sent.
func TestPingAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(core.New(core.DefaultOptions()), DefaultOptions())
		client, socket := net.Pipe()
		s.admit(&listener{name: "pipe", web: &WebSocket{Path: "/mqtt"}, upgrader: newUpgrader()}, socket)
		p := &peer{t: t, Conn: client, in: bufio.NewReader(client)}
		p.ask(upgrade("/mqtt"))
		p.raw("82 90 00000000 10 0e 0004 4d515454 04 02 0000 0002 6372") // no keep alive
		expectFrame(t, p.in, "82 04 20020000")
		time.Sleep(time.Hour)
		p.raw("89 82 00000000 6869")
		expectFrame(t, p.in, "8a 02 6869")
		client.Close()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestPingFlood: who pings and does not read the answers is cut off.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	b := startWS(t, func(_ *core.Options, o *Options) { o.WriteTimeout = 200 * time.Millisecond })
	p := b.rawDial(t)
	p.ask(upgrade("/mqtt"))
	p.raw("82 91 00000000 " + connect5)
	pings := []byte(strings.Repeat("\x89\x84\x00\x00\x00\x00ping", 1<<10))
	await(t, "the client to be cut off", func() bool {
		_, err := p.Write(pings)
		return err != nil
	})
	await(t, "the client to be forgotten", func() bool { return b.server.Stats().Connections == 0 })
	b.canary(t)
}
