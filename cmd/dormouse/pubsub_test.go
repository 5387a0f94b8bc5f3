package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// on returns the flags that reach p in one protocol: "sn", or a version of MQTT.
func (p *process) on(protocol string) []string {
	address, flags := p.udp, []string{"--sn"}
	if protocol != "sn" {
		address, flags = p.tcp, []string{"--mqtt", "-V", protocol}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		p.t.Fatal(err)
	}
	return append(flags, "-h", host, "-p", port)
}

// pub runs the command, which is to succeed in silence.
func (p *process) pub(protocol, stdin string, args ...string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	args = append(append([]string{"pub"}, p.on(protocol)...), args...)
	if status := run(args, strings.NewReader(stdin), &out, &errs); status != 0 || out.Len()+errs.Len() > 0 {
		p.t.Errorf("dormouse %s exits %d and says %s%s", strings.Join(args, " "), status, &out, &errs)
	}
}

// sub runs the command and returns all that it says.
func (p *process) sub(protocol string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	args = append(append([]string{"sub"}, p.on(protocol)...), args...)
	status = run(args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

// TestPubAndSub: what is published by one protocol is printed by any, once it
// is retained.
func TestPubAndSub(t *testing.T) {
	p := serve(t)
	protocols := []string{"sn", "3", "311", "5"}
	for _, from := range protocols {
		for qos := range 3 {
			payload := fmt.Sprintf("from %s at %d", from, qos)
			p.pub(from, "", "-r", "-t", "a/b", "-m", payload, "-q", fmt.Sprint(qos))
			for _, to := range protocols {
				status, out, errs := p.sub(to, "-t", "a/#", "-v", "-1", "-W", "10", "-q", fmt.Sprint(qos))
				if want := "a/b " + payload + "\n"; status != 0 || out != want || errs != "" {
					t.Errorf("%s, read by %s: status %d, %q, %q", payload, to, status, out, errs)
				}
			}
		}
	}
}

// TestPayloads: each source of messages, kept for a subscriber that is away
// and comes back for them; in each protocol.
func TestPayloads(t *testing.T) {
	p := serve(t)
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte("from a\nfile"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"sn", "311", "5"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			id := "away-" + protocol
			if status, _, errs := p.sub(protocol, "-c", "-i", id, "-q", "1", "-t", "k/"+protocol, "-W", "1"); status != statusTimeout {
				t.Fatalf("sub -W exits %d and says %s", status, errs)
			}
			send := func(stdin string, args ...string) {
				p.pub(protocol, stdin, append(args, "-t", "k/"+protocol, "-q", "1")...)
			}
			send("", "-m", "text")
			send("", "-m", "-1 below")
			send("one\ntwo\n", "-l")
			send("all\nof it", "-s")
			send("", "-f", file)
			send("", "-n")
			status, out, errs := p.sub(protocol, "-c", "-i", id, "-q", "1", "-t", "k/"+protocol, "-C", "7", "-W", "10")
			if want := "text\n-1 below\none\ntwo\nall\nof it\nfrom a\nfile\n\n"; status != 0 || out != want || errs != "" {
				t.Errorf("status %d, %q, %q", status, out, errs)
			}
		})
	}
}

// TestTopicsOfSN: a predefined id and a short name, both ways; and JSON.
func TestTopicsOfSN(t *testing.T) {
	p := serve(t, "--set", "mqttsn.predefined=[{id: 7, topic: alarm}]")
	p.pub("sn", "", "-r", "-T", "7", "-m", "fire")
	p.pub("sn", "", "-r", "-t", "T1", "-m", "\"21\"\x00", "-q", "1")
	p.pub("5", "", "-r", "-t", "bin", "-m", "\xff")
	for _, tt := range []struct{ args, want string }{
		{"-T 7 -v", "predefined:7 fire\n"},
		{"-T 7 -v --predefined 7=alarm", "alarm fire\n"},
		{"-t alarm -v", "alarm fire\n"},
		{"-t T1 -v", "T1 \"21\"\x00\n"},
		{"-t T1 --json -q 2", `{"topic":"T1","payload":"\"21\"\u0000","qos":1,"retain":true}` + "\n"},
		{"-t bin --json", `{"topic":"bin","payload_base64":"/w==","qos":0,"retain":true}` + "\n"},
	} {
		status, out, errs := p.sub("sn", append(strings.Fields(tt.args), "-1", "-W", "10")...)
		if status != 0 || out != tt.want || errs != "" {
			t.Errorf("sub %s: status %d, %q, %q; want %q", tt.args, status, out, errs, tt.want)
		}
	}
}

// TestSubSleeps: what is published while the radio is off comes at the next
// wake, and nothing before it.
func TestSubSleeps(t *testing.T) {
	t.Parallel()
	p := serve(t)
	asleep := make(chan struct{})
	printed := make(chan string)
	go func() {
		var out bytes.Buffer
		trace := &watch{text: "<- DISCONNECT", seen: asleep}
		args := append([]string{"sub", "-t", "cmd/#", "-e", "1", "-q", "2", "-v", "-C", "3", "-W", "20", "-d"}, p.on("sn")...)
		status := run(args, strings.NewReader(""), &out, trace)
		printed <- fmt.Sprint(out.String(), "status ", status)
	}()
	<-asleep
	for i := range 3 {
		p.pub("5", "", "-t", fmt.Sprint("cmd/", i), "-m", "go", "-q", fmt.Sprint(i))
	}
	if got, want := <-printed, "cmd/0 go\ncmd/1 go\ncmd/2 go\nstatus 0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A watch closes seen once it was written text.
type watch struct {
	text string
	seen chan struct{}
	done bool
}

func (w *watch) Write(b []byte) (int, error) {
	if !w.done && strings.Contains(string(b), w.text) {
		w.done = true
		close(w.seen)
	}
	return len(b), nil
}

// TestPubAndSubStatus pins the exit statuses and the one line that goes with
// each failure.
func TestPubAndSubStatus(t *testing.T) {
	p := serve(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, nobody, _ := net.SplitHostPort(closed.Addr().String())
	closed.Close()
	for _, tt := range []struct {
		protocol, args string
		want           int
	}{
		{"sn", "pub -t a -m x -p " + nobody, 4},
		{"4", "pub -t a -m x -p " + nobody, 4},
		{"5", "pub -t a -m x -p " + nobody, 4},
		{"sn", "sub -t +/+/+/+/+/+/+/+/+", 1},
		{"4", "sub -t +/+/+/+/+/+/+/+/+", 1},
		{"5", "sub -t +/+/+/+/+/+/+/+/+", 1},
		{"5", "pub -t $SYS/x -m x -q 1", 1},
		{"sn", "pub -t $SYS/x -m x -q 1", 1},
		{"sn", "pub -t a -f /nonexistent", 1},
		{"sn", "sub -t a -W 1", 27},
		{"5", "sub -t a -W 1", 27},
		{"sn", "sub -t a -k 1h30m5", 2},
		{"sn", "pub -t a", 2},
		{"sn", "sub -t a/#/b", 2},
		{"5", "sub -t a/b+", 2},
	} {
		t.Run(tt.protocol+" "+tt.args, func(t *testing.T) {
			t.Parallel()
			command := strings.Fields(tt.args)
			args := append(append(command[:1:1], p.on(tt.protocol)...), command[1:]...)
			var out, errs bytes.Buffer
			status := run(args, strings.NewReader(""), &out, &errs)
			if status != tt.want || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 || !strings.HasPrefix(errs.String(), "dormouse") {
				t.Errorf("status %d, want %d; it said %q, %q", status, tt.want, &out, &errs)
			}
		})
	}
}

// TestWhatToDo: pub and sub say what was refused, where and why, and what may
// help.
func TestWhatToDo(t *testing.T) {
	p := serve(t)
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	go func() {
		for conn, err := deaf.Accept(); err == nil; conn, err = deaf.Accept() {
			conn.Read(make([]byte, 1024)) // not to reset it
			conn.Close()
		}
	}()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct{ protocol, args, says string }{
		{"4", "pub -t a -m x --url mqtt://" + deaf.Addr().String(), "mqtt://" + deaf.Addr().String() + ": network Error : EOF; if something else is spoken there, see --url and --cafile"},
		{"5", "pub -t a -m x --url mqtt://" + deaf.Addr().String(), "; if something else is spoken there, see --url and --cafile"},
		{"5", "pub -t a -m x --url mqtts://" + deaf.Addr().String(), "; if something else is spoken there, see --url and --cafile"},
		{"4", "pub -t a -m x --url ws://" + deaf.Addr().String(), "; if something else is spoken there, see --url and --cafile"},
		{"4", "pub -t a -m x --url mqtt://" + closed.Addr().String(), "dormouse pub: mqtt://" + closed.Addr().String() + ": dial tcp " + closed.Addr().String() + ": connect: connection refused; is the server running?\n"},
		{"5", "sub -t +/+/+/+/+/+/+/+/+", `SUBSCRIBE refused: reason 0x8f, "filter 1 of 1: invalid topic: `},
		{"5", "pub -t $SYS/x -m x -q 1", `PUBLISH refused: reason 0x87, "not authorized"`},
	} {
		command := strings.Fields(tt.args)
		flags := []string{"--mqtt", "-V", tt.protocol}
		if !strings.Contains(tt.args, "--url") {
			flags = p.on(tt.protocol)
		}
		var out, errs bytes.Buffer
		run(append(append(command[:1:1], flags...), command[1:]...), strings.NewReader(""), &out, &errs)
		if !strings.Contains(errs.String(), tt.says) {
			t.Errorf("%s in %s says %q, want %q", tt.args, tt.protocol, &errs, tt.says)
		}
	}
}

// TestRefusedByName: a server that does not take the name and password has an
// exit status of its own.
func TestRefusedByName(t *testing.T) {
	for version, connack := range map[string]string{
		"3": "\x20\x02\x00\x04", "4": "\x20\x02\x00\x05", "5": "\x20\x03\x00\x86\x00",
	} {
		t.Run(version, func(t *testing.T) {
			server, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			go func() {
				for {
					conn, err := server.Accept()
					if err != nil {
						return
					}
					conn.Read(make([]byte, 1024)) // CONNECT
					conn.Write([]byte(connack))
					conn.Close()
				}
			}()
			_, port, _ := net.SplitHostPort(server.Addr().String())
			var out, errs bytes.Buffer
			args := []string{"pub", "--mqtt", "-V", version, "-p", port, "-u", "me", "-P", "secret", "-t", "a", "-m", "x"}
			if status := run(args, strings.NewReader(""), &out, &errs); status != 5 || strings.Contains(errs.String(), "secret") {
				t.Errorf("status %d, want 5; it said %q", status, &errs)
			}
		})
	}
}
