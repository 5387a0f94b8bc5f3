package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dormouse/sim/report"
)

// A toll is what a process has taken of the machine.
type toll struct {
	cpu    time.Duration // of all cores
	memory uint64        // the most that it had at a time, in octets
}

// as is t in a report.
func (t toll) as(who string) report.Use {
	return report.Use{Who: who, CPU: t.cpu.Seconds(), Memory: float64(t.memory)}
}

// ourToll is what this process has taken.
func ourToll() toll {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r) // it fails for no other who
	return toll{time.Duration(r.Utime.Nano() + r.Stime.Nano()), peak("self")}
}

// end adds what an ended child has taken, of which it had so much memory.
func (t *toll) end(child *exec.Cmd, memory uint64) {
	t.cpu += child.ProcessState.UserTime() + child.ProcessState.SystemTime()
	t.memory = max(t.memory, memory)
}

// peak is the most memory that a process of that number has had, in octets; 0
// if it is gone. What wait(2) says of a child is no less than its parent had
// when it was born.
func peak(process string) uint64 {
	text, err := os.ReadFile(filepath.Join("/proc", process, "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
