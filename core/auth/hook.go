package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"
)

// A Hook is a web server that knows clients. It is sent a question by POST, and
// answers in JSON with status 200. No answer, and any other, is a failure: it says
// nothing about the client.
type Hook struct {
	URL string

	// After is how many of the Files are asked before it.
	After int

	// Timeout is for all of it, one's turn included.
	Timeout time.Duration

	// Cache is for how long whom it has let in comes in again without a question,
	// if all that it would be asked is the same. Zero: it is always asked.
	Cache time.Duration

	// Next has others asked after a failure. Else the client is refused, as if we
	// were too busy.
	Next bool

	// CAFile has the authorities that vouch for it, in PEM. Empty: the system's.
	CAFile string
}

// A question is what a hook is sent.
type question struct {
	ClientID string `json:"client_id"`
	User     string `json:"user"`
	Password string `json:"password"`
	Listener string `json:"listener"`
	Address  string `json:"address"` // IP address; empty: not known
}

// An answer is what a hook says.
type answer struct {
	Result   string   `json:"result"`    // allow, deny, or ignore: it is for others to know
	User     string   `json:"user"`      // as whom it is let in. Empty: as whom it says
	Roles    []string `json:"roles"`     // that it then has
	ExpireAt int64    `json:"expire_at"` // when it has to go, in seconds since 1970. Zero: it need not
}

const (
	hooksAtOnce    = 64           // questions to one hook; others wait for their turn
	maxAnswer      = 4 << 10      // octets, which what is kept of it has at most
	maxHeader      = 16 << 10     // octets
	lastSecond     = 253402300799 // of the year 9999
	complainAtMost = 10 * time.Second
)

// errAbsent is ErrUnknown of one who might have known.
var errAbsent = fmt.Errorf("%w for now", ErrUnknown)

// A hook is the provider of those that a Hook knows.
type hook struct {
	*Hook
	*Authenticator
	client *http.Client
	slots  chan struct{} // one for each question
	answers
	seldom rate.Sometimes // it is complained of
}

// newHook returns the provider of h. The error is Problems, of its file.
func newHook(a *Authenticator, h *Hook) (*hook, error) {
	way := http.DefaultTransport.(*http.Transport).Clone()
	way.DialContext = (&net.Dialer{Timeout: h.Timeout}).DialContext // which outlives the question
	way.TLSHandshakeTimeout = h.Timeout
	way.MaxIdleConnsPerHost = hooksAtOnce
	way.MaxResponseHeaderBytes = maxHeader
	way.DisableCompression = true
	if h.CAFile != "" {
		text, _, err := readText(h.CAFile, "a file of authorities", "cat CERTIFICATES >")
		if err != nil {
			return nil, err
		}
		way.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		if !way.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, Problems{{File: h.CAFile, Message: "there is no certificate in it, -----BEGIN CERTIFICATE-----; name the authorities that vouch for the web server, in PEM"}}
		}
	}
	return &hook{
		Hook: h, Authenticator: a,
		client:  &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		slots:   make(chan struct{}, hooksAtOnce),
		answers: newAnswers(),
		seldom:  rate.Sometimes{Interval: complainAtMost},
	}, nil
}

// Check asks the hook about a client that calls itself something, or shows a
// password.
func (h *hook) Check(c Credentials) (Grant, error) {
	if c.User == "" && len(c.Password) == 0 || !utf8.Valid(c.Password) {
		return Grant{}, ErrUnknown
	}
	at, _ := netip.ParseAddrPort(c.Remote)
	q := question{c.ClientID, c.User, string(c.Password), c.Listener, ""}
	if at.IsValid() {
		q.Address = at.Addr().Unmap().String()
	}
	text, err := json.Marshal(q)
	if err != nil {
		return Grant{}, err
	}
	key := answerKey(h.mac(text))
	said, known := h.find(key, time.Now())
	if known {
		h.hooks.memory.Add(1)
		return h.grant(c, said), nil
	}
	if said, err = h.ask(text, c.User); err != nil {
		return Grant{}, h.fail(err)
	}
	switch said.Result {
	case "deny":
		h.hooks.deny.Add(1)
		return Grant{}, ErrBad
	case "ignore":
		h.hooks.ignore.Add(1)
		return Grant{}, ErrUnknown
	}
	h.hooks.allow.Add(1)
	until := time.Now().Add(h.Cache)
	if end := time.Unix(said.ExpireAt, 0); said.ExpireAt != 0 && end.Before(until) {
		until = end
	}
	if h.Cache > 0 {
		h.keep(key, said, until)
	}
	return h.grant(c, said), nil
}

// grant is what an answer that lets c in comes to.
func (h *hook) grant(c Credentials, a answer) Grant {
	g := Grant{c.Identity, Proof{by: h.name()}}
	if a.User != "" {
		g.User = a.User
	}
	g.Roles = joinRoles(a.Roles)
	if a.ExpireAt != 0 {
		g.Until = time.Unix(a.ExpireAt, 0)
	}
	return g
}

// fail is what a failure of the hook means for the client.
func (h *hook) fail(err error) error {
	h.hooks.none.Add(1)
	if h.life.Err() != nil { // we would not listen
		return ErrBusy
	}
	h.seldom.Do(func() { h.complain(fmt.Errorf("the web server at %s: %w", place(h.URL), err)) })
	if h.Next {
		return errAbsent
	}
	return ErrBusy
}

// place is where a web server is, without what may be secret of that.
func place(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "?" // a configuration has found out
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// withoutURL is err, of a client of HTTP, without the URL that it tells.
func withoutURL(err error) error {
	if told := (*url.Error)(nil); errors.As(err, &told) {
		return told.Err
	}
	return err
}

// ask returns a sound answer, to a question about a user.
func (h *hook) ask(text []byte, user string) (answer, error) {
	ctx, cancel := context.WithTimeout(h.life, h.Timeout)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return answer{}, fmt.Errorf("%d questions wait for it already", hooksAtOnce)
	}
	body, err := h.post(ctx, text)
	if ctx.Err() != nil {
		return answer{}, fmt.Errorf("it does not answer within %v", h.Timeout)
	}
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("its answer cannot be read: %w", err)
	}
	if a.User != "" {
		user = a.User
	}
	switch {
	case a.Result == "deny" || a.Result == "ignore":
		return a, nil
	case a.Result != "allow":
		return answer{}, errors.New("its answer has no \"result\" that is allow, deny or ignore")
	case !validName(user):
		return answer{}, errors.New("it lets in somebody without a user name that is one; it must answer with \"user\"")
	case a.ExpireAt > lastSecond:
		return answer{}, errors.New("it lets somebody in until an \"expire_at\" in the year 10000 or later; that is in seconds since 1970, not milliseconds")
	case a.ExpireAt != 0 && !time.Now().Before(time.Unix(a.ExpireAt, 0)):
		return answer{}, errors.New("it lets somebody in until an \"expire_at\" that is over; compare the clocks")
	}
	return a, nil
}

// post returns the body of the answer, whose status is 200.
func (h *hook) post(ctx context.Context, text []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "dormouse")
	request.Header["Idempotency-Key"] = nil // not sent: it may be asked again if it has just hung up on another
	response, err := h.client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its answer has status %d, and not 200", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("its answer is longer than %d octets", maxAnswer)
	}
	return body, err
}

// name is what tells one hook's clients from another's.
func (h *Hook) name() string { return "hook " + h.URL }

// Stands is so as long as the hook is asked at all: nobody keeps what it could be
// asked again with.
func (h *hook) Stands(g *Grant) bool { return g.by == h.name() }
