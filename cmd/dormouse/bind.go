package main

import (
	"errors"
	"fmt"
	"syscall"

	"dormouse/cmd/dormouse/config"
)

// cannotOpen says why listener l cannot be had and what to do about it. The
// failure asks for statusBind.
func cannotOpen(l *config.Listener, err error) error {
	return cannotOpenAddress(fmt.Sprintf("%s/%s", l.Address, l.Network()), "listeners."+l.Name+".address", err)
}

// cannotOpenAddress is cannotOpen for an address that is set by key.
func cannotOpenAddress(address, key string, err error) error {
	var why string
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "is in use by another program; stop that, or choose another port with " + key
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		why = "may not be opened by this user; choose a port from 1024 on with " + key
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "is no address of this machine; choose another with " + key
	default:
		why = fmt.Sprintf("cannot be opened: %v", err)
	}
	return &failure{statusBind, fmt.Errorf("%s %s", address, why)}
}
