//go:build !linux

package client

import (
	"errors"
	"net"
)

// askingSocket opens a socket. Where its multicast goes is the system's choice.
func askingSocket(network string, link *net.Interface, _ int) (net.PacketConn, error) {
	if link != nil {
		return nil, errors.New("choosing an interface for multicast needs Linux")
	}
	return net.ListenPacket(network, ":0")
}

// hearingSocket would take the unicast of a gateway on this machine, bound as
// package net binds it.
func hearingSocket(*net.UDPAddr, *net.Interface) (net.PacketConn, error) {
	return nil, errors.New("hearing a group needs Linux")
}
