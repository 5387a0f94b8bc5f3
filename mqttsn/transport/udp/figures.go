package udp

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lost returns how many datagrams the kernel has dropped because the sockets'
// receive buffers were full.
func (c *Conn) Lost() (n uint64) {
	for _, s := range c.all() {
		n += uint64(s.lost())
	}
	return n
}

// lost is what the kernel has dropped that came to s: an unsigned 32 bit count
// of its own.
func (s *socket) lost() (n uint32) {
	var info [unix.SK_MEMINFO_VARS]uint32
	length := uint32(unsafe.Sizeof(info))
	s.control(func(fd int) {
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
		if errno == 0 {
			n = info[unix.SK_MEMINFO_DROPS]
		}
	})
	return n
}

// Each yields the figures of all the Conns together, under their exported
// names, as gateway.Each does. testdata/metrics.txt pins the names.
func Each(cs []*Conn, yield func(name, help, label string, value uint64)) {
	t := tally(cs)
	const dropped, why = "dormouse_udp_datagrams_dropped_total",
		"Datagrams that no gateway has seen. buffer_full: raise recv_buffer of the listener, or add cores. too_long: see mqttsn.max_packet."
	yield(dropped, why, `reason="buffer_full"`, t.lost)
	yield(dropped, why, `reason="too_long"`, t.tooLong)
	const errors, refused = "dormouse_udp_errors_total",
		"Reads, and datagrams to send, that the kernel refused. Many to send: a broken route or firewall."
	yield(errors, refused, `call="read"`, t.readErrors)
	yield(errors, refused, `call="send"`, t.writeErrors)
	yield("dormouse_udp_send_waits_total",
		"Times that the kernel had no room for what is to be sent, so that all sensors of a shard waited. Many: the network takes less than is sent; have a faster one, or raise net.core.wmem_default.", "", t.waits)
}

// Sys yields what is published below $SYS/broker/.
func Sys(cs []*Conn, yield func(name, value string)) {
	t := tally(cs)
	number := func(name string, n uint64) { yield("mqttsn/udp/"+name, strconv.FormatUint(n, 10)) }
	number("dropped", t.lost+t.tooLong)
	number("dropped/buffer_full", t.lost)
	number("dropped/too_long", t.tooLong)
	number("errors", t.readErrors+t.writeErrors)
	number("errors/read", t.readErrors)
	number("errors/send", t.writeErrors)
}

// totals are counters added up.
type totals struct{ lost, tooLong, readErrors, writeErrors, waits uint64 }

func tally(cs []*Conn) (t totals) {
	for _, c := range cs {
		t.lost += c.Lost()
		t.tooLong += c.Counters.TooLong.Load()
		t.readErrors += c.Counters.ReadErrors.Load()
		t.writeErrors += c.Counters.WriteErrors.Load()
		t.waits += c.Counters.WriteWaits.Load()
	}
	return t
}
