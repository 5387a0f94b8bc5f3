package e2e

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// snPort stands for every broker's MQTT-SN port in the recording, whichever
// port the kernel gave it: by it tshark knows what to read as MQTT-SN.
const snPort = 1884

// A wire records datagrams. It is safe for concurrent use.
type wire struct {
	mu        sync.Mutex
	datagrams []recorded
	malformed int // sent so on purpose, and not among datagrams
}

// A recorded datagram went from or to a broker.
type recorded struct {
	at   time.Time
	peer netip.AddrPort // the far end, as the broker sees it
	up   bool           // towards the broker
	buf  []byte
}

func (w *wire) record(peer netip.AddrPort, up bool, buf []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.datagrams = append(w.datagrams, recorded{time.Now(), peer, up, bytes.Clone(buf)})
}

// recordMalformed counts a datagram that is malformed on purpose.
func (w *wire) recordMalformed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.malformed++
}

// mistaken lists what the dissector of Wireshark 4.0 marks as malformed though
// the specification allows it.
var mistaken = map[string]string{
	"0207": "empty WILLTOPIC, 1.2 §5.4.7: it wants the Flags that this form does not have",
	"021a": "empty WILLTOPICUPD, 1.2 §5.4.22: likewise",
}

// inspect writes the recording to file and has tshark decode it. It reports
// each datagram that tshark does not take for one well-formed MQTT-SN message,
// or an envelope and one message.
func (w *wire) inspect(file string) (summary string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.save(file); err != nil {
		return "", err
	}
	out, err := exec.Command("tshark", "-r", file, "-d", fmt.Sprintf("udp.port==%d,mqttsn", snPort),
		"-T", "fields", "-e", "frame.number", "-e", "mqttsn.msg.type", "-e", "_ws.malformed").Output()
	if err != nil {
		return "", fmt.Errorf("tshark: %w", err)
	}
	var errs []error
	excused, seen := 0, 0
	for line := range strings.Lines(string(out)) {
		field := strings.Split(strings.TrimRight(line, "\n"), "\t")
		frame, err := strconv.Atoi(field[0])
		if err != nil || frame != seen+1 || len(field) != 3 {
			return "", fmt.Errorf("tshark says %q after frame %d", line, seen)
		}
		seen = frame
		d := w.datagrams[frame-1]
		if _, ok := mistaken[hex.EncodeToString(d.buf)]; ok {
			excused++
			continue
		}
		if field[2] != "" || field[1] != messageTypes(d.buf) {
			errs = append(errs, fmt.Errorf("frame %d, up %t, %x: types %q, want %q; %s", frame, d.up, d.buf, field[1], messageTypes(d.buf), field[2]))
		}
	}
	if seen != len(w.datagrams) {
		errs = append(errs, fmt.Errorf("tshark decoded %d of %d datagrams", seen, len(w.datagrams)))
	}
	summary = fmt.Sprintf("tshark decoded %d datagrams; %d more are legal but unknown to it, and %d were malformed on purpose",
		seen-excused, excused, w.malformed)
	return summary, errors.Join(errs...)
}

// messageTypes reads the MsgType octets of a datagram the way tshark prints them.
func messageTypes(b []byte) string {
	at := 1
	if b[0] == 0x01 {
		at = 3
	}
	if at >= len(b) {
		return "none"
	}
	if b[at] != 0xfe || int(b[0]) >= len(b) {
		return fmt.Sprintf("0x%02x", b[at])
	}
	return "0xfe," + messageTypes(b[b[0]:])
}

// save writes the recording as a pcap of raw IP packets.
func (w *wire) save(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	pcap := pcapgo.NewWriter(f)
	if err := pcap.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		return err
	}
	for _, d := range w.datagrams {
		packet, err := d.packet()
		if err != nil {
			return err
		}
		info := gopacket.CaptureInfo{Timestamp: d.at, CaptureLength: len(packet), Length: len(packet)}
		if err := pcap.WritePacket(info, packet); err != nil {
			return err
		}
	}
	return f.Close()
}

// packet wraps a datagram in UDP and IPv4.
func (d recorded) packet() ([]byte, error) {
	loopback := net.IPv4(127, 0, 0, 1)
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: loopback, DstIP: loopback}
	udp := &layers.UDP{SrcPort: snPort, DstPort: layers.UDPPort(d.peer.Port())}
	if d.up {
		udp.SrcPort, udp.DstPort = udp.DstPort, udp.SrcPort
	}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, udp, gopacket.Payload(d.buf))
	return buf.Bytes(), err
}
