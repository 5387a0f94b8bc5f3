package workload

import (
	"slices"
	"testing"
	"time"
)

// TestBursts counts them: reports that begin an event are followed by all of
// it, and as many begin one as asked for.
func TestBursts(t *testing.T) {
	c := Config{Reports: Reports{Every: time.Hour, Bursts: Bursts{Share: 0.25, Count: 3, Spacing: 10 * time.Second}}}
	regular, burst := 0, 0
	for n := range 40 {
		at := made(&c, &well, device(n), 1000*hour)
		offset := at[0]
		for k := 0; k < len(at); k++ {
			if (at[k]-offset)%time.Hour != 0 {
				t.Fatalf("device %d: a report at %v; want one on the hour after %v", n, at[k], offset)
			}
			regular++
			if k+1 < len(at) && at[k+1]-at[k] == 10*time.Second {
				burst++
				for j := range min(3, len(at)-1-k) {
					if at[k+1+j]-at[k] != time.Duration(j+1)*10*time.Second {
						t.Fatalf("device %d: a burst with reports at %v", n, at[k:min(k+4, len(at))])
					}
				}
				k += 3
			}
		}
	}
	if share := float64(burst) / float64(regular); regular != 40*1000 || share < 0.24 || share > 0.26 {
		t.Errorf("%d of %d reports begin a burst", burst, regular)
	}
	c.Reports.Bursts.Share = 1
	if n := len(made(&c, &well, device(0), 100*hour)); n < 4*100-3 || n > 4*100 {
		t.Errorf("%d reports in 100 h, each followed by three", n)
	}
	i, s := Ills{Drift: maxDrift}, device(0)
	if at := made(&c, &i, s, 2*hour); at[1]-at[0] != i.Lasts(s, 10*time.Second) {
		t.Errorf("by the device's clock, which takes %v for 10s, there are %v between", i.Lasts(s, 10*time.Second), at[1]-at[0])
	}
}

// TestBurstMeetsReport has a device in a burst cry for more: what falls on one
// moment is two reports all the same, one after the other.
func TestBurstMeetsReport(t *testing.T) {
	c := Config{Reports: Reports{Every: time.Hour, Aligned: true, Bursts: Bursts{Share: 1, Count: 4, Spacing: 10 * time.Minute}}}
	i := Ills{Crying: 1, CryingRate: 2}
	const m = time.Minute
	want := []time.Duration{30 * m, 40 * m, 50 * m, 60 * m, 60*m + 1, 70*m + 1, 90 * m}
	if got := made(&c, &i, device(0), 90*m); !slices.Equal(got, want) {
		t.Errorf("reports at %v; want %v", got, want)
	}
}

// TestAwayInBurst ends the part of a burst that is too late.
func TestAwayInBurst(t *testing.T) {
	c := Config{Reports: Reports{Every: time.Hour, Aligned: true, Bursts: Bursts{Share: 1, Count: 100, Spacing: time.Second}}}
	s := device(0)
	on := start.Add(time.Hour)
	c.Reported(s, &well, on)
	c.Reported(s, &well, on.Add(time.Second))
	// Away for 49.5 s: the report that was due first is made, that of the last
	// second too, and what is between them is missed.
	back := on.Add(51*time.Second + 500*time.Millisecond)
	if missed := c.Reported(s, &well, back); missed != 48 {
		t.Errorf("%d reports missed; want 48", missed)
	}
	if next := c.Report(s, &well).Sub(on); next != 51*time.Second {
		t.Errorf("the next report is due %v into the burst; want 51s", next)
	}
	c.Reported(s, &well, on.Add(30*time.Minute))
	if next := c.Report(s, &well).Sub(on); next != time.Hour {
		t.Errorf("half an hour later the next report is due %v after the last event; want 1h", next)
	}
}
