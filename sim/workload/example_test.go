package workload_test

import (
	"fmt"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/sim/workload"
)

// A sensor reports every quarter of an hour, and its reports are out of step
// with those of the others.
func ExampleConfig_Report() {
	c := workload.Config{Reports: workload.Reports{Every: 15 * time.Minute, Jitter: time.Minute}}
	var ills workload.Ills
	const start = clock.Time(1)

	for device := range 2 {
		var s workload.State
		workload.Begin(&s, 42, device, 1000, start, 0)
		for range 3 {
			at := c.Report(&s, &ills)
			fmt.Printf("device %d reports after %v\n", device, at.Sub(start).Round(time.Second))
			c.Reported(&s, &ills, at)
		}
	}
	// Output:
	// device 0 reports after 9m46s
	// device 0 reports after 26m25s
	// device 0 reports after 40m37s
	// device 1 reports after 12m11s
	// device 1 reports after 25m36s
	// device 1 reports after 41m10s
}

// A sensor that was out of reach for a day makes the report that it could not
// make then, and none of the others.
func ExampleConfig_Reported() {
	c := workload.Config{Reports: workload.Reports{Every: time.Hour, Aligned: true}}
	var ills workload.Ills
	var s workload.State
	const start = clock.Time(1)
	workload.Begin(&s, 42, 0, 1, start, 0)

	now := start.Add(24*time.Hour + time.Minute)
	for at := c.Report(&s, &ills); at.Reached(now); at = c.Report(&s, &ills) {
		missed := c.Reported(&s, &ills, now)
		fmt.Println("one report made, and missed:", missed)
	}
	fmt.Println("the next one:", c.Report(&s, &ills).Sub(start))
	// Output:
	// one report made, and missed: 23
	// the next one: 25h0m0s
}

// Ten of a thousand sensors get wet.
func ExampleChosen() {
	n := 0
	for device := range 1000 {
		if workload.Chosen(0.01, 42, device, 1000) {
			n++
		}
	}
	fmt.Println(n)
	// Output: 10
}
