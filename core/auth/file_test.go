package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Lines that other programs have written, and what the password is.
var foreign = []struct{ by, password, line string }{
	{"mosquitto_passwd 2.0.11", "secret",
		"ann:$7$101$GbOnfrWsy5JSwqId$y33jKDv5wM8ehC5pzmutcbVJkMUJWi9ytxRHRRGmkUhrx5d/1dWtufWeNq7f3sZMhNWJmLn43F+GrzWWEdi3Eg=="},
	{"mosquitto_passwd 2.0.11", "p w:d$",
		"bob:$7$101$bgq+ygFiW5Tez/zI$FEEBNY63xDYTBURA5BnbH2fNyLVSFLpRpZAL2MXtK/5k6sa8yN23KT+VV9KznNdQw2IZKVwXW/0NFlZUhALaqg=="},
	{"mosquitto_passwd 2.0.11 -H sha512", "secret",
		"cat:$6$8zFMLxhbHxkPVTtt$KzgDiQjsjAFayjQ8RkNZ4DvLzybLCaUIQNfzEB7WEY8An+jijW2gu2H9mTC/mMWcmGj6CZvqzDLjf6+3ln2haQ=="},
	{"the program argon2", "password",
		"dan:$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"the program argon2, at Mosquitto 2.1's cost", "p w",
		"eve:$argon2id$v=19$m=47104,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$0mi3fH4mIQVsj/9kxvyihyaQvporKi8v2fsDB8o35eMGWAfR+lIygMRKWMdnABTy41SH4GswckDpOhvCPyUwPg"},
}

// write writes a password file of the test's own.
func write(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "passwd")
	rewrite(t, name, lines...)
	return name
}

func rewrite(t *testing.T, name string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestForeign reads what other programs write, and writes it the same.
func TestForeign(t *testing.T) {
	for _, tt := range foreign {
		f, err := ReadFile(write(t, tt.line))
		if err != nil {
			t.Errorf("a line of %s: %v", tt.by, err)
			continue
		}
		user, _, _ := strings.Cut(tt.line, ":")
		if !f.Matches(user, []byte(tt.password)) {
			t.Errorf("the password of %s by %s does not match", user, tt.by)
		}
		for _, wrong := range []string{"", tt.password + "x", tt.password[1:], "Secret"} {
			if f.Matches(user, []byte(wrong)) {
				t.Errorf("%q is taken for the password of %s by %s", wrong, user, tt.by)
			}
		}
		if got := string(f.Text()); got != tt.line+"\n" {
			t.Errorf("the line of %s is written as\n%swant\n%s", tt.by, got, tt.line)
		}
	}
}

// TestEditorsOfWindows leave a mark before the first line and blanks behind each.
func TestEditorsOfWindows(t *testing.T) {
	f, err := ReadFile(write(t, byteOrderMark+foreign[0].line+"\r"))
	if err != nil || !f.Matches("ann", []byte("secret")) || string(f.Text()) != foreign[0].line+"\n" {
		t.Errorf("read as %q, %v", f.Text(), err)
	}
}

// TestEdit keeps the order, comments and the lines of others.
func TestEdit(t *testing.T) {
	ann, cat := foreign[0].line, foreign[2].line
	f, err := ReadFile(write(t, "# ours", "", ann, "  "+strings.Replace(cat, ":", " : ", 1)+" \r", "# end"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Remove("") || f.Matches("", nil) || f.Remove("nobody") {
		t.Error("a user was found that is not there")
	}
	for _, s := range Schemes {
		f.Set("ann", NewHash(s, []byte("new")))
		f.Set("eve", NewHash(s, []byte("eve's")))
		name := write(t, strings.TrimSuffix(string(f.Text()), "\n"))
		again, err := ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !again.Matches("ann", []byte("new")) || again.Matches("ann", []byte("secret")) || !again.Matches("eve", []byte("eve's")) {
			t.Errorf("what was set is not in\n%s", f.Text())
		}
	}
	if !f.Remove("ann") || !f.Remove("eve") {
		t.Error("a user was not found")
	}
	if got, want := string(f.Text()), "# ours\n\n"+cat+"\n# end\n"; got != want {
		t.Errorf("the file is\n%swant\n%s", got, want)
	}
}

// TestHostile21 refuses files that do not say clearly who may connect, with
// the line and what to do, and shows nothing that could be a password.
func TestHostile21(t *testing.T) {
	ann := foreign[0].line
	hash := strings.TrimPrefix(ann, "ann:")
	const secret = "hunter2"
	for _, tt := range []struct{ name, text, want string }{
		{"plain password", "bob:" + secret, `FILE:1: user "bob": the password is not hashed; set the password with: dormouse passwd add`},
		{"no password", "bob:", `FILE:1: user "bob": the password is not hashed; set the password with: dormouse passwd add`},
		{"no colon", secret, `FILE:1: there is no colon; a line is a user, a colon and a hash, as "dormouse passwd add" writes it`},
		{"blank user", ann + "\n:" + hash, `FILE:2: the user name is empty; give one`},
		{"user of blanks", "  :" + hash, `FILE:1: the user name is empty; give one`},
		{"user twice", ann + "\n# again\n" + ann, `FILE:3: user "ann" is in line 1 already; keep one`},
		{"long line", "bob:" + strings.Repeat(secret, 1000), `FILE:1: it is longer than 4096 octets; a user and a hash are not`},
		{"unprintable user", "a\x1b[2J:" + hash, `FILE:1: user name "a\x1b[2J" has characters in it that cannot be printed; leave them out`},
		{"user that is not UTF-8", "a\xff:" + hash, `FILE:1: user name "a\xff" has characters in it that cannot be printed; leave them out`},
		{"bcrypt", "bob:$2b$12$" + secret, `FILE:1: user "bob": the hash is of an unknown type; known are $7$, $6$ and $argon2id$, as Mosquitto writes them; set the password with: dormouse passwd add`},
		{"crypt(3)", "bob:$6$rounds=5000$" + secret + "$" + secret, `damaged, or not as Mosquitto writes it`},
		{"crypt(3), too", "bob:$6$saltsalt$" + strings.Repeat("a", 86), `damaged, or not as Mosquitto writes it`},
		{"cut off", ann[:len(ann)-8], `damaged`},
		{"something behind", ann + ":" + secret, `damaged`},
		{"no iterations", strings.Replace(ann, "$101$", "$0$", 1), `damaged`},
		{"odd iterations", strings.Replace(ann, "$101$", "$-101$", 1), `damaged`},
		{"iterations without end", strings.Replace(ann, "$101$", "$4000000000$", 1), `cost too much`},
		{"memory without end", strings.Replace(foreign[3].line, "m=65536", "m=4000000000", 1), `cost too much`},
		{"memory for none", strings.Replace(foreign[3].line, "m=65536", "m=1", 1), `damaged`},
		{"odd parameters", strings.Replace(foreign[3].line, "t=2", "t=+2", 1), `damaged`},
		{"other argon2", strings.Replace(foreign[3].line, "v=19", "v=16", 1), `damaged`},
		{"short salt", strings.Replace(ann, "GbOnfrWsy5JSwqId", "GbOn", 1), `damaged`},
	} {
		name := write(t, tt.text)
		f, err := ReadFile(name)
		var ps Problems
		if f != nil || !errors.As(err, &ps) || len(ps) != 1 {
			t.Errorf("%s: ReadFile says %v, want one problem", tt.name, err)
			continue
		}
		if got := strings.Replace(err.Error(), name, "FILE", 1); !strings.Contains(got, tt.want) {
			t.Errorf("%s: ReadFile says\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), hash) {
			t.Errorf("%s: a password or hash is in %q", tt.name, err)
		}
	}
	if _, err := ReadFile(write(t, strings.Repeat("x\n", 1000))); strings.Count(err.Error(), "\n") != maxProblems-1 {
		t.Errorf("of 1000 bad lines these are told:\n%v", err)
	}
}

// TestUnreadable says of each file that cannot be one what to do.
func TestUnreadable(t *testing.T) {
	missing, pipe := filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		missing:     "there is no such file; make one with: dormouse passwd create " + missing,
		t.TempDir(): "it is not a file",
		"/dev/null": "it is not a file",
		pipe:        "it is not a file", // and nobody writes to it
	} {
		if _, err := ReadFile(name); err == nil || !strings.HasPrefix(err.Error(), name+": "+want) {
			t.Errorf("ReadFile says %v, want %s", err, want)
		}
	}
	name := write(t, foreign[0].line)
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if f, err := ReadFile(name); err != nil || f.Exposed != want {
			t.Errorf("a file of mode %o: exposed %v, %v; want %v", mode, f.Exposed, err, want)
		}
	}
}

// FuzzFile: whatever a file holds, it is refused with words, or what is
// written of it reads the same.
func FuzzFile(f *testing.F) {
	for _, tt := range foreign {
		f.Add([]byte("# a\n\n" + tt.line + "\r\n"))
	}
	f.Add([]byte("a:$6$$\n:\n#"))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, problems := parseFile("f", text)
		if len(problems) > 0 {
			if problems.Error() == "" {
				t.Fatal("something is wrong but nothing is said")
			}
			return
		}
		written := first.Text()
		second, problems := parseFile("f", written)
		if len(problems) > 0 || string(second.Text()) != string(written) {
			t.Fatalf("%q is written as %q, which reads as %q, %v", text, written, second.Text(), problems)
		}
	})
}
