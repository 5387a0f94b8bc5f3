package mqtt

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"dormouse/core"
	"dormouse/core/auth"
)

// linger is how long a farewell may take, to be sent and to be received.
const linger = time.Second

// A conn is one client's connection: to mochi a net.Conn, to core a Sink.
//
// A goroutine serves it, which reads: serve. As soon as the client is silent a
// lookout does so in its place. What mochi and the answers of core have put into
// out, and the messages that wait in the session, the server's carrier sends as
// the socket takes them, and where that takes time another goroutine, for as long
// as it takes.
type conn struct {
	server   *Server
	socket   net.Conn
	port     *listener
	listener string
	remote   net.Addr   // where the client is, constant once CONNECT is awaited
	brought  bool       // by a proxy, likewise
	ip       netip.Addr // that it is counted by, with the server's mu locked; invalid: none yet
	name     string     // mochi's client id for it

	// stream is what MQTT is spoken over: the socket, or TLS, or a WebSocket
	// upon either. Constant once CONNECT is awaited.
	stream io.ReadWriter
	raw    syscall.RawConn // of a socket that is the stream itself; else nil

	shown *x509.Certificate // by the client, and verified, until CONNECT; nil: none

	// Of the goroutine that reads.
	guard    guard
	ahead    []byte          // what has come with the PROXY header and is not read yet
	idle     time.Duration   // how long to wait for a packet; zero: for ever
	request  *packets.Packet // CONNECT, until it is answered
	connack  *packets.Packet // what is ours in CONNACK, until it is sent
	welcome  bool            // CONNACK is a success
	kept     bool            // the client has asked for its session to outlive the connection
	requests chan struct{}   // one in it for each that core has not answered
	aliases  map[uint16]string
	pace     *pace // nil: the client may publish as it likes
	hand     bool  // it will send for others before it waits

	lookout *lookout    // who waits for packets; nil: the connection's goroutine
	watched atomic.Bool // the lookout does
	watch   watch

	// Set before CONNACK is sent, then constant.
	session   *core.Session
	term      *time.Timer // parts with the client; nil: it may stay
	maxPacket uint32      // Maximum Packet Size of the client; zero: any
	terse     bool        // the client wants no reason strings

	shorthand *shorthand // of whoever sends; nil: the client wants no aliases

	mu      sync.Mutex    // guards what follows
	id      core.Identity // constant once CONNECT is read, as are version and window
	proof   auth.Proof    // why the client was let in, constant once it is proven
	proven  bool
	version byte // protocol level
	window  int  // Receive Maximum of the client
	out     bytes.Buffer
	queued  uint64       // packets in out
	open    bool         // CONNACK is in out
	mail    bool         // Next may have something
	flying  int          // deliveries that the client has not acknowledged
	quota   quota        // of the client's messages
	dropped bool         // a message was, and the log knows
	parting bool         // the connection is to be closed once out is sent
	why     packets.Code // of parting
	ending  core.Ending

	sending bool // somebody sends for it, or will, or all is over

	written chan struct{} // closed when all sending has ended
}

func newConn(s *Server, port *listener, socket net.Conn) *conn {
	c := &conn{
		server:   s,
		socket:   socket,
		port:     port,
		listener: port.name,
		remote:   socket.RemoteAddr(),
		stream:   socket,
		name:     strconv.FormatUint(s.names.Add(1), 10),
		idle:     s.o.ConnectTimeout,
		requests: make(chan struct{}, s.o.ReceiveMaximum),
		ending:   core.Lost,
		written:  make(chan struct{}),
	}
	c.guard = guard{from: socket, connect: s.o.PreConnectBytes, limit: s.o.MaxPacketSize, users: s.o.MaxUserProperties}
	if bare, ok := socket.(syscall.Conn); ok && !port.layered() {
		c.raw, _ = bare.SyscallConn()
	}
	if s.o.PublishRate != (PublishRate{}) {
		c.pace = new(pace)
	} else if n := uint64(len(s.lookouts)); n > 0 && c.raw != nil {
		c.lookout = s.lookouts[s.names.Load()%n]
	}
	return c
}

// serve lives through the connection, or until a lookout does. Nothing but a
// small buffer exists before the client has sent a whole CONNECT.
func (c *conn) serve() {
	if err := c.guard.next(c.arrive); err != nil {
		c.turnAway(err)
		c.leave()
		return
	}
	if err := c.connect(); err != nil {
		c.finish(err)
		return
	}
	c.converse()
}

// finish ends the connection, because of err.
func (c *conn) finish(err error) {
	c.part(c.reason(err))
	c.stopOutwait()
	if c.term != nil {
		c.term.Stop()
	}
	c.detach()
	c.logEnd()
	c.farewell()
	c.leave()
}

// leave is the last of the connection.
func (c *conn) leave() {
	c.countReceived()
	c.socket.Close()
	c.server.forget(c)
}

// turnAway notes that a stranger did not get as far as CONNECT. Only TLS and
// WebSocket have a way to tell it why.
func (c *conn) turnAway(err error) {
	log := c.server.o.Log.Debug().Str("event", "no_connect")
	var code packets.Code
	var failed *handshakeError
	var over overLimit
	switch {
	case errors.As(err, &over):
		c.server.logOver(c, string(over))
		return
	case errors.Is(err, packets.ErrPacketTooLarge):
		c.server.refusals.tooLarge.Add(1)
		log = c.server.incidents.Info().Str("event", "connect_refused").Str("limit", "limits.pre_connect_bytes")
	case errors.As(err, &code):
		c.server.countClosed(code)
	case errors.Is(err, os.ErrDeadlineExceeded):
		if !c.isParting() {
			c.server.refusals.timeout.Add(1)
		}
	case errors.As(err, &failed):
		c.server.refusals.handshake.Add(1)
		log = c.server.incidents.Info().Str("event", "handshake_failed")
	}
	log.Err(err).Str("listener", c.listener).
		Stringer("remote", c.remote).Msg("connection closed before CONNECT")
	if c.port.layered() {
		c.socket.SetWriteDeadline(time.Now().Add(linger))
		c.hangUp()
	}
}

// connect has mochi take CONNECT and answer it. It does so in a goroutine of its
// own, with whose end the 16 KB of stack go that it takes; the connection's
// gets along with 4.
func (c *conn) connect() error {
	answered := make(chan error)
	go func() {
		answered <- c.protect(func() error { return c.server.mochi.EstablishConnection(c.listener, c) })
	}()
	err := <-answered
	c.server.mochi.Clients.Delete(c.name) // mochi itself leaves it there after a panic
	if c.session != nil && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// protect runs what reads packets. A panic ends this connection only.
func (c *conn) protect(run func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.server.panics.Add(1)
			c.server.o.Log.Error().Str("event", "panic").Str("client", c.id.ClientID).
				Any("panic", v).Bytes("stack", debug.Stack()).Msg("a packet has brought the decoder down: please report this")
			err = packets.ErrImplementationSpecificError
		}
	}()
	return run()
}

// reason is err, with which mochi has ended, as a reason for DISCONNECT.
func (c *conn) reason(err error) packets.Code {
	var code packets.Code
	switch {
	case errors.As(err, &code):
		return code
	case errors.Is(err, os.ErrDeadlineExceeded):
		return packets.ErrKeepAliveTimeout
	}
	return packets.CodeDisconnect // the client's own doing
}

// part ends the connection, in time: an MQTT 5 client is told why, unless
// code is a success; what waits in out is sent; then the socket is closed.
// Only the first call counts. It does not block.
func (c *conn) part(code packets.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partLocked(code)
}

func (c *conn) partLocked(code packets.Code) {
	if c.parting {
		return
	}
	c.parting, c.why = true, code
	failure := code.Code >= packets.ErrUnspecifiedError.Code
	if failure {
		c.server.countClosed(code)
	}
	if failure && c.open && c.version == 5 {
		c.say(&packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
			ReasonCode:  code.Code,
			Properties:  packets.Properties{ReasonString: code.Reason},
		})
	}
	now := time.Now()
	c.socket.SetReadDeadline(now) // whoever reads is to stop
	c.socket.SetWriteDeadline(now.Add(linger))
	if c.watched.Load() {
		go c.dismiss()
	}
	c.wake()
}

// logEnd logs why the connection has ended: at debug level what is everyday.
func (c *conn) logEnd() {
	c.mu.Lock()
	why := c.why
	c.mu.Unlock()
	level := zerolog.DebugLevel
	if why.Code >= packets.ErrUnspecifiedError.Code && why != packets.ErrServerShuttingDown && why != packets.ErrSessionTakenOver {
		level = zerolog.InfoLevel
	}
	c.server.incidents.WithLevel(level).Str("event", "client_disconnected").Str("client", c.id.ClientID).Str("user", c.id.User).
		Str("listener", c.listener).Str("remote", c.id.Remote).Str("reason", why.Reason).Msg("client disconnected")
}

// detach tells core how the attachment has ended.
func (c *conn) detach() {
	if c.session == nil {
		return
	}
	c.mu.Lock()
	how := c.ending
	c.mu.Unlock()
	c.session.Detach(how, func(error) {})
}

// farewell hangs up once what is to be sent has been.
func (c *conn) farewell() {
	<-c.written
	c.hangUp()
}

// hangUp ends our half of the connection and waits for the client to do so,
// too: a socket closed with octets unread would take back what it has sent.
func (c *conn) hangUp() {
	if closeWrite(c.stream) != nil {
		return
	}
	c.socket.SetReadDeadline(time.Now().Add(linger))
	io.Copy(io.Discard, io.LimitReader(c.socket, int64(c.server.o.MaxPacketSize)))
}

// shutDown ends the connection because the server stops.
func (c *conn) shutDown() {
	c.mu.Lock()
	if !c.parting {
		c.ending = core.Shutdown
	}
	c.mu.Unlock()
	c.part(packets.ErrServerShuttingDown)
}

// Mail is core's: Next has something again.
func (c *conn) Mail() {
	c.mu.Lock()
	c.mail = true
	c.wake()
	c.mu.Unlock()
}

// Kick is core's: the attachment is over.
func (c *conn) Kick(why core.KickReason) {
	switch why {
	case core.TakenOver:
		c.part(packets.ErrSessionTakenOver)
	case core.ShuttingDown:
		c.part(packets.ErrServerShuttingDown)
	default:
		c.part(packets.ErrAdministrativeAction)
	}
}

// Read is mochi's, until it has CONNECT.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.guard.passed) == 0 {
		return 0, io.EOF
	}
	return c.guard.Read(p)
}

func (c *conn) isParting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parting
}

// settle keeps the promise to send for others, which this goroutine has made
// by reading: it is about to wait.
func (c *conn) settle() {
	if c.hand {
		c.hand = false
		c.server.carrier.end()
	}
}

// await gives the client its time for the next packet. It is called before
// the socket is read, and so counts many packets at a time.
func (c *conn) await() error {
	if c.lookout != nil {
		return c.watchful()
	}
	c.settle()
	c.countReceived()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parting {
		return net.ErrClosed
	}
	var until time.Time
	if c.idle > 0 {
		until = time.Now().Add(c.idle)
	}
	return c.socket.SetReadDeadline(until)
}

// Write is mochi's: p, which is CONNACK, will be sent. It does not block. If
// the client is welcome, messages may follow, and so may DISCONNECT.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parting {
		return 0, net.ErrClosed
	}
	c.out.Write(p)
	c.queued++
	c.open = c.welcome
	c.toSend()
	return len(p), nil
}

// Close is mochi's: it has done with the connection. Whoever runs it has not.
func (c *conn) Close() error { return nil }

func (c *conn) LocalAddr() net.Addr  { return c.socket.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is mochi's, which reckons with a keep alive that is not the
// client's; await has the right one.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
