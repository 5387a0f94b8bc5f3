package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"dormouse/mqttsn"
)

// A dumpCmd prints the packets in hex lines or captures.
type dumpCmd struct {
	Port  uint16   `short:"p" default:"1884" help:"UDP port whose datagrams a capture is searched for; 0 takes all."`
	Files []string `arg:"" optional:"" placeholder:"FILE" help:"Captures (pcap, pcapng) or text, one datagram a line in hex, where blanks and \"|\" are ignored. Default standard input."`
}

// Run prints each datagram as the packet it holds, one a line. It fails if any
// is malformed, having printed the rest.
func (c *dumpCmd) Run(s *streams) error {
	d := &dump{port: c.Port, streams: s}
	if len(c.Files) == 0 {
		d.read(s.in)
	}
	for _, name := range c.Files {
		d.file(name)
	}
	if d.failed {
		return &failure{statusFailed, nil} // it is told in full
	}
	return nil
}

// A dump is one run of the command.
type dump struct {
	*streams
	port   uint16
	where  string // the file and what of it is looked at, for complaints
	failed bool
}

func (d *dump) complain(place string, err error) {
	d.failed = true
	fmt.Fprintf(d.err, "dormouse dump: %s%s%v\n", d.where, place, err)
}

func (d *dump) file(name string) {
	d.where = name + ": "
	f, err := os.Open(name)
	if err != nil {
		d.complain("", errors.Unwrap(err)) // it names the file, as where does
		return
	}
	defer f.Close()
	d.read(f)
}

// Files of captures begin with one of these, in the octet order and with the
// resolution of whoever wrote them.
var (
	pcapMagic = []string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1"}
	ngMagic   = "\x0a\x0d\x0d\x0a"
)

// read prints what in holds, whatever it is.
func (d *dump) read(in io.Reader) {
	b := bufio.NewReader(in)
	magic, err := b.Peek(len(ngMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		d.complain("", err)
		return
	}
	switch start := string(magic); {
	case start == ngMagic:
		d.captureNG(b)
	case start == pcapMagic[0], start == pcapMagic[1], start == pcapMagic[2], start == pcapMagic[3]:
		d.capture(b)
	default:
		d.lines(b)
	}
}

var errNotHex = errors.New("not a datagram in hex")

// lines prints datagrams in hex. Empty lines are passed over.
func (d *dump) lines(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	n := 1
	for ; lines.Scan(); n++ {
		text := strings.NewReplacer(" ", "", "\t", "", "\r", "", "|", "").Replace(lines.Text())
		if text == "" {
			continue
		}
		place := fmt.Sprintf("line %d: ", n)
		b, err := hex.DecodeString(text)
		if err != nil {
			d.complain(place, errNotHex)
			continue
		}
		d.datagram(place, "", b)
	}
	if err := lines.Err(); err != nil {
		d.complain(fmt.Sprintf("line %d: ", n), err)
	}
}

// datagram prints the packet that b holds, with what it came in before it. The
// packet's text is quoted: a stranger may have written it.
func (d *dump) datagram(place, before string, b []byte) {
	envelope := ""
	if mqttsn.Encapsulated(mqttsn.V12, b) {
		e, inner, err := mqttsn.Unwrap(mqttsn.V12, b)
		if err != nil {
			d.complain(place, err)
			return
		}
		envelope, b = e.String()+" ", inner
	}
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		d.complain(place, err)
		return
	}
	fmt.Fprintf(d.out, "%s%s%v\n", before, envelope, p)
}
