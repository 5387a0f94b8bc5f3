package auth

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadKeys(t *testing.T) {
	name := write(t, "# sensors of the north", "", "sensor1:0123456789abcdef", "sensor 2:00112233445566778899AABBCCDDEEFF\r", "  sensor3:"+strings.Repeat("ab", 64))
	k, err := ReadKeys(name)
	if err != nil {
		t.Fatal(err)
	}
	if k.Len() != 3 || k.Exposed || k.Short != 1 {
		t.Errorf("%d keys, exposed %v, %d of them short; want 3 that are not, and 1", k.Len(), k.Exposed, k.Short)
	}
	for identity, want := range map[string]string{"sensor1": "\x01\x23\x45\x67\x89\xab\xcd\xef", "sensor3": strings.Repeat("\xab", 64)} {
		if key, known := k.Key([]byte(identity)); !known || string(key) != want {
			t.Errorf("the key of %s is %x, %v", identity, key, known)
		}
	}
	for _, nobody := range []string{"", "sensor", "sensor11", "# sensors of the north"} {
		if key, known := k.Key([]byte(nobody)); known || key != nil {
			t.Errorf("%q has the key %x", nobody, key)
		}
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if k, err := ReadKeys(name); err != nil || !k.Exposed {
		t.Errorf("a file for everyone: %v, %v", k, err)
	}
	if k, err := ReadKeys(write(t, "# nobody yet")); err != nil || k.Len() != 0 {
		t.Errorf("a file without keys: %v", err)
	}
}

// TestBadKeys: what is wrong is said with its line, all of it, and no key is
// told.
func TestBadKeys(t *testing.T) {
	const secret = "5ec2e7"
	name := write(t, "sensor1:0123456789abcdef", "no colon "+secret, ":"+secret+"0123456789", "sensor2:"+secret+"0123456789z", "sensor3:"+secret,
		"sensor4:"+strings.Repeat(secret, 22), "sensor1:"+secret+"0123456789", "sen\x01sor:0123456789abcdef",
		strings.Repeat("s", 129)+":0123456789abcdef", "sensor5:"+secret+"012345678")
	_, err := ReadKeys(name)
	if err == nil {
		t.Fatal("it was read")
	}
	for _, want := range []string{":2: there is no colon", ":3: the identity has 0 octets", ":4: the key of \"sensor2\" is not", ":5: the key of \"sensor3\" has 3 octets",
		":6: the key of \"sensor4\" has 66 octets", ":7: identity \"sensor1\" is in line 1 already", ":8: identity \"sen\\x01sor\"", ":9: the identity has 129 octets", ":10: the key of \"sensor5\" is not"} {
		if !strings.Contains(err.Error(), name+want) {
			t.Errorf("%q is not said in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("a key is told in\n%v", err)
	}
	if _, err := ReadKeys(write(t, strings.Repeat("x\n", 1000))); err == nil || strings.Count(err.Error(), "\n") >= maxProblems {
		t.Errorf("a thousand bad lines: %v", err)
	}
}

// TestHostileIdentities: an identity that could be taken for something else, or
// could not be told from another, is refused where it stands.
func TestHostileIdentities(t *testing.T) {
	const key = ":000102030405060708090a0b0c0d0e0f"
	for identity, want := range map[string]string{
		"":                              "the identity has 0 octets",
		strings.Repeat("s", 64<<10):     "it is longer than",
		strings.Repeat("s", 129):        "the identity has 129 octets",
		"sen\x00sor":                    "cannot be printed",
		"sen\x1b[2Jsor":                 "cannot be printed",
		"sen\u0085sor":                  "cannot be printed",
		"sen\xffsor":                    "cannot be printed",
		"sen\nsor":                      "there is no colon",
		"known":                         "in line 1 already",
		" known":                        "in line 1 already",
		"sensor:aa":                     "is not an even number of hexadecimal digits",
		"sensor:" + key[1:] + "\nempty": "the key of \"empty\" has 0 octets",
	} {
		line := identity + key
		if strings.HasSuffix(identity, "empty") {
			line = identity + ":"
		}
		_, err := ReadKeys(write(t, "known"+key, line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", identity, err, want)
		}
	}
	k, err := ReadKeys(write(t, "{clientid}"+key, "#"+key, "+/x"+key))
	if err != nil {
		t.Fatal(err)
	}
	if _, known := k.Key([]byte("{clientid}")); !known || k.Len() != 2 {
		t.Errorf("%d keys; want those of {clientid} and +/x, by their letters", k.Len())
	}
}

// TestNoKeys: what is no file of keys is refused, and nobody waits for a pipe.
func TestNoKeys(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "none"): "there is no such file",
		pipe:                       "it is not a file",
		dir:                        "it is not a file",
	} {
		if _, err := ReadKeys(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
