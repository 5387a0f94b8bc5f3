package mqtt

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What mochi alone does wrong is shown by pairs: one scenario, seen to pass
// here and seen to fail on mochi as it is. This file runs them; twin_test.go is
// the two brokers, each in a process of its own.

// onBoth runs a scenario against both twins. Ours must pass; mochi must fail,
// with a complaint that matches symptom. Once it passes, what works around
// that defect may go.
func onBoth(t *testing.T, s setup, symptom string, scenario func(testing.TB, *twin)) {
	t.Parallel()
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		scenario(t, startTwin(t, s))
	})
	t.Run("mochi", func(t *testing.T) {
		t.Parallel()
		bare := s
		bare.Bare = true
		tr := &trial{TB: t}
		over := make(chan struct{})
		go func() {
			defer close(over)
			scenario(tr, startTwin(tr, bare))
		}()
		<-over
		found := tr.complaints()
		t.Log(found)
		switch {
		case found == "":
			t.Error("mochi has mended this: what works around it may go")
		case !regexp.MustCompile(symptom).MatchString(found):
			t.Errorf("mochi fails, but not by %q", symptom)
		}
	})
}

// A trial is a test that may fail: it takes note of the complaints.
type trial struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

func (tr *trial) complain(what string) {
	tr.mu.Lock()
	tr.found = append(tr.found, what)
	tr.mu.Unlock()
}

func (tr *trial) complaints() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.found, "\n")
}

func (tr *trial) Error(args ...any)                 { tr.complain(fmt.Sprint(args...)) }
func (tr *trial) Errorf(format string, args ...any) { tr.complain(fmt.Sprintf(format, args...)) }
func (tr *trial) Fatal(args ...any)                 { tr.Error(args...); runtime.Goexit() }
func (tr *trial) Fatalf(format string, args ...any) { tr.Errorf(format, args...); runtime.Goexit() }

// A twin is a broker in a process of its own: ours, or mochi as it is.
type twin struct {
	*broker
	t       testing.TB
	bare    bool
	ask     io.WriteCloser
	answers *json.Decoder
}

// startTwin starts a twin that runs until the test ends.
func startTwin(t testing.TB, s setup) *twin {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), twinEnv+"="+string(text))
	if !s.Bare {
		cmd.Stderr = os.Stderr
	}
	ask, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &twin{t: t, bare: s.Bare, ask: ask, answers: json.NewDecoder(answers)}
	t.Cleanup(func() {
		if !s.Bare && w.look().Panics > 0 {
			t.Error("a packet has brought the decoder down")
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
	w.broker = &broker{addr: w.look().Address}
	return w
}

// tell has the twin do something, and returns its figures after that.
func (w *twin) tell(what string) figures {
	w.t.Helper()
	var f figures
	fmt.Fprintln(w.ask, what)
	if err := w.answers.Decode(&f); err != nil {
		w.t.Fatalf("no answer to %q: %v", what, err)
	}
	return f
}

func (w *twin) look() figures { return w.tell(look) }

// soon shortens the wait for what mochi never sends. It cannot have ours fail.
func (w *twin) soon(p *peer) {
	if w.bare {
		p.SetDeadline(time.Now().Add(time.Second))
	}
}

// flood publishes n messages at QoS 1 to a topic, "1" to n, and takes their
// acknowledgements.
func (p *peer) flood(topic string, n int) {
	p.t.Helper()
	var all []byte
	for i := 1; i <= n; i++ {
		all = append(all, p.encode(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
			TopicName:   topic, Payload: fmt.Append(nil, i), PacketID: uint16(i),
		})...)
	}
	go p.Write(all) // not to wait for each other
	for range n {
		p.expect(packets.Puback)
	}
	p.ping() // the last is on its way, too
}

// noneButMark has another client publish to "mark", which p has subscribed to:
// that is to be the next message that p gets.
func (w *twin) noneButMark(p *peer) {
	p.t.Helper()
	marker := w.connect(p.t, 4, "marker", nil)
	marker.publish("mark", "x", 0, 0)
	p.expectMessage("mark x 0 0")
}
