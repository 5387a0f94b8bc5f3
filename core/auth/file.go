package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// A File is a password file as Mosquitto has it: a user and a hash a line,
// "#" before a comment. It keeps the order and the comments.
type File struct {
	lines []line

	// Exposed is whether every user of the machine may read it. Mosquitto and
	// its mosquitto_passwd make such files, so that it is no mistake to have
	// one, but what hashes can be read can be tried.
	Exposed bool
}

// A line has a user, or is a comment or blank.
type line struct {
	user string
	hash Hash
	text string // of a comment
}

// A Problem is what is wrong with a password file, and what to do about it. It
// holds nothing that could be a password.
type Problem struct {
	File    string
	Line    int // counted from 1; 0 for the file as a whole
	Message string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Problems are all that is wrong with password files, but for more than anyone
// reads.
type Problems []*Problem

func (ps Problems) Error() string {
	var all []string
	for _, p := range ps {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n")
}

const (
	maxFile     = 64 << 20 // octets: half a million users
	maxLine     = 4 << 10
	maxProblems = 20
)

// byteOrderMark is what some editors put before a text. It is no part of the
// first name.
const byteOrderMark = "\uFEFF"

// ReadFile reads a password file. Its error is Problems. A file without users
// lets nobody in.
func ReadFile(name string) (*File, error) {
	text, exposed, err := readText(name, "a password file", "dormouse passwd create")
	if err != nil {
		return nil, err
	}
	parsed, problems := parseFile(name, text)
	if len(problems) > 0 {
		return nil, problems
	}
	parsed.Exposed = exposed
	return parsed, nil
}

// readText reads the text of a file with secrets, of a kind that is made with
// some command, and reports whether every user of the machine may. Its error
// is Problems.
func readText(name, kind, with string) (text []byte, exposed bool, err error) {
	whole := func(format string, args ...any) error {
		return Problems{{File: name, Message: fmt.Sprintf(format, args...)}}
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // not to wait for who writes to a pipe
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, whole("there is no such file; make one with: %s %s", with, name)
	case errors.Is(err, fs.ErrPermission):
		return nil, false, whole("it may not be read by this user; change its owner or mode")
	case err != nil:
		return nil, false, whole("cannot be opened: %v", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, whole("cannot be read: %v", errors.Unwrap(err))
	}
	if !info.Mode().IsRegular() {
		return nil, false, whole("it is not a file; name one made by: %s", with)
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, false, whole("cannot be read: %v", errors.Unwrap(err))
	}
	if len(text) > maxFile {
		return nil, false, whole("it is longer than %d MiB; %s is not", maxFile>>20, kind)
	}
	return bytes.TrimPrefix(text, []byte(byteOrderMark)), info.Mode().Perm()&0o004 != 0, nil
}

// parseFile reads the text of a file of that name.
func parseFile(name string, text []byte) (*File, Problems) {
	f := new(File)
	var problems Problems
	seen := make(map[string]int)
	number := 0
	for t := range bytes.Lines(text) {
		number++
		l, err := parseLine(string(t))
		switch first := seen[l.user]; {
		case err != nil:
		case l.user == "":
		case first != 0:
			err = fmt.Errorf("user %q is in line %d already; keep one", l.user, first)
		default:
			seen[l.user] = number
		}
		if err != nil {
			problems = append(problems, &Problem{name, number, err.Error()})
			if len(problems) == maxProblems {
				break
			}
		}
		f.lines = append(f.lines, l)
	}
	return f, problems
}

// parseLine reads a line. Like Mosquitto, it takes no heed of blanks around a
// name or a hash; unlike it, it does not skip a line that it cannot read:
// whoever is in it would be locked out, or nobody be told.
func parseLine(text string) (line, error) {
	if len(text) > maxLine {
		return line{}, fmt.Errorf("it is longer than %d octets; a user and a hash are not", maxLine)
	}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || text[0] == '#' {
		return line{text: strings.TrimRight(text, "\r\n")}, nil
	}
	name, rest, ok := strings.Cut(trimmed, ":")
	if !ok {
		return line{}, errors.New("there is no colon; a line is a user, a colon and a hash, as \"dormouse passwd add\" writes it")
	}
	name = strings.TrimSpace(name)
	if err := ValidUser(name); err != nil {
		return line{}, err
	}
	h, err := parseHash(strings.TrimSpace(rest))
	if err != nil {
		return line{}, fmt.Errorf("user %q: %w; set the password with: dormouse passwd add", name, err)
	}
	return line{user: name, hash: h}, nil
}

// ValidUser says why a name cannot be that of a user in a file.
func ValidUser(name string) error {
	switch {
	case name == "":
		return errors.New("the user name is empty; give one")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("user name %q has characters in it that cannot be printed; leave them out", name)
	case strings.Contains(name, ":"):
		return fmt.Errorf("user name %q has a colon in it, which ends the name in the file; leave it out", name)
	case name[0] == '#':
		return fmt.Errorf("user name %q begins with \"#\", which makes a comment of it; begin with another", name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("user name %q has blanks around it, which the file does not keep; leave them out", name)
	case len(name) > maxLine/2:
		return fmt.Errorf("the user name has %d octets; it must be at most %d", len(name), maxLine/2)
	}
	return nil
}

// find returns the line of a user, or -1.
func (f *File) find(user string) int {
	return slices.IndexFunc(f.lines, func(l line) bool { return l.user == user })
}

// Set gives a user, whose name is valid, another hash, or adds it to the end.
func (f *File) Set(user string, h Hash) {
	if i := f.find(user); i >= 0 {
		f.lines[i].hash = h
		return
	}
	f.lines = append(f.lines, line{user: user, hash: h})
}

// Remove reports whether there was such a user.
func (f *File) Remove(user string) bool {
	i := f.find(user)
	if user == "" || i < 0 {
		return false
	}
	f.lines = slices.Delete(f.lines, i, i+1)
	return true
}

// Matches reports whether a user has that password.
func (f *File) Matches(user string, password []byte) bool {
	i := f.find(user)
	return user != "" && i >= 0 && f.lines[i].hash.Matches(password)
}

// Text returns the file as it is written.
func (f *File) Text() []byte {
	var b bytes.Buffer
	for _, l := range f.lines {
		if l.user == "" {
			b.WriteString(l.text + "\n")
			continue
		}
		b.WriteString(l.user + ":" + l.hash.String() + "\n")
	}
	return b.Bytes()
}
