package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"dormouse/configs/strict"
	"dormouse/core/auth"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/sim"
)

// simKeys are the pre-shared keys of the devices of a plan that speak DTLS, by
// identity. Nil: none does.
type simKeys map[string][]byte

// keysOf reads or makes up the keys of p's devices. Keys that are made up are of
// use only if the server is ours. The error asks for statusUsage.
func keysOf(p *sim.Plan, ours bool) (simKeys, error) {
	var keys simKeys
	for _, g := range p.Groups {
		if g.DTLS == nil {
			continue
		}
		if keys == nil {
			keys = make(simKeys)
		}
		if err := keys.add(g, p.Seed, ours); err != nil {
			return nil, &failure{statusUsage, fmt.Errorf("groups.%s.dtls.%w", g.Name, err)}
		}
	}
	return keys, nil
}

// add adds the keys of a group.
func (k simKeys) add(g *sim.Group, seed uint64, ours bool) error {
	d := g.DTLS
	var file *auth.Keys
	switch {
	case d.KeyFile != "":
		var err error
		if file, err = auth.ReadKeys(d.KeyFile); err != nil {
			return fmt.Errorf("psk_file: %w", err)
		}
	case !ours:
		return errors.New("psk_file is not set, and no gateway knows keys that are made up; name its file of keys, or run with --serve")
	}
	missing, first := 0, ""
	for n := range g.Count {
		identity := g.Identity(n)
		if file == nil {
			k[identity] = madeUp(seed, identity)
			continue
		}
		key, known := file.Key([]byte(identity))
		if !known {
			if missing++; missing == 1 {
				first = identity
			}
			continue
		}
		k[identity] = key
	}
	if missing > 0 {
		return fmt.Errorf("psk_file: %s has no key for %d of %d devices, the first of them %q; add a line IDENTITY:KEY for each, or change dtls.identity",
			strict.Printable(d.KeyFile), missing, g.Count, first)
	}
	return nil
}

// madeUp is a key that is the same with each run of a seed.
func madeUp(seed uint64, identity string) []byte {
	mac := hmac.New(sha256.New, binary.BigEndian.AppendUint64(nil, seed))
	mac.Write([]byte(identity))
	return mac.Sum(nil)[:16]
}

// prove is what a device does a handshake with.
func (k simKeys) prove(h *sim.Handshake) (*handshake.Proof, error) {
	return &handshake.Proof{Identity: h.Identity, Key: k[h.Identity], WithoutCID: !h.Group.DTLS.CID, Retry: h.Group.DTLS.Retry}, nil
}

// write makes a file of them, as a server reads it.
func (k simKeys) write(name string) error {
	var text strings.Builder
	for _, identity := range slices.Sorted(maps.Keys(k)) {
		fmt.Fprintf(&text, "%s:%x\n", identity, k[identity])
	}
	return os.WriteFile(name, []byte(text.String()), 0o600)
}
