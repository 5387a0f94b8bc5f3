package core

import (
	"errors"
	"fmt"

	"dormouse/core/router"
	"dormouse/core/store"
)

// What a call may answer. A test with errors.Is is enough: nothing more is
// in the value but, for some, words for the log.
var (
	// ErrDetached: the attachment was taken over, kicked or detached.
	ErrDetached = errors.New("session is no longer attached here")

	// ErrNotAuthorized: an access rule forbids it, or the topic is the
	// broker's own ($SYS and all that begins with a dollar sign).
	ErrNotAuthorized = errors.New("not authorized")

	// ErrClientID: nobody may go by that client id, or not who asks.
	ErrClientID = errors.New("not a client id of this user")

	// ErrInvalidTopic: the topic or filter is malformed or beyond its limits.
	ErrInvalidTopic = router.ErrInvalid

	// ErrUnsupported: the broker does not do this.
	ErrUnsupported = errors.New("not supported")

	// ErrQuota: a configured bound is reached; later may do.
	ErrQuota = errors.New("quota exceeded")

	// ErrFull: the disk is full or cannot keep up; later may do.
	ErrFull = store.ErrFull

	// ErrBusy: memory is short, or more comes in than the machine can do, so
	// nobody new is let in; later may do.
	ErrBusy = errors.New("server is busy")

	// ErrClosed: the broker is closed.
	ErrClosed = errors.New("broker is closed")
)

// Which bound is reached, in words for the log.
var (
	errSessions      = fmt.Errorf("%w: limits.max_sessions", ErrQuota)
	errSubscriptions = fmt.Errorf("%w: limits.max_subscriptions_per_client", ErrQuota)
	errRetainedFull  = fmt.Errorf("%w: limits.retained.messages or bytes", ErrQuota)
	errShareFull     = fmt.Errorf("%w: limits.retained.per_publisher", ErrQuota)
	errSharedNoLocal = fmt.Errorf("%w: a shared subscription without the subscriber's own messages", ErrInvalidTopic)
	errMemoryShort   = fmt.Errorf("%w: memory is short", ErrQuota)
	errStoreBehind   = fmt.Errorf("%w: the store does not keep up", ErrQuota)
)
