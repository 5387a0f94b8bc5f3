package auth

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// A Hash is a password's, as Mosquitto writes it.
type Hash struct {
	Scheme
	salt, sum []byte
}

// equals reports whether two hashes are the same, salt and all.
func (h *Hash) equals(other *Hash) bool {
	return h.Scheme == other.Scheme && bytes.Equal(h.salt, other.salt) && bytes.Equal(h.sum, other.sum)
}

// A Scheme is how a hash is computed.
type Scheme struct {
	kind       kind
	iterations uint32 // PBKDF2's, or the time of argon2id
	memory     uint32 // KiB
	threads    uint8
}

type kind uint8

const (
	salted   kind = iota // $6$: SHA-512 of password and salt; not that of crypt(3)
	pbkdf                // $7$: PBKDF2 with HMAC-SHA-512
	argon2id             // $argon2id$, as in Mosquitto 2.1
)

// Schemes are those of new hashes, by the name that mosquitto_passwd has for
// them. DefaultScheme is what Mosquitto 2.0 can read.
//
// PBKDF2 has ten times the iterations of Mosquitto 2.1: about 5 ms of a core.
// More would delay a fleet that comes back at once, here and in a Mosquitto
// that shares the file, and save no password that can be guessed. Argon2id
// is as in Mosquitto 2.1: about 50 ms, and memory that an attacker needs, too.
var Schemes = map[string]Scheme{
	DefaultScheme: {kind: pbkdf, iterations: 10_000},
	"argon2id":    {kind: argon2id, iterations: 1, memory: 46 << 10, threads: 1},
}

const DefaultScheme = "sha512-pbkdf2"

// Octets of new hashes. Mosquitto 2.0 takes no other salt, nor another sum.
const (
	saltSize = 12
	sumSize  = sha512.Size
)

// NewHash returns the hash of a password with a salt of its own.
func NewHash(s Scheme, password []byte) Hash {
	h := Hash{Scheme: s, salt: make([]byte, saltSize)}
	if s.kind == argon2id {
		h.salt = make([]byte, 16) // RFC 9106 §3.1
	}
	rand.Read(h.salt)
	h.sum = s.derive(password, h.salt, sumSize)
	return h
}

// derive returns size octets; all but argon2id have sumSize of them.
func (s Scheme) derive(password, salt []byte, size int) []byte {
	switch s.kind {
	case argon2id:
		return argon2.IDKey(password, salt, s.iterations, s.memory, s.threads, uint32(size))
	case pbkdf:
		sum, err := pbkdf2.Key(sha512.New, string(password), salt, int(s.iterations), size)
		if err != nil {
			panic(err) // GODEBUG=fips140=only: it forbids Mosquitto's salts
		}
		return sum
	}
	h := sha512.New()
	h.Write(password)
	h.Write(salt)
	return h.Sum(nil)
}

// Matches reports whether h is the hash of password.
func (h *Hash) Matches(password []byte) bool {
	return subtle.ConstantTimeCompare(h.derive(password, h.salt, len(h.sum)), h.sum) == 1
}

// String returns what a password file has behind the colon.
func (h *Hash) String() string {
	code := base64.StdEncoding
	switch h.kind {
	case argon2id:
		code = base64.RawStdEncoding
		return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.iterations, h.threads,
			code.EncodeToString(h.salt), code.EncodeToString(h.sum))
	case pbkdf:
		return fmt.Sprintf("$7$%d$%s$%s", h.iterations, code.EncodeToString(h.salt), code.EncodeToString(h.sum))
	}
	return fmt.Sprintf("$6$%s$%s", code.EncodeToString(h.salt), code.EncodeToString(h.sum))
}

// What parseHash has to say. None shows what it read: it may be a password.
var (
	errPlain       = errors.New("the password is not hashed")
	errUnknownHash = errors.New("the hash is of an unknown type; known are $7$, $6$ and $argon2id$, as Mosquitto writes them")
	errNoHash      = errors.New("the hash is damaged, or not as Mosquitto writes it")
	errCost        = errors.New("the hash would cost too much to check")
)

// What one check may cost: about ten seconds, or 1 GiB.
const (
	maxIterations = 10_000_000
	maxMemory     = 1 << 20 // KiB
	maxPasses     = 100     // of argon2id over its memory
	maxThreads    = 64
)

// parseHash reads what String writes.
func parseHash(s string) (Hash, error) {
	f := strings.Split(s, "$")
	if len(f) < 3 || f[0] != "" {
		return Hash{}, errPlain
	}
	var h Hash
	var err error
	code := base64.StdEncoding.Strict()
	switch {
	case f[1] == "6" && len(f) == 4:
	case f[1] == "7" && len(f) == 5:
		h.Scheme, err = parsePBKDF(f[2])
	case f[1] == "argon2id" && len(f) == 6:
		code = base64.RawStdEncoding.Strict()
		h.Scheme, err = parseArgon(f[2], f[3])
	case f[1] == "6" || f[1] == "7" || f[1] == "argon2id":
		return Hash{}, errNoHash
	default:
		return Hash{}, errUnknownHash
	}
	if err != nil {
		return Hash{}, err
	}
	var badSalt, badSum error
	h.salt, badSalt = code.DecodeString(f[len(f)-2])
	h.sum, badSum = code.DecodeString(f[len(f)-1])
	sized := len(h.sum) == sumSize || h.kind == argon2id && 16 <= len(h.sum) && len(h.sum) < sumSize
	if badSalt != nil || badSum != nil || !sized || len(h.salt) < 8 || len(h.salt) > 64 {
		return Hash{}, errNoHash
	}
	return h, nil
}

func parsePBKDF(iterations string) (Scheme, error) {
	n, err := strconv.ParseUint(iterations, 10, 32)
	switch {
	case err != nil || n == 0:
		return Scheme{}, errNoHash
	case n > maxIterations:
		return Scheme{}, errCost
	}
	return Scheme{kind: pbkdf, iterations: uint32(n)}, nil
}

func parseArgon(version, parameters string) (Scheme, error) {
	s := Scheme{kind: argon2id}
	_, err := fmt.Sscanf(parameters, "m=%d,t=%d,p=%d", &s.memory, &s.iterations, &s.threads)
	canonical := fmt.Sprintf("m=%d,t=%d,p=%d", s.memory, s.iterations, s.threads)
	switch {
	case err != nil, parameters != canonical, version != fmt.Sprintf("v=%d", argon2.Version),
		s.iterations == 0, s.threads == 0, s.memory < 8*uint32(s.threads):
		return Scheme{}, errNoHash
	case s.memory > maxMemory || s.iterations > maxPasses || s.threads > maxThreads:
		return Scheme{}, errCost
	}
	return s, nil
}
