package handshake

import (
	"context"
	"errors"
	"testing"
)

// TestCheck: pion takes our cookies, and if it took those of another length only,
// we would be told at once.
func TestCheck(t *testing.T) {
	if err := Check(); err != nil {
		t.Error(err)
	}
	if err := check(cookieLength - 1); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of a cookie that is shorter than pion's: %v", err)
	}
}

// TestCookieOf: a pion that has its cookie elsewhere, or another kind of one, has
// none for us, and that is all.
func TestCookieOf(t *testing.T) {
	type state struct{ cookie []byte }
	if got := cookieOf(&struct{ state state }{state{[]byte("cookie")}}); string(got) != "cookie" {
		t.Errorf("cookieOf() = %q", got)
	}
	for _, other := range []any{
		&struct{ status state }{},
		&struct{ state *state }{&state{}},
		&struct{ state struct{ biscuit []byte } }{},
		&struct{ state struct{ cookie string } }{},
		&struct{ state struct{ cookie [20]byte } }{},
		&struct{ state struct{ cookie []uint16 } }{},
	} {
		if got := cookieOf(other); got != nil {
			t.Errorf("cookieOf(%T) = %q", other, got)
		}
	}
}
