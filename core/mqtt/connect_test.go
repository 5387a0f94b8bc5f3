package mqtt

import (
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// TestConnectAgainstTheProtocol: a CONNECT that can be read and must not be is
// answered in MQTT 5; before, the connection ends without a word.
func TestConnectAgainstTheProtocol(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	// Octets after Remaining Length and the protocol name.
	for why, tt := range map[string]struct {
		rest string
		want byte
	}{
		"Receive Maximum 0":              {"05 02 003c 03 210000 0001 63", 0x82},
		"Maximum Packet Size 0":          {"05 02 003c 05 2700000000 0001 63", 0x82},
		"Receive Maximum twice":          {"05 02 003c 06 210001 210001 0001 63", 0x82},
		"Request Problem Information 2":  {"05 02 003c 02 1702 0001 63", 0x82},
		"Request Response Information 2": {"05 02 003c 02 1902 0001 63", 0x82},
		"an authentication method":       {"05 02 003c 04 15 0001 78 0001 63", 0x8c},
		"data without a method":          {"05 02 003c 04 16 0001 78 0001 63", 0x82},
		"the reserved flag":              {"05 03 003c 00 0001 63", 0x81},
		"the reserved flag, 3.1.1":       {"04 03 003c 0001 63", 0},
		"a will of QoS 3":                {"05 1e 003c 00 0001 63 00 0001 77 0001 78", 0x81},
		"a will of QoS 3, 3.1.1":         {"04 1e 003c 0001 63 0001 77 0001 78", 0},
		"QoS of no will":                 {"05 0a 003c 00 0001 63", 0x81},
		"QoS of no will, 3.1.1":          {"04 0a 003c 0001 63", 0},
		"Retain of no will":              {"05 22 003c 00 0001 63", 0x81},
		"Retain of no will, 3.1.1":       {"04 22 003c 0001 63", 0},
		"a password alone, 3.1.1":        {"04 42 003c 0001 63 0001 70", 0},
		"a wildcard in Response Topic":   {"05 06 003c 00 0001 63 04 08 0001 23 0001 77 0001 78", 0x82},
	} {
		packet := unhex(t, "0004 4d515454"+tt.rest)
		p := b.dial(t)
		p.version = packet[6]
		p.Write(append([]byte{0x10, byte(len(packet))}, packet...))
		if tt.want != 0 {
			if ack := p.expect(packets.Connack); ack.ReasonCode != tt.want || ack.Properties.ReasonString == "" {
				t.Errorf("%s: CONNACK 0x%02x %q, want 0x%02x and why", why, ack.ReasonCode, ack.Properties.ReasonString, tt.want)
			}
		}
		if code := p.expectEnd(); code != 0 {
			t.Errorf("%s: DISCONNECT 0x%02x to who is not connected", why, code)
		}
	}
	if n := b.server.Stats().Refused.Malformed; n != 16 {
		t.Errorf("%d are counted, want 16", n)
	}
	for why, rest := range map[string]string{
		"a password alone":             "05 42 003c 00 0001 63 0001 70",
		"an empty password":            "05 c2 003c 00 0001 63 0001 75 0000",
		"an empty will":                "05 06 003c 00 0001 63 00 0001 77 0000",
		"Request Response Information": "05 02 003c 02 1901 0001 63",
		"the largest of all":           "05 02 ffff 0d 21ffff 27ffffffff 11ffffffff 0001 63",
		"all flags, 3.1.1":             "04 c6 003c 0001 63 0001 77 0001 78 0001 75 0001 70",
		"a user property twice":        "05 02 003c 0e 26 0001 6b 0001 76 26 0001 6b 0001 76 0001 63",
	} {
		packet := unhex(t, "0004 4d515454"+rest)
		p := b.dial(t)
		p.version = packet[6]
		p.Write(append([]byte{0x10, byte(len(packet))}, packet...))
		if ack := p.expect(packets.Connack); ack.ReasonCode != 0 || ack.Properties.ResponseInfo != "" {
			t.Errorf("%s: CONNACK 0x%02x, response information %q", why, ack.ReasonCode, ack.Properties.ResponseInfo)
		}
	}
	for _, version := range []byte{3, 4, 5} { // MQTT 3.1 has 23 characters
		b.connect(t, version, "a client id of more than 23 characters", named(version)).ping()
	}
}

// TestClientIDs: who has none is given one, if it may have that.
func TestClientIDs(t *testing.T) {
	b := start(t, nil)
	for _, tt := range []struct {
		name    string
		version byte
		clean   bool
		want    byte
	}{
		{"5", 5, true, 0}, {"5 kept", 5, false, 0}, {"3.1.1", 4, true, 0}, {"3.1.1 kept", 4, false, 2},
	} {
		_, ack := b.tryConnect(t, tt.version, "", func(pk *packets.Packet) { pk.Connect.Clean = tt.clean })
		if ack.ReasonCode != tt.want {
			t.Errorf("%s: CONNACK 0x%02x, want 0x%02x", tt.name, ack.ReasonCode, tt.want)
		}
		if tt.version == 5 && ack.Properties.AssignedClientID == "" {
			t.Errorf("%s: the client is not told its id", tt.name)
		}
	}
	if n := b.core.Stats().Connected; n != 3 {
		t.Errorf("%d clients are connected, want 3", n)
	}
	p := b.dial(t)
	p.raw("10 0e 0004 4d515454 06 02 003c 00 0001 61")
	if ack := p.expect(packets.Connack); ack.ReasonCode != packets.Err3UnsupportedProtocolVersion.Code {
		t.Errorf("version 6: CONNACK 0x%02x, want 0x01", ack.ReasonCode)
	}
	old := b.dial(t)
	old.raw("10 0f 0006 4d5149736470 03 02 003c 0001 61")
	old.expect(packets.Connack)
	old.publish("t", "from MQTT 3.1", 1, 1)
	old.expect(packets.Puback)
}

// TestUserNames: one that is no text is refused.
func TestUserNames(t *testing.T) {
	b := start(t, nil)
	for user, want := range map[string]byte{"zoë": 0, "zo\xeb": 0x86, "zoë\x00": 0x86} {
		_, ack := b.tryConnect(t, 5, "c", func(pk *packets.Packet) {
			pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(user)
		})
		if ack.ReasonCode != want {
			t.Errorf("user %q: CONNACK 0x%02x, want 0x%02x", user, ack.ReasonCode, want)
		}
	}
}

// TestConnack: an MQTT 5 client is told what it may count on, and no more.
func TestConnack(t *testing.T) {
	b := start(t, func(_ *coreOptions, o *Options) { o.ReceiveMaximum, o.MaxPacketSize = 7, 4096 })
	_, ack := b.tryConnect(t, 5, "c", func(pk *packets.Packet) { pk.Properties.TopicAliasMaximum = 10 })
	p := ack.Properties
	if p.ReceiveMaximum != 7 || p.MaximumPacketSize != 4096 || p.TopicAliasMaximum != 16 ||
		p.ServerKeepAliveFlag || p.SessionExpiryIntervalFlag || p.AssignedClientID != "" {
		t.Errorf("CONNACK says %+v", p)
	}
	if p.MaximumQosFlag || p.RetainAvailableFlag || p.WildcardSubAvailableFlag || p.SharedSubAvailableFlag || p.SubIDAvailableFlag {
		t.Errorf("CONNACK takes something back: %+v", p)
	}
	_, ack = b.tryConnect(t, 5, "c", func(pk *packets.Packet) { pk.Properties.AuthenticationMethod = "SCRAM" })
	if ack.ReasonCode != packets.ErrBadAuthenticationMethod.Code {
		t.Errorf("CONNACK 0x%02x, want 0x8c", ack.ReasonCode)
	}
}
