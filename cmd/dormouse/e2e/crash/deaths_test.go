package crash

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// What the real binary is in the midst of when it is killed, as far as its
// directory shows.
const (
	whileTable = "while it wrote a table" // flushes, or compacts
	whileLog   = "while it began a log"
	whenever   = "whenever"
	whileStart = "while it started"
)

// aims are when one broker is killed, but for the times when it has only begun
// to start.
var aims = [...]string{whenever, whileTable, whileLog, whileTable, whenever}

// deaths are what brokers did up to their ends, and what they were at then.
type deaths struct {
	mu                   sync.Mutex
	at                   map[string]int
	flushes, compactions int
}

func (d *deaths) note(at string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at[at]++
}

// data is the directory of its store.
func (v *victim) data() string { return filepath.Join(v.dir, "data") }

// dieOften has it die at moments of the plan. At the last, all is said, and who
// sleeps will do nothing any more but wake.
func (v *victim) dieOften(p *plan, saw *deaths) error {
	dice := p.rand(1000)
	pause := func(n int) { <-time.After(time.Duration(dice.IntN(n)) * time.Millisecond) }
	for i, at := range aims {
		pause(800)
		if err := v.done(saw); err != nil {
			return err
		}
		if i == len(aims)-1 {
			p.calm.Store(true)
		}
		at = v.midst(at)
		v.kill()
		saw.note(at)
		for range dice.IntN(3) { // again
			if err := v.start(); err != nil {
				return err
			}
			pause(60)
			v.kill()
			saw.note(whileStart)
		}
		p.h.mu.Lock()
		p.h.life++
		p.h.mu.Unlock()
		if err := v.start(); err != nil {
			return err
		}
		if err := v.await(); err != nil {
			return err
		}
	}
	return nil
}

// midst waits until the broker is at what, and returns that; or whenever,
// should it not come to that.
func (v *victim) midst(what string) string {
	suffix, aimed := map[string]string{whileTable: ".sst", whileLog: ".log"}[what]
	if !aimed {
		return whenever
	}
	files := func() map[string]bool {
		names := make(map[string]bool)
		entries, _ := os.ReadDir(v.data())
		for _, e := range entries {
			names[e.Name()] = strings.HasSuffix(e.Name(), suffix)
		}
		return names
	}
	had, end := files(), time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		<-tick.C
		for name, is := range files() {
			if _, old := had[name]; is && !old {
				return what
			}
		}
	}
	return whenever
}

// figures are what /metrics says.
func (v *victim) figures() (string, error) {
	r, err := http.Get(v.admin + "/metrics")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

// done adds to saw what the broker has done with its files in this life.
func (v *victim) done(saw *deaths) error {
	figures, err := v.figures()
	if err != nil {
		return err
	}
	saw.mu.Lock()
	defer saw.mu.Unlock()
	for line := range strings.Lines(figures) {
		var n int
		if _, err := fmt.Sscanf(line, "dormouse_store_flushes_total %d", &n); err == nil {
			saw.flushes += n
		}
		if _, err := fmt.Sscanf(line, "dormouse_store_compactions_total %d", &n); err == nil {
			saw.compactions += n
		}
	}
	return nil
}
