package store

import "errors"

// ErrFull is in the error of a Write that was refused because the disk is full
// or cannot keep up. It passes: later may do. What only lets go is still taken.
var ErrFull = errors.New("the store is full")
