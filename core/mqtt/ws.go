package mqtt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core/auth"
)

// A WebSocket says who may speak MQTT in the frames of one, MQTT 5 §6.
type WebSocket struct {
	// Path is where it is, such as "/mqtt".
	Path string

	// AllowedOrigins are the web pages from which a browser may connect, such
	// as "https://example.org:8443", or "*" for all. Those of the same host and
	// port may, too, but on loopback only if that host is localhost or an address
	// of loopback; and so may whoever is no browser and names none.
	AllowedOrigins []string
}

const (
	maxRequest = 8 << 10 // octets of an HTTP request with its header
	frameRead  = 512     // octets read ahead of the guard
)

// frames are buffers for what is on its way to a WebSocket: an idle one has
// none.
var frames sync.Pool

// newUpgrader returns what makes WebSockets of requests that we have checked.
func newUpgrader() *websocket.Upgrader {
	return &websocket.Upgrader{
		ReadBufferSize:  frameRead,
		WriteBufferSize: chunk,
		WriteBufferPool: &frames,
		Subprotocols:    []string{"mqtt", "mqttv3.1"},
		CheckOrigin:     func(*http.Request) bool { return true }, // upgrade has
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			w.(*exchange).refuse(status, reason.Error())
		},
	}
}

// upgrade has the client ask for a WebSocket by one HTTP request. Any other is
// answered, and that is all.
func (c *conn) upgrade() error {
	var below net.Conn = wire{c.socket, c}
	if s, ok := c.stream.(*secure); ok {
		below = s
	}
	head := &io.LimitedReader{R: below, N: maxRequest}
	x := &exchange{below: below, in: bufio.NewReaderSize(head, bufferMin)}
	err := x.ask(c.port.web, head)
	if err != nil {
		return err
	}
	ws, err := c.port.upgrader.Upgrade(x, x.request, nil)
	if err != nil {
		return &handshakeError{fmt.Errorf("upgrade: %w", err)}
	}
	c.stream = &webSocket{Conn: ws, below: below, farewell: websocket.CloseNormalClosure}
	return nil
}

// An exchange is one HTTP request and its answer. To gorilla it is a
// ResponseWriter, of which only Hijack is ever used.
type exchange struct {
	http.ResponseWriter
	below   net.Conn
	in      *bufio.Reader
	request *http.Request
}

// ask reads the request from head and refuses what is none for a WebSocket of
// w.
func (x *exchange) ask(w *WebSocket, head *io.LimitedReader) error {
	var err error
	x.request, err = http.ReadRequest(x.in)
	var network net.Error
	switch {
	case err == nil:
	case head.N == 0:
		return x.refuse(http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request is longer than %d octets", maxRequest))
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &handshakeError{fmt.Errorf("HTTP request: %w", err)}
	default:
		return x.refuse(http.StatusBadRequest, "this is not HTTP")
	}
	switch {
	case x.request.URL.Path != w.Path:
		return x.refuse(http.StatusNotFound, fmt.Sprintf("there is nothing here; MQTT over WebSocket is at %s", w.Path))
	case !websocket.IsWebSocketUpgrade(x.request):
		return x.refuse(http.StatusBadRequest, "this is MQTT over WebSocket; connect with an MQTT client")
	case !w.welcomes(x.request, x.below.LocalAddr()):
		return x.refuse(http.StatusForbidden, "web pages of this origin may not connect; they can be named in allowed_origins of the listener")
	}
	return nil
}

// welcomes reports whether the web page that asks, if any, may come to the
// address at. On loopback, where one may need no password, its being of the same
// host says nothing unless that is this machine: see [auth.LocalHost].
func (w *WebSocket) welcomes(r *http.Request, at net.Addr) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if u, err := url.Parse(origin); err == nil && strings.EqualFold(u.Host, r.Host) && (!isLoopback(at) || auth.LocalHost(r.Host)) {
		return true
	}
	for _, allowed := range w.AllowedOrigins {
		if allowed == "*" || sameOrigin(allowed, origin) {
			return true
		}
	}
	return false
}

func isLoopback(at net.Addr) bool {
	addr, err := netip.ParseAddrPort(at.String())
	return err == nil && addr.Addr().IsLoopback()
}

// sameOrigin compares origins as RFC 6454 §5 does: the port of a scheme need
// not be written.
func sameOrigin(a, b string) bool {
	plain := func(origin string) string {
		origin = strings.ToLower(origin)
		if strings.HasPrefix(origin, "https:") {
			return strings.TrimSuffix(origin, ":443")
		}
		return strings.TrimSuffix(origin, ":80")
	}
	return plain(a) == plain(b)
}

// refuse answers the request, in a sentence.
func (x *exchange) refuse(status int, why string) error {
	answer := http.Response{
		StatusCode: status,
		ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type":           {"text/plain; charset=utf-8"},
			"X-Content-Type-Options": {"nosniff"},
			"Sec-Websocket-Version":  {"13"},
		},
		Body:          io.NopCloser(strings.NewReader(why + "\n")),
		ContentLength: int64(len(why) + 1),
		Close:         true,
	}
	answer.Write(x.below) // or the client has gone
	return &handshakeError{fmt.Errorf("HTTP %d: %s", status, why)}
}

// Hijack is gorilla's.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return x.below, bufio.NewReadWriter(x.in, bufio.NewWriterSize(x.below, bufferMin)), nil
}

// A webSocket is a stream in binary frames. Where one ends means nothing
// [MQTT-6.0.0-2], and how long one says that it is costs nothing: its octets
// are the guard's as they come.
type webSocket struct {
	*websocket.Conn
	below    net.Conn
	frame    io.Reader // what is being read; nil: none
	farewell int       // status code of our Close frame, RFC 6455 §7.4
}

// Why a client is parted with that breaks the rules of WebSocket.
var (
	errTextFrame = packets.Code{Code: packets.ErrProtocolViolation.Code, Reason: "protocol violation: text frame"} // [MQTT-6.0.0-1]
	errBadFrame  = packets.Code{Code: packets.ErrMalformedPacket.Code, Reason: "malformed WebSocket frame"}
)

// Read reads what has come of a frame.
func (w *webSocket) Read(p []byte) (int, error) {
	for {
		if w.frame == nil {
			kind, frame, err := w.NextReader()
			if err != nil {
				return 0, because(err)
			}
			if kind != websocket.BinaryMessage {
				w.farewell = websocket.CloseUnsupportedData
				return 0, errTextFrame
			}
			w.frame = frame
		}
		n, err := w.frame.Read(p)
		if errors.Is(err, io.EOF) {
			w.frame, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, because(err)
		}
	}
}

// because returns err, from gorilla, as what it is to the connection. Of what
// comes from the network gorilla hides all but whether time was over.
func because(err error) error {
	var network net.Error
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &network) && network.Timeout():
		return os.ErrDeadlineExceeded
	case err == nil, errors.As(err, &network), errors.As(err, &closed):
		return err
	}
	return errBadFrame
}

// Write sends p in one frame. Behind a Close frame nothing may follow: whoever
// reads finds out why there was one.
func (w *webSocket) Write(p []byte) (int, error) {
	err := w.WriteMessage(websocket.BinaryMessage, p)
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return 0, because(err)
	}
	return len(p), nil
}

// CloseWrite sends a Close frame, unless gorilla has, and ends what is below.
func (w *webSocket) CloseWrite() error {
	err := w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(w.farewell, ""), time.Now().Add(linger))
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return err
	}
	return closeWrite(w.below)
}
