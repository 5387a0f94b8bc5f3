package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// capture prints the datagrams of a pcap file.
func (d *dump) capture(in *bufio.Reader) {
	r, err := pcapgo.NewReader(in)
	if err != nil {
		d.complain("", err)
		return
	}
	d.frames(func() ([]byte, layers.LinkType, error) {
		b, _, err := r.ReadPacketData()
		return b, r.LinkType(), err
	})
}

// captureNG prints the datagrams of a pcapng file, whose interfaces may be of
// several kinds.
func (d *dump) captureNG(in *bufio.Reader) {
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		d.complain("", err)
		return
	}
	d.frames(func() ([]byte, layers.LinkType, error) {
		b, info, err := r.ReadPacketData()
		if err != nil {
			return nil, 0, err
		}
		link, _ := info.AncillaryData[0].(layers.LinkType)
		return b, link, nil
	})
}

// errLink reports frames that we cannot look into.
var errLink = errors.New("a capture from such a link cannot be read; Ethernet, Linux cooked, null, loop and raw IP can")

// frames prints the datagrams in the frames that next returns.
func (d *dump) frames(next func() ([]byte, layers.LinkType, error)) {
	for n := 1; ; n++ {
		place := fmt.Sprintf("frame %d: ", n)
		frame, link, err := next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d.complain(place, err)
			return
		}
		first := decoderOf(link)
		if first == nil {
			d.complain(place, errLink)
			return
		}
		d.frame(place, gopacket.NewPacket(frame, first, gopacket.DecodeOptions{Lazy: true, NoCopy: true}))
	}
}

// decoderOf returns what looks into frames of a link, or nil.
func decoderOf(link layers.LinkType) gopacket.Decoder {
	switch link {
	case layers.LinkTypeIPv4:
		return layers.LayerTypeIPv4
	case layers.LinkTypeIPv6:
		return layers.LayerTypeIPv6
	case layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL, layers.LinkTypeLinuxSLL2,
		layers.LinkTypeNull, layers.LinkTypeLoop, layers.LinkTypeRaw:
		return link
	}
	return nil
}

// frame prints the datagram in p and its two ends. Anything but UDP of the
// port in question, fragments included, is passed over.
func (d *dump) frame(place string, p gopacket.Packet) {
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || p.NetworkLayer() == nil {
		return
	}
	if port := layers.UDPPort(d.port); port != 0 && udp.SrcPort != port && udp.DstPort != port {
		return
	}
	ends := p.NetworkLayer().NetworkFlow()
	from := net.JoinHostPort(ends.Src().String(), strconv.Itoa(int(udp.SrcPort)))
	to := net.JoinHostPort(ends.Dst().String(), strconv.Itoa(int(udp.DstPort)))
	d.datagram(place, from+" > "+to+" ", udp.Payload)
}
