package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A Duration is a length of time, written with its unit: 500ms, 10s, 1h30m.
type Duration time.Duration

// UnmarshalText reads what String writes. Negative durations have no use here.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration; write one like 500ms, 10s or 1h30m", b)
	}
	*d = Duration(v)
	return nil
}

// String writes the duration without the units that are zero: 24h, not 24h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Bytes is an amount of memory, written 512, 16KiB, 8MiB, 1GiB.
type Bytes int64

// Powers of 1024.
const (
	KiB Bytes = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

var byteUnits = []struct {
	name string
	size Bytes
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"", 1}}

// UnmarshalText reads what String writes.
func (n *Bytes) UnmarshalText(b []byte) error {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(string(b), u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || Bytes(v) > math.MaxInt64/u.size {
			break
		}
		*n = Bytes(v) * u.size
		return nil
	}
	return fmt.Errorf("%q is not a size; write one like 512, 16KiB, 8MiB or 1GiB", b)
}

// String writes the size in the largest unit that divides it.
func (n Bytes) String() string {
	for _, u := range byteUnits {
		if n%u.size == 0 && n >= u.size {
			return strconv.FormatInt(int64(n/u.size), 10) + u.name
		}
	}
	return "0"
}

// A Rate is events per second, written 20/s, 60/m or 100/h.
type Rate float64

// UnmarshalText reads what String writes.
func (r *Rate) UnmarshalText(b []byte) error {
	count, per, _ := strings.Cut(string(b), "/")
	n, err := strconv.ParseUint(count, 10, 31)
	seconds, ok := map[string]float64{"s": 1, "m": 60, "h": 3600}[per]
	if err != nil || !ok {
		return fmt.Errorf("%q is not a rate; write one like 20/s, 60/m or 100/h", b)
	}
	*r = Rate(float64(n) / seconds)
	return nil
}

// String writes the rate with the shortest period that makes it a whole number.
func (r Rate) String() string {
	period := "h"
	n := float64(r) * 3600
	switch v := float64(r); {
	case v == math.Trunc(v):
		period, n = "s", v
	case v*60 == math.Trunc(v*60):
		period, n = "m", v*60
	}
	return strconv.FormatInt(int64(math.Round(n)), 10) + "/" + period
}

// A Percent is a share, written 75%.
type Percent int

// UnmarshalText reads what String writes.
func (p *Percent) UnmarshalText(b []byte) error {
	digits, ok := strings.CutSuffix(string(b), "%")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || !ok {
		return fmt.Errorf("%q is not a share; write one like 75%%", b)
	}
	*p = Percent(n)
	return nil
}

// String writes the share as a percentage.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// A Sync is when what is acknowledged is on the disk, written always,
// interval:100ms or none: so long after the acknowledgement.
type Sync time.Duration

// The ends of Sync.
const (
	SyncAlways Sync = 0
	SyncNone   Sync = -1
)

// Bounds of an interval: a disk does not sync faster, and who can lose more may
// say none.
const (
	minSyncInterval = Duration(time.Millisecond)
	maxSyncInterval = Duration(time.Minute)
)

// UnmarshalText reads what String writes.
func (s *Sync) UnmarshalText(b []byte) error {
	var d Duration
	interval, ok := strings.CutPrefix(string(b), "interval:")
	switch {
	case string(b) == "always":
		*s = SyncAlways
	case string(b) == "none":
		*s = SyncNone
	case !ok || d.UnmarshalText([]byte(interval)) != nil:
		return fmt.Errorf("%q is not when to sync; write always, interval:100ms or none", b)
	case d < minSyncInterval || d > maxSyncInterval:
		return fmt.Errorf("the interval is %v; it must be %v to %v", d, minSyncInterval, maxSyncInterval)
	default:
		*s = Sync(d)
	}
	return nil
}

// String writes it in words.
func (s Sync) String() string {
	switch s {
	case SyncAlways:
		return "always"
	case SyncNone:
		return "none"
	}
	return "interval:" + Duration(s).String()
}

// An Address is where to listen. The address without a host is [::], which
// takes IPv4 in as well.
type Address struct{ netip.AddrPort }

// UnmarshalText reads 127.0.0.1:1883, [::1]:1883 or :1883.
func (a *Address) UnmarshalText(b []byte) error {
	s := string(b)
	if strings.HasPrefix(s, ":") {
		s = "[::]" + s
	}
	v, err := netip.ParseAddrPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an IP address and port; write one like 127.0.0.1:1883, [::1]:1883 or :1883", b)
	}
	a.AddrPort = v
	return nil
}

// A Network is a named set of addresses, or one prefix.
type Network struct {
	Name     string
	Prefixes []netip.Prefix
}

// The networks that have names.
var (
	loopback  = network("loopback", "127.0.0.0/8", "::1/128")
	linkLocal = network("link-local", "169.254.0.0/16", "fe80::/10")
	private   = network("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
	anywhere  = network("any", "0.0.0.0/0", "::/0")
)

func network(name string, prefixes ...string) Network {
	n := Network{Name: name}
	for _, p := range prefixes {
		n.Prefixes = append(n.Prefixes, netip.MustParsePrefix(p))
	}
	return n
}

// UnmarshalText reads a name or a prefix. A prefix's bits past its length must
// be zero, so that a mistyped one is not read as a wider one.
func (n *Network) UnmarshalText(b []byte) error {
	for _, named := range []Network{loopback, linkLocal, private, anywhere} {
		if named.Name == string(b) {
			*n = named
			return nil
		}
	}
	p, err := netip.ParsePrefix(string(b))
	if err != nil || p != p.Masked() {
		return fmt.Errorf("%q is not a network; write loopback, link-local, private, any or a prefix like 192.0.2.0/24", b)
	}
	*n = Network{Name: p.String(), Prefixes: []netip.Prefix{p}}
	return nil
}

// String returns what UnmarshalText reads.
func (n Network) String() string { return n.Name }

// Prefixes returns the prefixes of all of them.
func Prefixes(ns []Network) []netip.Prefix {
	var all []netip.Prefix
	for _, n := range ns {
		all = append(all, n.Prefixes...)
	}
	return all
}
