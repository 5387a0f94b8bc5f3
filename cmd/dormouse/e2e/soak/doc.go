// Package soak has a fleet of sensors go about its days against the real binary
// for as long as one likes, and sees that what the server takes for it does not
// grow: heap, goroutines and file descriptors. By default it takes seconds;
// "make soak" has 100,000 sensors for half an hour, and 1,000 that speak DTLS over
// a kill of the server.
package soak
