package soak

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

var (
	soakFor = flag.Duration("soak.for", 8*time.Second, "how long the fleet goes about its days")
	sensors = flag.Int("soak.sensors", 300, "how many sensors it has")
)

// enough is from how long on the heap tells something: shorter, it is still
// what the sensors' first rounds make of it.
const enough = 3 * time.Minute

// Growth is told by the medians of the first and the last third of what was
// measured once the fleet had arrived and been through a round or two: what grows
// with every message, or connection, is far beyond these by then. In half an
// hour a hundred thousand sensors exchange ten million packets, so that 5 % of
// 300 MiB is an octet or two for each.
const (
	heapShare     = 0.05
	heapMore      = 2 << 20
	goroutineMore = 16 // somebody sends to a client, or looks at the figures
	fileMore      = 8  // of the store, which merges and removes its files
)

// A sample is what the server takes at one moment.
type sample struct {
	heap              int // octets of live objects; zero: not asked for
	goroutines, files int
}

// TestSoak has a fleet of sleepers, trackers behind a NAT, movers, visitors that
// come and go and meters do what they do, with some loss on the radio and
// commands for most of them. Nothing acknowledged may be missing, no rule of the
// protocol may be broken, and the server may not grow.
func TestSoak(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "dormouse")
	if out, err := exec.Command("go", "build", "-o", binary, "dormouse/cmd/dormouse").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := start(t, binary, dir)
	result := filepath.Join(dir, "result.json")
	fleet := exec.CommandContext(t.Context(), binary, "sim", "run", "testdata/soak.yaml", "--plain",
		"--host", "127.0.0.1", "--port", s.snPort, "--mqtt", "mqtt://"+s.mqtt,
		"--nodes", strconv.Itoa(*sensors), "--duration", soakFor.String(),
		"--control", filepath.Join(dir, "control"), "--json", result)
	said, err := os.Create(filepath.Join(dir, "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	fleet.Stdout, fleet.Stderr = said, said
	ended := make(chan error, 1)
	go func() { ended <- fleet.Run() }()

	samples, err := s.watch(ended)
	text, _ := os.ReadFile(said.Name())
	if err != nil {
		t.Fatalf("the fleet: %v\n%s\nthe server:\n%s", err, text, &s.log)
	}
	t.Logf("%s", text)
	for _, what := range growth(samples, func(says string) { t.Log(says) }) {
		t.Error(what)
	}
	s.stop()
}

// watch samples while the fleet is about its days, from when a quarter of the
// time is over. It returns when the fleet has ended.
func (s *server) watch(ended <-chan error) ([]sample, error) {
	var all []sample
	began := time.Now()
	every := time.NewTicker(min(15*time.Second, *soakFor/60))
	defer every.Stop()
	for {
		select {
		case err := <-ended:
			return all, err
		case <-every.C:
		}
		if at := time.Since(began); at < *soakFor/4 || at > *soakFor {
			continue
		}
		all = append(all, s.sample(*soakFor >= enough))
	}
}

// growth compares the first and the last third of the samples, and says what has
// grown. shown gets what there was in each third.
func growth(all []sample, shown func(string)) (grown []string) {
	third := len(all) / 3
	if third < 3 {
		return []string{fmt.Sprintf("there are only %d samples", len(all))}
	}
	for _, g := range []struct {
		what  string
		of    func(sample) int
		share float64
		more  int
	}{
		{"octets of heap", func(s sample) int { return s.heap }, heapShare, heapMore},
		{"goroutines", func(s sample) int { return s.goroutines }, 0, goroutineMore},
		{"open files", func(s sample) int { return s.files }, 0, fileMore},
	} {
		first, then, last := median(all[:third], g.of), median(all[third:len(all)-third], g.of), median(all[len(all)-third:], g.of)
		shown(fmt.Sprintf("%s: %d, then %d, then %d", g.what, first, then, last))
		if most := first + int(float64(first)*g.share) + g.more; last > most {
			grown = append(grown, fmt.Sprintf("%s grew from %d to %d; up to %d is flat", g.what, first, last, most))
		}
	}
	return grown
}

func median(of []sample, what func(sample) int) int {
	var all []int
	for _, s := range of {
		all = append(all, what(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// TestGrowthShows: what is found is found.
func TestGrowthShows(t *testing.T) {
	steady := func(i int) sample { return sample{300 << 20, 50 + i%7, 20 + i%3} }
	for what, grows := range map[string]func(i int, s *sample){
		"nothing":    func(int, *sample) {},
		"heap":       func(i int, s *sample) { s.heap += i << 20 },
		"goroutines": func(i int, s *sample) { s.goroutines += i },
		"files":      func(i int, s *sample) { s.files += i },
	} {
		var all []sample
		for i := range 45 {
			one := steady(i)
			grows(i, &one)
			all = append(all, one)
		}
		if got := growth(all, func(string) {}); (len(got) == 0) != (what == "nothing") {
			t.Errorf("%s grows, and what is found is %q", what, got)
		}
	}
}
