package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// datagram returns the layers of octets sent from port to port over v4 or v6.
func datagram(t *testing.T, v6 bool, from, to uint16, octets string) []gopacket.SerializableLayer {
	t.Helper()
	udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	payload := gopacket.Payload(octets)
	if v6 {
		ip := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, HopLimit: 1,
			SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
		udp.SetNetworkLayerForChecksum(ip)
		return []gopacket.SerializableLayer{ip, udp, payload}
	}
	ip := &layers.IPv4{Version: 4, Protocol: layers.IPProtocolUDP, TTL: 1,
		SrcIP: net.IPv4(10, 0, 0, 1), DstIP: net.IPv4(10, 0, 0, 2)}
	udp.SetNetworkLayerForChecksum(ip)
	return []gopacket.SerializableLayer{ip, udp, payload}
}

func frame(t *testing.T, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ethernet(v6 bool) *layers.Ethernet {
	e := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	if v6 {
		e.EthernetType = layers.EthernetTypeIPv6
	}
	return e
}

// pcap returns a capture of frames from one link.
func pcap(t *testing.T, link layers.LinkType, frames ...[]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65536, link); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.WritePacket(captured(f), f); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func captured(f []byte) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(f), Length: len(f)}
}

// dumps runs the command over a file and returns all that it says.
func dumps(t *testing.T, file []byte, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(append([]string{"dump"}, args...), bytes.NewReader(file), &o, &e)
	return status, o.String(), e.String()
}

// TestCaptures: what was sent is found in frames of every link that tcpdump
// writes on a gateway.
func TestCaptures(t *testing.T) {
	const sent = "\x02\x16"
	v4 := frame(t, datagram(t, false, 4000, 1884, sent)...)
	v6 := frame(t, datagram(t, true, 1884, 4000, sent)...)
	const say4, say6 = "10.0.0.1:4000 > 10.0.0.2:1884 PINGREQ\n", "[fd00::1]:1884 > [fd00::2]:4000 PINGREQ\n"
	behind := func(header string) []byte { return append([]byte(header), v4...) }
	for _, tt := range []struct {
		name string
		link layers.LinkType
		wire []byte
		want string
	}{
		{"Ethernet", layers.LinkTypeEthernet, frame(t, append([]gopacket.SerializableLayer{ethernet(false)}, datagram(t, false, 4000, 1884, sent)...)...), say4},
		{"Ethernet with IPv6", layers.LinkTypeEthernet, frame(t, append([]gopacket.SerializableLayer{ethernet(true)}, datagram(t, true, 1884, 4000, sent)...)...), say6},
		{"Linux cooked", layers.LinkTypeLinuxSLL, behind("\x00\x00\x03\x04\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00"), say4},
		{"Linux cooked v2", layers.LinkTypeLinuxSLL2, behind("\x08\x00\x00\x00\x00\x00\x00\x01\x03\x04\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00"), say4},
		{"null", layers.LinkTypeNull, behind("\x02\x00\x00\x00"), say4},
		{"loop", layers.LinkTypeLoop, behind("\x00\x00\x00\x02"), say4},
		{"raw", layers.LinkTypeRaw, v4, say4},
		{"raw with IPv6", layers.LinkTypeRaw, v6, say6},
		{"raw IPv4", layers.LinkTypeIPv4, v4, say4},
		{"raw IPv6", layers.LinkTypeIPv6, v6, say6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := dumps(t, pcap(t, tt.link, tt.wire))
			if status != 0 || out != tt.want || errs != "" {
				t.Errorf("status %d, %q, %q; want %q", status, out, errs, tt.want)
			}
		})
	}
}

// TestCaptureIsSearched: only the port in question, and each malformed
// datagram by its frame.
func TestCaptureIsSearched(t *testing.T) {
	file := pcap(t, layers.LinkTypeRaw,
		frame(t, datagram(t, false, 4000, 53, "no business of ours")...),
		frame(t, datagram(t, false, 4000, 1884, "\x02\x03")...),
		[]byte("\x45 is not all of an IP packet"),
		frame(t, datagram(t, false, 4000, 10000, "\x02\x17")...),
		frame(t, datagram(t, false, 4000, 1884, "\x05\xfe\x00\x12\x34\x02\x16")...))
	status, out, errs := dumps(t, file)
	if status != 1 || out != "10.0.0.1:4000 > 10.0.0.2:1884 ENCAPSULATED Radius:0 Node:1234 PINGREQ\n" ||
		errs != "dormouse dump: frame 2: mqttsn 1.2: unknown packet type\n" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	if _, out, _ := dumps(t, file, "-p", "10000"); out != "10.0.0.1:4000 > 10.0.0.2:10000 PINGRESP\n" {
		t.Errorf("with -p 10000: %q", out)
	}
	if _, _, errs := dumps(t, file, "-p", "0"); strings.Count(errs, "\n") != 2 {
		t.Errorf("with -p 0: %q; want a complaint about frames 1 and 2", errs)
	}
}

// TestPcapng: interfaces of several kinds in one file.
func TestPcapng(t *testing.T) {
	var file bytes.Buffer
	w, err := pcapgo.NewNgWriter(&file, layers.LinkTypeRaw)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.AddInterface(pcapgo.NgInterface{Name: "eth0", LinkType: layers.LinkTypeEthernet})
	if err != nil {
		t.Fatal(err)
	}
	raw := frame(t, datagram(t, false, 1, 1884, "\x02\x16")...)
	eth := frame(t, append([]gopacket.SerializableLayer{ethernet(false)}, datagram(t, false, 2, 1884, "\x02\x17")...)...)
	info := captured(eth)
	info.InterfaceIndex = second
	for _, err := range []error{w.WritePacket(captured(raw), raw), w.WritePacket(info, eth), w.Flush()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const want = "10.0.0.1:1 > 10.0.0.2:1884 PINGREQ\n10.0.0.1:2 > 10.0.0.2:1884 PINGRESP\n"
	if status, out, errs := dumps(t, file.Bytes()); status != 0 || out != want || errs != "" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

// TestBrokenCaptures are complained about by name, after what could be read.
func TestBrokenCaptures(t *testing.T) {
	whole := pcap(t, layers.LinkTypeRaw, frame(t, datagram(t, false, 1, 1884, "\x02\x16")...),
		frame(t, datagram(t, false, 1, 1884, "\x02\x16")...))
	for name, file := range map[string][]byte{
		"cut":          whole[:len(whole)-1],
		"cut header":   whole[:10],
		"unknown link": pcap(t, layers.LinkTypeLinuxUSB, []byte("x")),
	} {
		path := filepath.Join(t.TempDir(), "file.pcap")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, errs := dumps(t, nil, path)
		if status != 1 || !strings.HasPrefix(errs, "dormouse dump: "+path+": ") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q", name, status, errs)
		}
		if name == "cut" && strings.Count(out, "PINGREQ") != 1 {
			t.Errorf("%s: %q is printed", name, out)
		}
	}
}

// FuzzDump: whatever the file, the command ends with status 0 or 1, has
// complained if it is 1, and prints nothing that moves the cursor.
func FuzzDump(f *testing.F) {
	f.Add([]byte("0216\n05fe001234 02 16"))
	f.Add([]byte("\xa1\xb2\xc3\xd4\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x65"))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var out, errs bytes.Buffer
		status := run([]string{"dump"}, bytes.NewReader(file), &out, &errs)
		if status != 0 && status != 1 || (status == 1) != (errs.Len() > 0) {
			t.Errorf("status %d, %q", status, &errs)
		}
		for _, c := range append(out.Bytes(), errs.Bytes()...) {
			if c < ' ' && c != '\n' || c >= 0x7f {
				t.Fatalf("printed %q%q", &out, &errs)
			}
		}
	})
}
