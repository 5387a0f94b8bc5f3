package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"golang.org/x/term"

	"dormouse/core/auth"
)

// A passwdCmd keeps a password file that Mosquitto can read, too.
type passwdCmd struct {
	Create passwdCreateCmd `cmd:"" help:"Make a file that lets nobody in yet."`
	Add    passwdAddCmd    `cmd:"" help:"Add a user, or give it another password."`
	Del    passwdDelCmd    `cmd:"" help:"Delete a user."`
	Verify passwdVerifyCmd `cmd:"" help:"Tell by exit status 0 or 5 whether a user has a password."`
}

type passwdCreateCmd struct {
	File string `arg:"" help:"The file to make."`
}

// Run makes a file for the eyes of its owner.
func (c *passwdCreateCmd) Run() error {
	f, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; add a user with: dormouse passwd add %s USER", c.File, c.File)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// A login is a user and where its password comes from.
type login struct {
	File     string  `arg:"" help:"The password file."`
	User     string  `arg:"" help:"The user's name."`
	Password *octets `short:"b" placeholder:"PASSWORD" xor:"source" help:"The password. While the command runs, other users of the machine can see it."`
	Stdin    bool    `xor:"source" help:"Read the password from standard input, where it is a line. So it is if that is no terminal."`
}

type passwdAddCmd struct {
	login
	Hash string `short:"H" enum:"sha512-pbkdf2,argon2id" default:"sha512-pbkdf2" help:"How to hash it: sha512-pbkdf2, which all Mosquittos since 2.0 read, or argon2id, which those since 2.1 do."`
}

// Run asks for the password, twice of people, and keeps its hash.
func (c *passwdAddCmd) Run(s *streams) error {
	if err := auth.ValidUser(c.User); err != nil {
		return &failure{statusUsage, err}
	}
	if _, err := auth.ReadFile(c.File); err != nil { // before anyone types anything
		return err
	}
	password, err := c.password(s, true)
	if err != nil {
		return err
	}
	h := auth.NewHash(auth.Schemes[c.Hash], password)
	return changePasswords(c.File, func(f *auth.File) error {
		f.Set(c.User, h)
		return nil
	})
}

// changePasswords changes a password file, one process at a time.
func changePasswords(name string, change func(*auth.File) error) error {
	return alone(name, func() error {
		f, err := auth.ReadFile(name)
		if err != nil {
			return err
		}
		if err := change(f); err != nil {
			return err
		}
		return replaceFile(name, f.Text())
	})
}

type passwdDelCmd struct {
	File string `arg:"" help:"The password file."`
	User string `arg:"" help:"The user's name."`
}

// Run deletes the user's line.
func (c *passwdDelCmd) Run() error {
	if _, err := auth.ReadFile(c.File); err != nil {
		return err
	}
	return changePasswords(c.File, func(f *auth.File) error {
		if !f.Remove(c.User) {
			return fmt.Errorf("%s has no user %q", c.File, c.User)
		}
		return nil
	})
}

type passwdVerifyCmd struct{ login }

// Run fails with statusRefused where the server would refuse.
func (c *passwdVerifyCmd) Run(s *streams) error {
	f, err := auth.ReadFile(c.File)
	if err != nil {
		return err
	}
	password, err := c.password(s, false)
	if err != nil {
		return err
	}
	if !f.Matches(c.User, password) {
		return &failure{statusRefused, auth.ErrBad}
	}
	return nil
}

// password returns the password, which is asked for again to be sure.
func (c *login) password(s *streams, again bool) ([]byte, error) {
	var password []byte
	terminal, isFile := s.in.(*os.File)
	switch {
	case c.Password != nil:
		password = []byte(*c.Password)
	case isFile && !c.Stdin && term.IsTerminal(int(terminal.Fd())):
		var err error
		if password, err = prompt(terminal, s.err, "Password: "); err != nil {
			return nil, err
		}
		if again {
			second, err := prompt(terminal, s.err, "Once more: ")
			if err != nil {
				return nil, err
			}
			if !bytes.Equal(password, second) {
				return nil, errors.New("the two passwords differ; nothing is changed")
			}
		}
	default:
		line, err := bufio.NewReader(io.LimitReader(s.in, maxPassword+2)).ReadString('\n')
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("reading the password: %w", err)
		}
		password = []byte(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
	}
	switch {
	case len(password) == 0:
		return nil, usage("the password is empty; give one")
	case len(password) > maxPassword:
		return nil, usage("the password is longer than %d octets, the most that MQTT can carry", maxPassword)
	}
	return password, nil
}

// maxPassword is the longest password in CONNECT, MQTT 5 §3.1.3.6.
const maxPassword = math.MaxUint16

// prompt asks on a terminal, which does not show the answer.
func prompt(terminal *os.File, ask io.Writer, text string) ([]byte, error) {
	fmt.Fprint(ask, text)
	answer, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(ask)
	if err != nil {
		return nil, fmt.Errorf("reading the password: %w", err)
	}
	return answer, nil
}
