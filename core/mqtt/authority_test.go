package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync/atomic"
	"testing"

	mqtt3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/auth"
)

// TestAuthorityGone: over TLS and a WebSocket upon it, a recheck parts with whom by now
// no authority vouches for, and with nobody else: neither who has shown no
// certificate, nor anyone while the authorities are the same. Who was on the way
// meanwhile is not let in.
func TestAuthorityGone(t *testing.T) {
	t.Parallel()
	server, ours, theirs := certify(t), certify(t), certify(t)
	for name, web := range map[string]*WebSocket{"tls": nil, "wss": {Path: "/mqtt"}} {
		t.Run(name, func(t *testing.T) {
			var current atomic.Pointer[tls.Config]
			believe := func(authorities ...tls.Certificate) {
				o := &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: x509.NewCertPool()}
				for _, a := range authorities {
					o.ClientCAs.AddCert(a.Leaf)
				}
				current.Store(o)
			}
			believe(ours, theirs)
			meanwhile := func() {}
			b := startOn(t, ListenerConfig{TLS: current.Load, WebSocket: web}, func(_ *core.Options, o *Options) {
				o.Authenticate = func(c auth.Credentials) (auth.Grant, error) {
					if c.ClientID == "late" {
						meanwhile()
					}
					return auth.Grant{Identity: c.Identity}, nil
				}
			})
			by := func(shown ...tls.Certificate) *broker {
				b.dialer = func(address string) (net.Conn, error) {
					client := trusting(server)
					client.Certificates = shown
					if web == nil {
						return tls.Dial("tcp", address, client)
					}
					return mqtt3.NewWebsocket("wss://"+address+"/mqtt", client, patience, nil, nil)
				}
				return b
			}
			ann, eve, none := by(ours).connect(t, 5, "ann", nil), by(theirs).connect(t, 5, "eve", nil), by().connect(t, 5, "none", nil)
			believe(theirs, ours)
			b.server.Recheck()
			eve.ping()
			meanwhile = func() { believe(ours) }
			if _, ack := by(theirs).tryConnect(t, 5, "late", nil); ack.ReasonCode != packets.ErrNotAuthorized.Code {
				t.Errorf("who was on the way is told 0x%02x, want 0x87", ack.ReasonCode)
			}
			b.server.Recheck()
			if code := eve.expectEnd(); code != packets.ErrNotAuthorized.Code {
				t.Errorf("whom nobody vouches for is told 0x%02x, want 0x87", code)
			}
			ann.ping()
			none.ping()
		})
	}
}
