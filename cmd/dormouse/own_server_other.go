//go:build unix && !linux

package main

import "syscall"

// ownAttributes have it be of a process group of its own, so that
// Ctrl-C at the terminal is for us alone.
func ownAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
