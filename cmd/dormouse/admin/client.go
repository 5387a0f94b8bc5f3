package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// A Caller asks the server on a socket. Use [Call].
type Caller struct {
	path string
	http http.Client
}

// Call returns a Caller for the socket at path. Nothing is asked yet.
func Call(path string) *Caller {
	const dialTime = 5 * time.Second
	return &Caller{path: path, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			if err := trust(path); err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		ResponseHeaderTimeout: answerTime,
	}}}
}

// An Unreachable error says that nobody answers on a socket, and what to do.
type Unreachable struct {
	Path string
	Err  error
}

func (u *Unreachable) Unwrap() error { return u.Err }

func (u *Unreachable) Error() string {
	switch {
	case errors.Is(u.Err, fs.ErrNotExist):
		return fmt.Sprintf("there is no socket %s; is the server running? If it has another, name it with --socket", u.Path)
	case errors.Is(u.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no server answers on %s any more; start it", u.Path)
	case errors.Is(u.Err, fs.ErrPermission):
		return fmt.Sprintf("%s may not be opened by this user; be the one that the server runs as", u.Path)
	}
	return fmt.Sprintf("the server on %s cannot be reached: %v", u.Path, u.Err)
}

// Do carries out one request, such as GET /v1/client of an id, and returns the
// body of the answer, to be closed. The error is an Unreachable or a Problem,
// or that the answer makes no sense.
func (c *Caller) Do(ctx context.Context, method, path string, query url.Values) (io.ReadCloser, error) {
	to := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, to.String(), nil)
	if err != nil {
		return nil, err
	}
	a, err := c.http.Do(r)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return nil, &Unreachable{c.path, err}
	}
	if a.StatusCode < 300 {
		return a.Body, nil
	}
	defer a.Body.Close()
	p := new(Problem)
	if a.Header.Get("Content-Type") != problemType || json.NewDecoder(a.Body).Decode(p) != nil {
		return nil, fmt.Errorf("the server on %s answers %s to %s %s; is it of another version?", c.path, a.Status, method, path)
	}
	return nil, p
}
