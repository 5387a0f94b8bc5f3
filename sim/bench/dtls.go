package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/mqttsn/transport/udp"
)

// dtls measures what it costs that a sensor proves who it is: handshakes beside
// those of OpenSSL, what an association takes of memory, and QoS 1 beside the same
// over plain UDP.
func (h *harness) dtls() error {
	errs := []error{h.handshakes("PSK", false), h.handshakes("ECDSA", true)}
	for _, n := range []int{10_000, 1_000_000} {
		errs = append(errs, h.associations(h.size(n)))
	}
	for _, n := range []int{100, 1000} {
		for _, d := range h.Durabilities {
			errs = append(errs, h.securedFlow(d, h.size(n)))
		}
	}
	return errors.Join(errs...)
}

// A gatekeeper is a server that handshakes are done with.
type gatekeeper struct {
	*process
	at       netip.AddrPort
	proof    *handshake.Proof
	close    func()
	done     int
	up, down int
	cpu      time.Duration
}

// handshakes measures those with Dormouse, and with openssl s_server, by turns and
// one after another: that serves one client at a time. Each is with a cookie, and
// with ECDSA both sides show a certificate.
func (h *harness) handshakes(kind string, certificate bool) error {
	ours, b, err := h.newGatekeeper(certificate)
	if err != nil {
		return err
	}
	defer ours.close()
	all := []*gatekeeper{ours}
	if h.OpenSSL == "" {
		fmt.Fprintf(h.tell, "%s: openssl is not installed: there is nothing to hold handshakes against\n", h.row)
	} else {
		peer, err := h.newOpenSSL(certificate)
		if err != nil {
			return err
		}
		defer peer.close()
		all = append(all, peer)
	}
	const rounds = 4
	wait := h.profile(b, kind, h.For*time.Duration(len(all)))
	for range rounds {
		for _, g := range all {
			if err := g.turn(h.ctx, h.For/rounds); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", g.name, err), g.alive())
			}
		}
	}
	if err := wait(); err != nil {
		return err
	}
	per := func(g *gatekeeper, v int) float64 { return float64(v) / float64(g.done) }
	rate := func(g *gatekeeper) float64 { return float64(g.done) / g.cpu.Seconds() }
	figures := []struct {
		what, unit string
		of         func(g *gatekeeper) float64
	}{
		{kind + " handshakes of one core", "handshakes/s", rate},
		{kind + " handshake, from the sensor", "octets", func(g *gatekeeper) float64 { return per(g, g.up) }},
		{kind + " handshake, to the sensor", "octets", func(g *gatekeeper) float64 { return per(g, g.down) }},
	}
	for _, f := range figures {
		figure := h.add("", f.what, f.of(ours), f.unit).count("handshakes", ours.done)
		for _, g := range all[1:] {
			figure.peer(g.name, f.of(g))
		}
	}
	return nil
}

func (h *harness) newGatekeeper(certificate bool) (*gatekeeper, *broker, error) {
	b, err := h.startSecured(None, 1)
	if err != nil {
		return nil, nil, err
	}
	g := &gatekeeper{process: b.process, at: b.sn, proof: b.proof, close: b.stop}
	if !certificate {
		g.proof = byKey()
	}
	return g, b, nil
}

func byKey() *handshake.Proof {
	return &handshake.Proof{Identity: sensorID(0), Key: pskOf}
}

// newOpenSSL starts openssl s_server. It has no word for it when it listens.
func (h *harness) newOpenSSL(certificate bool) (*gatekeeper, error) {
	dir, err := os.MkdirTemp(h.Dir, "dormouse-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // it has been read
	c, err := newCertificates(dir)
	if err != nil {
		return nil, err
	}
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := free.LocalAddr().(*net.UDPAddr).AddrPort()
	free.Close()
	args := []string{"s_server", "-dtls1_2", "-quiet", "-accept", at.String()}
	proof := c.proof
	if certificate {
		args = append(args, "-cert", c.certFile, "-key", c.keyFile, "-CAfile", c.authorityFile, "-Verify", "1", "-verify_return_error",
			"-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
	} else {
		proof = byKey()
		args = append(args, "-nocert", "-psk", hex.EncodeToString(pskOf), "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0")
	}
	cmd := exec.Command(h.OpenSSL, args...)
	in, err := cmd.StdinPipe() // at its end it would go
	if err != nil {
		return nil, err
	}
	g := &gatekeeper{at: at, proof: proof}
	if g.process, err = start("openssl", cmd, func(string) {}); err != nil {
		return nil, err
	}
	g.close = func() {
		in.Close()
		g.stop()
	}
	for since := time.Now(); ; {
		m, err := meet(h.ctx, at, proof)
		if err == nil {
			return g, m.leave()
		}
		if time.Since(since) > silence || g.alive() != nil || h.ctx.Err() != nil {
			g.close()
			return nil, errors.Join(fmt.Errorf("openssl s_server does no handshake: %w\n%s", err, g.log.String()), g.alive())
		}
	}
}

// turn does handshakes for d.
func (g *gatekeeper) turn(ctx context.Context, d time.Duration) error {
	before := g.process.cpu()
	for since := time.Now(); time.Since(since) < d; {
		m, err := meet(ctx, g.at, g.proof)
		if err != nil {
			return err
		}
		if err := m.leave(); err != nil {
			return err
		}
		g.done++
		g.up += m.up
		g.down += m.down
	}
	g.cpu += g.process.cpu() - before
	return nil
}

// A shelf is what n associations left in the store of a gateway that is no more.
type shelf int

// shelfSecret is what they are marked with.
var shelfSecret = []byte("shelf")

func (n shelf) Keep([]dtls.Change, func(error)) error { return errors.New("nothing is kept") }

func (n shelf) Load(visit func(dtls.Change) error) error {
	a := record.Association{Suite: record.CCM8, HasCID: true}
	for i := range n {
		binary.BigEndian.PutUint64(a.ID[:], uint64(i)*0x9e3779b97f4a7c15) // ids are spread
		made := append(a.AppendMade(nil), 0x10|byte(transport.ByKey), 0, 0, 0, 0, 0, 0, 0, 0)
		made = append(made, sensorID(int32(i))...)
		mark := hmac.New(sha256.New, shelfSecret)
		mark.Write(binary.BigEndian.AppendUint32(a.ID[:], uint32(len(pskOf))))
		mark.Write(pskOf)
		mark.Write(made)
		made = append(made, mark.Sum(nil)[:16]...)
		state := append(a.AppendCounts(nil, 0), make([]byte, 4+2+16+1)...) // when, port, address, and no zone
		if err := visit(dtls.Change{ID: a.ID, Made: made, State: state}); err != nil {
			return err
		}
	}
	return nil
}

// associations measures the memory of n, in this process: they are taken up as
// after a restart, so that nobody has to do as many handshakes. Beside that each
// has the text of its identity. The keys of up to 4,096 that are busy, 2 KB each,
// are ready for use, which is not counted: here nobody is.
func (h *harness) associations(n int) error {
	conn, err := udp.Listen(udp.Config{Address: netip.MustParseAddrPort("127.0.0.1:0"), MaxDatagram: dtls.MinDatagram})
	if err != nil {
		return err
	}
	defer conn.Close()
	c := dtls.DefaultConfig()
	c.Keeper, c.MaxAssociations, c.Secret = shelf(n), n, shelfSecret
	key := func([]byte) ([]byte, bool) { return pskOf, true }
	l, err := dtls.New(c, &handshake.Credentials{PSK: key}, conn)
	if err != nil {
		return err
	}
	before, goroutines := ownHeap(), runtime.NumGoroutine()
	if t, err := l.Load(); err != nil || t.Up != n {
		return errors.Join(fmt.Errorf("%d of %d associations are taken up", t.Up, n), err)
	}
	over, stop := context.WithCancel(h.ctx)
	stop()
	if err := l.Serve(over, func([]transport.Datagram) {}); err != nil { // it lets go of what it was taken up from
		return err
	}
	each := float64(ownHeap()-before)/float64(n) - float64(len(sensorID(0)))
	what := fmt.Sprintf("an association, of %s taken up", number(float64(n)))
	h.add("", what, each, "octets").count("associations", n).atMost(200)
	h.add("", what+", goroutines", float64(runtime.NumGoroutine()-goroutines), "").count("associations", n)
	runtime.KeepAlive(l)
	return nil
}

// ownHeap is what live objects of this process take, in octets.
func ownHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// securedFlow measures QoS 1 from n sensors over DTLS, and over plain UDP by turns,
// each to a Dormouse of its own. The sensors are on the same machine, in one
// goroutine, and what it takes them to seal and open Dormouse does not have: so
// there are plain ones, too, who seal as much for nothing.
func (h *harness) securedFlow(d Durability, n int) error {
	plain, err := h.newFlow(d, n)
	if err != nil {
		return err
	}
	defer plain.close()
	idly, err := h.newFlow(d, n)
	if err != nil {
		return err
	}
	defer idly.close()
	idly.sensors.labourIdly()
	b, err := h.startSecured(d, n)
	if err != nil {
		return err
	}
	secured, err := h.newFlowTo(b, d, n)
	if err != nil {
		return err
	}
	defer secured.close()
	flows := []*flow{plain, idly, secured}
	const rounds = 8
	for _, f := range flows {
		f.turn(h.For / rounds) // to warm up
		f.tally = tally{}
	}
	secured.sensors.overhead = [2]overhead{}
	wait := h.profile(b, fmt.Sprint(n, "-", d), h.For*time.Duration(len(flows)))
	for range rounds {
		for _, f := range flows {
			f.turn(h.For / rounds)
		}
	}
	more, err := h.goroutinesBeyond(b, plain.broker)
	if err := errors.Join(wait(), plain.whole(), idly.whole(), secured.whole(), err); err != nil {
		return err
	}
	what := fmt.Sprintf("QoS 1 from %s sensors", number(float64(n)))
	count := func(f *Figure) *Figure {
		return f.count("acknowledged", secured.acked).count("received", int(secured.sub.count.Load())).count("asked_again", secured.again)
	}
	count(h.add(d, what, secured.rate(), "messages/s").peer("plain", plain.rate()).peer("plain that seals for nothing", idly.rate()).
		atLeast(0.7 * plain.rate()))
	count(h.add(d, what+", CPU", secured.cost(), "µs/message").peer("plain", plain.cost()).peer("plain that seals for nothing", idly.cost()))
	count(h.add(d, what+", goroutines beyond plain", float64(more), ""))
	for i, direction := range []string{"from", "to"} {
		o := secured.sensors.overhead[i]
		count(h.add(d, fmt.Sprintf("%s, a record %s the sensor beyond its content", what, direction), float64(o.octets)/float64(o.records), "octets"))
	}
	return nil
}

// goroutinesBeyond is how many more b has.
func (h *harness) goroutinesBeyond(b, plain *broker) (int, error) {
	var n [2]int
	for i, of := range []*broker{b, plain} {
		var text bytes.Buffer
		if err := of.ask(h.ctx, "/debug/pprof/goroutine?debug=1", &text); err != nil {
			return 0, err
		}
		_, after, _ := strings.Cut(text.String(), "total ")
		if _, err := fmt.Sscan(after, &n[i]); err != nil {
			return 0, fmt.Errorf("%s says nothing of goroutines: %w", of.name, err)
		}
	}
	return n[0] - n[1], nil
}
