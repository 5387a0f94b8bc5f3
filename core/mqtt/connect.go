package mqtt

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/auth"
)

// readConnect keeps CONNECT for enter and returns mochi's stand-in for it: a
// client of its own name, whose session ends with its connection.
func (c *conn) readConnect(pk packets.Packet) packets.Packet {
	c.mu.Lock()
	c.version = pk.ProtocolVersion
	c.id = core.Identity{
		ClientID: strings.Clone(pk.Connect.ClientIdentifier),
		User:     string(pk.Connect.Username),
		Edge:     "mqtt",
		Listener: c.listener,
		Remote:   c.remote.String(),
	}
	c.window = math.MaxUint16
	if n := pk.Properties.ReceiveMaximum; n > 0 {
		c.window = int(n)
	}
	c.mu.Unlock()
	c.request, c.connack = &pk, new(packets.Packet)
	c.maxPacket = pk.Properties.MaximumPacketSize
	c.shorthand = newShorthand(pk.Properties.TopicAliasMaximum, c.server.o.TopicAliasMaximum)
	c.terse = pk.Properties.RequestProblemInfoFlag && pk.Properties.RequestProblemInfo == 0
	version := pk.ProtocolVersion
	if version < 3 || version > 5 {
		version = 4 // to be told that there is no such version
	}
	return packets.Packet{
		FixedHeader:     pk.FixedHeader,
		ProtocolVersion: version,
		Connect: packets.ConnectParams{
			ProtocolName:     []byte(protocolName(version)),
			ClientIdentifier: c.name,
			Clean:            true,
			Keepalive:        math.MaxUint8,
		},
		Properties: packets.Properties{MaximumPacketSize: pk.Properties.MaximumPacketSize},
	}
}

// protocolName is what CONNECT begins with in each version.
func protocolName(version byte) string {
	if version == 3 {
		return "MQIsdp"
	}
	return "MQTT"
}

// enter opens the client's session. Any code but success is for CONNACK.
func (c *conn) enter() packets.Code {
	pk := c.request
	c.request = nil
	code := c.mayEnter(pk)
	if code == packets.CodeSuccess {
		code = c.openSession(pk)
	}
	if code == packets.CodeSuccess {
		return code
	}
	c.server.countRefused(code)
	c.server.incidents.Info().Str("event", "connect_refused").Str("client", c.id.ClientID).
		Str("listener", c.listener).Str("remote", c.id.Remote).Str("reason", code.Reason).Msg("client refused")
	return code
}

// mayEnter checks what mochi is not shown, grants the keep alive, names a
// client that has no name, and authenticates it.
func (c *conn) mayEnter(pk *packets.Packet) packets.Code {
	p, o := &pk.Connect, &c.server.o
	switch {
	case !slices.Contains(o.Versions, c.version) || string(p.ProtocolName) != protocolName(c.version):
		return packets.ErrUnsupportedProtocolVersion // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
	case c.guard.objection.Code != 0:
		return c.guard.objection
	case pk.ReservedBit != 0:
		return packets.ErrMalformedFlags // [MQTT-3.1.2-3]
	case !p.WillFlag && (p.WillQos > 0 || p.WillRetain):
		return packets.ErrMalformedFlags // [MQTT-3.1.2-11]
	case p.WillQos > 2:
		return packets.ErrMalformedFlags // [MQTT-3.1.2-12]
	case c.version < 5 && p.PasswordFlag && !p.UsernameFlag:
		return packets.ErrMalformedFlags // [MQTT-3.1.2-22] of 3.1.1
	case c.id.ClientID == "" && (c.version == 3 || c.version == 4 && !p.Clean):
		return packets.ErrClientIdentifierNotValid // [MQTT-3.1.3-8] of 3.1.1
	case !presentable(c.id.ClientID):
		return packets.ErrClientIdentifierNotValid // [MQTT-3.1.3-4]
	case !presentable(c.id.User):
		return packets.ErrBadUsernameOrPassword // [MQTT-3.1.3-11] of 3.1.1
	case pk.Properties.AuthenticationMethod != "":
		return packets.ErrBadAuthenticationMethod // [MQTT-4.12.0-1]
	case pk.Properties.AuthenticationData != nil:
		return errAuthentication // MQTT 5 §3.1.2.11.10
	case int(p.WillQos) > o.MaxQoS:
		return packets.ErrQosNotSupported // [MQTT-3.2.2-12]
	case p.WillRetain && !o.Retain:
		return packets.ErrRetainNotSupported // [MQTT-3.2.2-13]
	}
	if code := mayTravel(&p.WillProperties); code != packets.CodeSuccess {
		return code
	}
	if c.id.ClientID == "" {
		c.mu.Lock()
		c.id.ClientID = core.AssignedID()
		c.mu.Unlock()
		c.connack.Properties.AssignedClientID = c.id.ClientID // [MQTT-3.2.2-16]
	}
	keepalive := time.Duration(p.Keepalive) * time.Second
	if keepalive > o.MaxKeepalive {
		keepalive = o.MaxKeepalive.Truncate(time.Second)
		c.connack.Properties.ServerKeepAlive = uint16(keepalive / time.Second)
		c.connack.Properties.ServerKeepAliveFlag = true
	}
	c.idle = keepalive * 3 / 2 // [MQTT-3.1.2-22]

	return c.authenticate(p.Password)
}

// presentable reports whether a name is UTF-8 that a log, a terminal and a
// table of clients can show as it is: MQTT 5 §1.5.4 lets us refuse the rest.
func presentable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// authenticate asks whether the client may connect.
func (c *conn) authenticate(password []byte) packets.Code {
	ask := c.server.o.Authenticate
	if ask == nil {
		return packets.CodeSuccess
	}
	grant, err := ask(auth.Credentials{Identity: c.id, Brought: c.brought, Password: password, Certificate: c.shown})
	c.shown = nil // for the collector
	switch {
	case err == nil:
		c.mu.Lock()
		c.id, c.proof, c.proven = grant.Identity, grant.Proof, true
		c.mu.Unlock()
		if !c.stands() { // by what was reloaded meanwhile
			return packets.ErrNotAuthorized
		}
		return packets.CodeSuccess
	case errors.Is(err, auth.ErrBusy):
		return packets.ErrServerBusy
	case errors.Is(err, auth.ErrNotAllowed):
		return packets.ErrNotAuthorized
	case errors.Is(err, auth.ErrToken): // which its owner alone is told
		return packets.Code{Code: packets.ErrBadUsernameOrPassword.Code, Reason: err.Error()}
	case errors.Is(err, auth.ErrCertificate): // likewise
		return packets.Code{Code: packets.ErrNotAuthorized.Code, Reason: err.Error()}
	}
	return packets.ErrBadUsernameOrPassword
}

// openSession has core open the client's session, and waits for it.
func (c *conn) openSession(pk *packets.Packet) packets.Code {
	o := core.SessionOptions{
		CleanStart: pk.Connect.Clean,
		Expiry:     c.grantExpiry(pk),
		Prompt:     true,
		Will:       will(pk),
	}
	var present bool
	var err error
	answered := make(chan struct{})
	c.server.broker.Open(c.id, o, c, func(s *core.Session, was bool, e error) {
		c.session, present, err = s, was, e
		close(answered)
	})
	<-answered
	if err != nil {
		return reasonFor(err, packets.ErrTopicNameInvalid)
	}
	c.connack.SessionPresent = present
	return packets.CodeSuccess
}

// grantExpiry returns how long the session is to outlive the connection.
// Before MQTT 5, a session that is not clean has no end of its own.
func (c *conn) grantExpiry(pk *packets.Packet) time.Duration {
	longest := c.server.o.MaxSessionExpiry.Truncate(time.Second)
	if c.version < 5 {
		if pk.Connect.Clean {
			return 0
		}
		return longest
	}
	asked := pk.Properties.SessionExpiryInterval
	c.kept = asked > 0
	if granted := uint32(longest / time.Second); asked > granted {
		c.connack.Properties.SessionExpiryInterval = granted
		c.connack.Properties.SessionExpiryIntervalFlag = true
		return longest
	}
	return time.Duration(asked) * time.Second
}

// writeConnack puts into mochi's CONNACK what is ours: a success is told what
// was granted, a refusal in words of its version. What is left out is as the
// specification says by default, §3.2.2.3.
func (c *conn) writeConnack(pk packets.Packet) packets.Packet {
	if pk.ReasonCode != packets.CodeSuccess.Code {
		return c.writeRefusal(pk)
	}
	c.welcome = true
	o, p := &c.server.o, &pk.Properties
	granted := &c.connack.Properties
	pk.SessionPresent = c.connack.SessionPresent && c.version > 3 // a reserved octet in MQTT 3.1
	p.AssignedClientID = granted.AssignedClientID
	p.ServerKeepAlive, p.ServerKeepAliveFlag = granted.ServerKeepAlive, granted.ServerKeepAliveFlag
	p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = granted.SessionExpiryInterval, granted.SessionExpiryIntervalFlag
	p.MaximumPacketSize = uint32(o.MaxPacketSize)
	p.TopicAliasMaximum = uint16(o.TopicAliasMaximum)
	p.MaximumQos, p.MaximumQosFlag = byte(o.MaxQoS), o.MaxQoS < 2
	p.RetainAvailableFlag = !o.Retain
	p.WildcardSubAvailableFlag = !o.WildcardSubscriptions
	p.SharedSubAvailableFlag = !o.SharedSubscriptions
	return pk
}

// writeRefusal leaves nothing of CONNACK but why. mochi leaves that out, too,
// if the client would not take so long a packet.
func (c *conn) writeRefusal(pk packets.Packet) packets.Packet {
	pk.Properties = packets.Properties{ReasonString: pk.Properties.ReasonString}
	if c.version != 5 && pk.ReasonCode >= packets.ErrUnspecifiedError.Code {
		pk.ReasonCode = returnCode(pk.ReasonCode)
	}
	return pk
}

// established follows CONNACK.
func (c *conn) established() {
	c.connack = nil
	if !c.proof.Until.IsZero() {
		c.term = time.AfterFunc(time.Until(c.proof.Until), func() { c.part(errExpired) })
	}
	c.server.o.Log.Debug().Str("event", "client_connected").Str("client", c.id.ClientID).Str("user", c.id.User).
		Str("listener", c.listener).Str("remote", c.id.Remote).Uint8("version", c.version).Msg("client connected")
}
