// Package crash tests what design and README promise of a broker that dies:
// what Dormouse acknowledged is on disk. It holds nothing but tests.
//
// Clients publish and subscribe, the broker is killed at moments that a seed
// chooses and started again, and a history of all that went over the wire is
// checked in the end. There are two brokers to kill: the whole stack in virtual
// time, on a disk that forgets what was not synced, and the real binary. That
// the checker finds what it should is tested with stores that cheat.
package crash
