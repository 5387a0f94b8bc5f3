package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

// A keySet is the keys of an issuer, by a URL or from a file.
type keySet struct {
	url  string // empty: they do not change
	tell func(error)

	keys atomic.Pointer[[]issued] // nil: not known yet

	fetching sync.Mutex // guards what follows
	asked    time.Time  // when the issuer was, with or without an answer
}

// An issued key signs tokens.
type issued struct {
	id, algorithm string // of the token; empty: any
	key           any
}

// Why there is no key for a token.
var (
	errNoKeys     = errors.New("the issuer's keys are not known")
	errUnknownKey = errors.New("the issuer has no such key")
)

const (
	askAtMost    = 10 * time.Second // how often, whatever names of keys tokens make up
	askAtLeast   = time.Hour        // so that a key that is withdrawn goes
	askFor       = 5 * time.Second
	maxKeySet    = 1 << 20 // octets
	weakestRSA   = 2048    // bits
	maxRedirects = 3
)

// find returns the key of that name for signatures of that algorithm. It waits
// for the issuer if it must.
func (s *keySet) find(id, algorithm string) (any, error) {
	key, err := s.known(id, algorithm)
	if s.url == "" {
		return key, err
	}
	if err == nil {
		if s.fetching.TryLock() { // who asks does so for all
			if time.Since(s.asked) < askAtLeast {
				s.fetching.Unlock()
			} else {
				go func() {
					defer s.fetching.Unlock()
					s.ask()
				}()
			}
		}
		return key, nil
	}
	s.fetching.Lock()
	defer s.fetching.Unlock()
	if key, err = s.known(id, algorithm); err == nil || time.Since(s.asked) < askAtMost {
		return key, err
	}
	s.ask()
	return s.known(id, algorithm)
}

// known is find by what is known already.
func (s *keySet) known(id, algorithm string) (any, error) {
	keys := s.keys.Load()
	if keys == nil {
		return nil, errNoKeys
	}
	for _, k := range *keys {
		if k.id == id && (k.algorithm == "" || k.algorithm == algorithm) {
			return k.key, nil
		}
	}
	if id == "" && len(*keys) == 1 && ((*keys)[0].algorithm == "" || (*keys)[0].algorithm == algorithm) {
		return (*keys)[0].key, nil
	}
	return nil, errUnknownKey
}

// mayHave reports whether key is one of those that are known, if any are.
func (s *keySet) mayHave(key any) bool {
	keys := s.keys.Load()
	same := func(k issued) bool { return k.key.(interface{ Equal(crypto.PublicKey) bool }).Equal(key) }
	return keys == nil || slices.ContainsFunc(*keys, same)
}

// ask has the issuer say its keys, with fetching locked. What is known stays so
// if it does not.
func (s *keySet) ask() {
	s.asked = time.Now()
	keys, err := fetchKeys(s.url)
	if err != nil {
		s.tell(fmt.Errorf("the keys of tokens at %s: %w", place(s.url), withoutURL(err)))
		return
	}
	s.keys.Store(&keys)
}

var issuers = &http.Client{
	Timeout: askFor,
	CheckRedirect: func(to *http.Request, via []*http.Request) error {
		private := to.URL.Scheme == "https" || LocalHost(to.URL.Host) // nobody on the way can change what comes
		if len(via) > maxRedirects || to.URL.Scheme != via[0].URL.Scheme || !private {
			return errors.New("it leads elsewhere; name where the keys are")
		}
		return nil
	},
}

func fetchKeys(from string) ([]issued, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	answer, err := issuers.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxKeySet))
	if err != nil {
		return nil, err
	}
	return parseKeys(text)
}

// readKeySet is parseKeys of a file. Its error is Problems.
func readKeySet(name string) ([]issued, error) {
	text, _, err := readText(name, "a JSON Web Key Set", "curl JWKS_URL >")
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, Problems{{File: name, Message: err.Error()}}
	}
	return keys, nil
}

// parseKeys reads a JSON Web Key Set, RFC 7517. It leaves out what it does not
// know, as §5 has it, and what can sign nothing that may be believed: shared
// secrets, and what is short or for encryption.
func parseKeys(text []byte) (keys []issued, err error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("this is no JSON Web Key Set: %w", err)
	}
	for _, k := range set.Keys {
		if k.USE != "" && k.USE != jwkset.UseSig {
			continue
		}
		jwk, err := jwkset.NewJWKFromMarshal(k, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		switch key := jwk.Key().(type) {
		case *rsa.PublicKey:
			if key.N.BitLen() < weakestRSA {
				continue
			}
		case *ecdsa.PublicKey, ed25519.PublicKey:
		default:
			continue
		}
		keys = append(keys, issued{k.KID, string(k.ALG), jwk.Key()})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it that verifies signatures")
	}
	return keys, nil
}
