package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

var suites = map[string]Suite{"ccm8": CCM8, "gcm": GCM}

// pair returns the two ends of one association: what one seals the other opens.
// The peer that is sent a connection id in its turn has a longer one.
func pair(suite Suite, cid bool) (server, client *Association) {
	keys := Keys{ReadIV: [4]byte{1, 2, 3, 4}, WriteIV: [4]byte{5, 6, 7, 8}}
	for i := range keys.Read {
		keys.Read[i], keys.Write[i] = byte(i), byte(0x80+i)
	}
	back := Keys{Read: keys.Write, Write: keys.Read, ReadIV: keys.WriteIV, WriteIV: keys.ReadIV}
	server = &Association{Keys: keys, Suite: suite, ID: ID{1, 2, 3, 4, 5, 6, 7, 8}, HasCID: cid, Reserved: math.MaxUint32}
	client = &Association{Keys: back, Suite: suite, Reserved: math.MaxUint32}
	if cid {
		client.PeerCIDLen = uint8(copy(client.PeerCID[:], server.ID[:]))
	}
	return server, client
}

func seal(t testing.TB, a *Association, kind ContentType, octets string) []byte {
	t.Helper()
	b, err := a.Seal(a.Ciphers(), nil, kind, []byte(octets))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open opens the only record of a datagram.
func open(a *Association, datagram []byte) (Content, error) {
	r, rest, err := Next(bytes.Clone(datagram), IDLength)
	if err != nil {
		return Content{}, err
	}
	if len(rest) > 0 {
		return Content{}, errors.New("octets after the record")
	}
	return a.Open(a.Ciphers(), r)
}

func TestSealOpen(t *testing.T) {
	for name, suite := range suites {
		for _, cid := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/cid=%v", name, cid), func(t *testing.T) {
				server, client := pair(suite, cid)
				for _, text := range []string{"", "21.5", strings.Repeat("x", 1400), "ends in a zero\x00"} {
					b := seal(t, client, ApplicationData, text)
					if len(b) != len(text)+client.Overhead() {
						t.Errorf("sealing %d octets made %d; Overhead is %d", len(text), len(b), client.Overhead())
					}
					if got, err := open(server, b); err != nil || got.Type != ApplicationData || string(got.Octets) != text || !got.Newest {
						t.Errorf("opened %q as %+v, %v", text, got, err)
					}
				}
				if got, err := open(server, seal(t, client, Alert, "\x01\x00")); err != nil || got.Type != Alert {
					t.Errorf("an alert opened as %+v, %v", got, err)
				}
			})
		}
	}
}

// TestShapeOfCID is RFC 9146 §4: the type outside is tls12_cid, the connection
// id stands between sequence_number and length, and the type proper is sealed
// inside, with as many zeros behind it as the sender likes.
func TestShapeOfCID(t *testing.T) {
	for name, suite := range suites {
		t.Run(name, func(t *testing.T) {
			server, client := pair(suite, true)
			client.Sent = 0x010203
			b := seal(t, client, ApplicationData, "x")
			want := []byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, byte(8 + 2 + suite.tag())}
			if !bytes.HasPrefix(b, want) {
				t.Errorf("the header is\n%x, want\n%x", b[:len(want)], want)
			}

			c := client.Ciphers()
			for _, tt := range []struct {
				inner string
				kind  ContentType
				text  string
			}{
				{"hello\x17\x00\x00\x00", ApplicationData, "hello"},
				{"\x00\x17\x00", ApplicationData, "\x00"},
				{"\x16", Handshake, ""},
				{"\x00\x00", CID, "\x00\x00"}, // nothing but padding: no type at all
			} {
				header := append(bytes.Clone(b[:19]), 0, byte(8+len(tt.inner)+suite.tag()))
				binary.BigEndian.PutUint64(header[3:], 1<<48|server.Received)
				copy(c.nonce[:], client.WriteIV[:])
				copy(c.nonce[4:], header[3:11])
				padded := append(bytes.Clone(header), header[3:11]...)
				padded = c.write.Seal(padded, c.nonce[:], []byte(tt.inner), c.additional(header, len(tt.inner)))
				if got, err := open(server, padded); err != nil || got.Type != tt.kind || string(got.Octets) != tt.text {
					t.Errorf("%q opened as %+v, %v", tt.inner, got, err)
				}
			}
		})
	}
}

// TestAdditionalData pins what RFC 9146 §5.3 and RFC 5246 §6.2.3.3 authenticate.
func TestAdditionalData(t *testing.T) {
	c := new(Ciphers)
	for _, tt := range []struct{ header, want string }{
		{"17 fefd 0001 000000000005 0020", "0001 000000000005 17 fefd 0011"},
		{"19 fefd 0001 000000000005 aabbcc 0020", "ffffffffffffffff 19 03 19 fefd 0001 000000000005 aabbcc 0011"},
	} {
		if got, want := c.additional(unhex(t, tt.header), 0x11), unhex(t, tt.want); !bytes.Equal(got, want) {
			t.Errorf("additional data of %s is\n%x, want\n%x", tt.header, got, want)
		}
	}
}

func unhex(t testing.TB, s string) (b []byte) {
	t.Helper()
	if _, err := fmt.Sscanf(strings.ReplaceAll(s, " ", ""), "%x", &b); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

// octets are all that a is.
func octets(a *Association) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(a)), unsafe.Sizeof(*a)))
}

// TestNothingChanges: what is not a new record of this association leaves
// every octet of it as it was. Rows 34, 36 and 38 of the table of advisories.
func TestNothingChanges(t *testing.T) {
	for name, suite := range suites {
		for _, cid := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/cid=%v", name, cid), func(t *testing.T) {
				server, client := pair(suite, cid)
				var old [][]byte
				for range 300 {
					old = append(old, seal(t, client, ApplicationData, "reading"))
					if _, err := open(server, old[len(old)-1]); err != nil {
						t.Fatal(err)
					}
				}
				fresh := seal(t, client, ApplicationData, "reading")
				before := octets(server)
				refused := func(what string, b []byte, want error) {
					t.Helper()
					if _, err := open(server, b); !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", what, err, want)
					}
					if !bytes.Equal(octets(server), before) {
						t.Fatalf("%s changed the association", what)
					}
				}
				for _, b := range old {
					refused("a record of before", b, ErrReplayed)
				}
				for n := range fresh {
					refused(fmt.Sprintf("the first %d octets", n), fresh[:n], ErrTruncated)
				}
				for i := range len(fresh) * 8 {
					b := bytes.Clone(fresh)
					b[i/8] ^= 1 << (i % 8)
					if _, err := open(server, b); err == nil {
						t.Errorf("bit %d may be another", i)
					}
					if !bytes.Equal(octets(server), before) {
						t.Fatalf("bit %d changed the association", i)
					}
				}
				other, stranger := pair(suite, cid)
				stranger.Sent, stranger.WriteIV = 400, [4]byte{9}
				_ = other
				refused("a record under other keys", seal(t, stranger, ApplicationData, "reading"), ErrForged)
				epochs := bytes.Clone(fresh)
				for _, epoch := range []uint16{0, 2, 3, 0xffff} {
					binary.BigEndian.PutUint16(epochs[3:], epoch)
					refused(fmt.Sprintf("epoch %d", epoch), epochs, ErrEpoch)
				}
				_, without := pair(suite, !cid)
				without.Sent = 400
				refused("a record of the other shape", seal(t, without, ApplicationData, "reading"), ErrType)
				if _, err := open(server, fresh); err != nil {
					t.Errorf("after all that the next record: %v", err)
				}
			})
		}
	}
}

// TestReordered: of records up to 200 late, those no more than 64 late are
// opened, and each but once.
func TestReordered(t *testing.T) {
	for late := range 201 {
		server, client := pair(GCM, true)
		var sent [][]byte
		for range 401 {
			sent = append(sent, seal(t, client, ApplicationData, "reading"))
		}
		held := sent[100]
		for n, b := range sent[:101+late] {
			if n == 100 {
				continue
			}
			if got, err := open(server, b); err != nil || !got.Newest {
				t.Fatalf("record %d: %+v, %v", n, got, err)
			}
		}
		got, err := open(server, held)
		if taken := err == nil; taken != (late < window) || taken && got.Newest != (late == 0) {
			t.Errorf("%d late: %+v, %v", late, got, err)
		}
		if _, err := open(server, held); !errors.Is(err, ErrReplayed) {
			t.Errorf("%d late, the second time: %v", late, err)
		}
	}
}

// TestWindow compares the replay window with a set of all numbers ever opened.
func TestWindow(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		server, client := pair(CCM8, true)
		opened := make(map[uint64]bool)
		at := uint64(0)
		for range 500 {
			at += random.Uint64N(40)
			n := at - min(at, random.Uint64N(120))
			client.Sent = uint32(n)
			old := server.Received > n && server.Received-n > window
			_, err := open(server, seal(t, client, ApplicationData, "x"))
			if want := opened[n] || old; (err != nil) != want {
				t.Fatalf("seed %d: number %d when %d is next: %v, opened before %v", seed, n, server.Received, err, opened[n])
			}
			opened[n] = true
		}
	}
}

// TestNumbersEnd: the keys seal so many records and no more, the last of them
// an alert; and no number is used that is not reserved.
func TestNumbersEnd(t *testing.T) {
	for name, suite := range suites {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(suite, true)
			c := a.Ciphers()
			a.Sent, a.Reserved = 10, 12
			for range 2 {
				if _, err := a.Seal(c, nil, ApplicationData, nil); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				b, err := a.Seal(c, []byte("as it was"), ApplicationData, nil)
				if !errors.Is(err, ErrUnreserved) || a.Sent != 12 || string(b) != "as it was" {
					t.Errorf("with nothing reserved: %q, %v, Sent %d", b, err, a.Sent)
				}
			}
			a.Reserved, a.Sent = math.MaxUint32, suite.Limit()-2
			if _, err := a.Seal(c, nil, ApplicationData, nil); err != nil {
				t.Error(err)
			}
			if _, err := a.Seal(c, nil, ApplicationData, nil); !errors.Is(err, ErrExhausted) {
				t.Errorf("beyond the limit: %v", err)
			}
			if _, err := a.Seal(c, nil, Alert, []byte{1, 0}); err != nil {
				t.Errorf("the alert that ends it: %v", err)
			}
			if _, err := a.Seal(c, nil, Alert, []byte{1, 0}); !errors.Is(err, ErrExhausted) {
				t.Errorf("another alert: %v", err)
			}
		})
	}
}

// TestGreatestNumber: a peer may count up to 2^48-1, and nothing wraps there.
func TestGreatestNumber(t *testing.T) {
	server, client := pair(GCM, true)
	forge := func(number uint64) []byte { // a peer that knows no limit
		client.Sent = 0
		b := seal(t, client, ApplicationData, "x")
		binary.BigEndian.PutUint64(b[3:], 1<<48|number)
		c := client.Ciphers()
		copy(c.nonce[:], client.WriteIV[:])
		copy(c.nonce[4:], b[21:29])
		return c.write.Seal(b[:29], c.nonce[:], []byte("x\x17"), c.additional(b[:21], 2))
	}
	for _, n := range []uint64{MaxSequence - 1, MaxSequence} {
		if got, err := open(server, forge(n)); err != nil || !got.Newest {
			t.Errorf("number %#x: %+v, %v", n, got, err)
		}
	}
	for _, n := range []uint64{MaxSequence, MaxSequence - 1, 0, 1} {
		if _, err := open(server, forge(n)); !errors.Is(err, ErrReplayed) {
			t.Errorf("number %#x again, or old: %v", n, err)
		}
	}
	kept, _, _, err := Restore(server.ID, server.AppendMade(nil), server.AppendCounts(nil, math.MaxUint32))
	if err != nil || kept.Received < MaxSequence {
		t.Errorf("kept as %+v, %v", kept, err)
	}
	if _, err := kept.Seal(kept.Ciphers(), nil, Alert, nil); !errors.Is(err, ErrExhausted) {
		t.Errorf("and it still seals: %v", err)
	}
}

// TestKept: what is restored goes on where it could have been, in either
// direction, and hears nothing twice.
func TestKept(t *testing.T) {
	for name, suite := range suites {
		for _, cid := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/cid=%v", name, cid), func(t *testing.T) {
				server, client := pair(suite, cid)
				server.PeerCIDLen = uint8(copy(server.PeerCID[:], "a long connection id"))
				heard := seal(t, client, ApplicationData, "1")
				late := seal(t, client, ApplicationData, "2")
				last := seal(t, client, ApplicationData, "3")
				for _, b := range [][]byte{heard, last} {
					if _, err := open(server, b); err != nil {
						t.Fatal(err)
					}
				}
				made := append(server.AppendMade(nil), "more"...)
				counts := append(server.AppendCounts(nil, 77), "yet more"...)
				a, restMade, restCounts, err := Restore(server.ID, made, counts)
				if err != nil || string(restMade) != "more" || string(restCounts) != "yet more" {
					t.Fatalf("%q, %q, %v", restMade, restCounts, err)
				}
				if a.Sent != 77 || a.Reserved != 77 {
					t.Errorf("it goes on at %d, with %d reserved; 77 was", a.Sent, a.Reserved)
				}
				for _, b := range [][]byte{heard, late, last} {
					if _, err := open(&a, b); !errors.Is(err, ErrReplayed) {
						t.Errorf("a record of before: %v", err)
					}
				}
				if _, err := open(&a, seal(t, client, ApplicationData, "4")); err != nil {
					t.Error(err)
				}
				a.Reserved = 100
				client.HasCID = true
				copy(client.ID[:], server.PeerCID[:])
				server.Sent = 77
				if !bytes.Equal(seal(t, &a, ApplicationData, "x"), seal(t, server, ApplicationData, "x")) {
					t.Error("it seals otherwise than before")
				}
				for n := range len(made) - len("more") {
					if _, _, _, err := Restore(server.ID, made[:n], counts); !errors.Is(err, ErrKept) {
						t.Errorf("%d octets of what it was made of: %v", n, err)
					}
				}
			})
		}
	}
}

// A captured file holds an association as it was kept, and then records that a
// peer sent, with their content.
//
//	made HEX
//	opens HEX TYPE TEXT
func TestCaptured(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) < 5 {
		t.Fatalf("there are %v, %v; make them with: go test ./mqttsn/transport/dtls -run Capture -update", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var a Association
			opened := 0
			for line := range strings.Lines(string(text)) {
				f := strings.SplitN(strings.TrimSpace(line), " ", 3)
				b := unhex(t, f[1])
				switch f[0] {
				case "made":
					a, _, _, err = Restore(ID(b[:IDLength]), b[IDLength:], make([]byte, countsLength))
					a.window = 0
					if err != nil {
						t.Fatal(err)
					}
				case "opens":
					got, err := open(&a, b)
					if err != nil || fmt.Sprintf("%d %q", got.Type, got.Octets) != f[2] {
						t.Errorf("%x opened as %d %q, %v; want %s", b, got.Type, got.Octets, err, f[2])
					}
					opened++
				}
			}
			if opened < 3 {
				t.Errorf("only %d records were captured", opened)
			}
		})
	}
}

// TestCosts pins what an association takes, and that this package allocates
// nothing. (pion's CCM does, a little for each record.)
func TestCosts(t *testing.T) {
	if n := unsafe.Sizeof(Association{}); n > 96 {
		t.Errorf("an association takes %d octets; it should be 96", n)
	}
	for name, most := range map[string]float64{"gcm": 0, "ccm8": 12} {
		for _, cid := range []bool{false, true} {
			server, client := pair(suites[name], cid)
			in, out := server.Ciphers(), client.Ciphers()
			buffer, text := make([]byte, 0, 256), []byte("reading 21.5")
			n := testing.AllocsPerRun(200, func() {
				b, err := client.Seal(out, buffer, ApplicationData, text)
				if err != nil {
					t.Fatal(err)
				}
				r, _, _ := Next(b, IDLength)
				if _, err := server.Open(in, r); err != nil {
					t.Fatal(err)
				}
			})
			if n > most {
				t.Errorf("%s, cid %v: sealing and opening allocates %v times; at most %v", name, cid, n, most)
			}
			t.Logf("%s cid=%v: %v allocations", name, cid, n)
		}
	}
}

func BenchmarkSealOpen(b *testing.B) {
	for name, suite := range suites {
		b.Run(name, func(b *testing.B) {
			server, client := pair(suite, true)
			in, out := server.Ciphers(), client.Ciphers()
			buffer, text := make([]byte, 0, 256), bytes.Repeat([]byte("x"), 40)
			b.ReportAllocs()
			for b.Loop() {
				client.Sent, server.Received = 0, 0
				sealed, _ := client.Seal(out, buffer, ApplicationData, text)
				r, _, _ := Next(sealed, IDLength)
				if _, err := server.Open(in, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzOpen states the engine's contract: no datagram panics; one that does not
// open changes nothing, and one that does was sealed by the peer, and does not
// open again.
func FuzzOpen(f *testing.F) {
	for _, suite := range suites {
		for _, cid := range []bool{false, true} {
			_, client := pair(suite, cid)
			b := seal(f, client, ApplicationData, "reading")
			f.Add(cid, suite == GCM, b)
			f.Add(cid, suite == GCM, append(bytes.Clone(b), seal(f, client, Alert, "\x01\x00")...))
			f.Add(!cid, suite == GCM, b)
			f.Add(cid, suite != GCM, b[:len(b)-1])
		}
	}
	f.Fuzz(func(t *testing.T, cid, gcm bool, datagram []byte) {
		suite := CCM8
		if gcm {
			suite = GCM
		}
		server, _ := pair(suite, cid)
		server.Received, server.window = 0, 0
		c := server.Ciphers()
		for len(datagram) > 0 {
			r, rest, err := Next(datagram, IDLength)
			if err != nil {
				return
			}
			again := r
			again.Fragment = bytes.Clone(r.Fragment)
			before := octets(server)
			if _, err := server.Open(c, r); err != nil {
				if !bytes.Equal(octets(server), before) {
					t.Fatalf("a record that does not open (%v) changed the association", err)
				}
			} else if _, err := server.Open(c, again); !errors.Is(err, ErrReplayed) {
				t.Fatalf("a record opened twice: %v", err)
			}
			datagram = rest
		}
	})
}
