package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"dormouse/cmd/dormouse/admin"
)

// An operation are the flags of commands that ask a running server.
type operation struct {
	settings
	Socket string `placeholder:"PATH" help:"Admin socket of the server. By default admin.unix_socket of the configuration."`
}

// An inquiry is an operation with something to print.
type inquiry struct {
	operation
	Output string `short:"o" enum:"text,json" default:"text" help:"How to print: text for people, or json."`
}

// caller returns what asks the server.
func (o *operation) caller() (*admin.Caller, error) {
	if o.Socket != "" {
		return admin.Call(o.Socket), nil
	}
	c, err := o.load()
	if err != nil {
		return nil, err
	}
	return admin.Call(admin.SocketPath(c.Admin.UnixSocket)), nil
}

// ask carries out a request and has take read the answer. How it fails has an
// exit status.
func (o *operation) ask(method, path string, query url.Values, take func(io.Reader) error) error {
	c, err := o.caller()
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	body, err := c.Do(ctx, method, path, query)
	var unreachable *admin.Unreachable
	var problem *admin.Problem
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &unreachable):
		return &failure{statusUnreachable, err}
	case errors.As(err, &problem) && problem.Status == http.StatusBadRequest:
		return &failure{statusUsage, err}
	case err != nil:
		return err
	}
	defer body.Close()
	if err := take(body); err != nil {
		return fmt.Errorf("the server's answer breaks off: %w", err)
	}
	return nil
}

// show prints the answer to a request for a list of T, in JSON as it comes, or
// else a line for each element under a headline. It returns how many there are.
func show[T any](q *inquiry, out io.Writer, path string, query url.Values, headline string, line func(T) string) (n int, err error) {
	err = q.ask(http.MethodGet, path, query, func(body io.Reader) error {
		if q.Output == "json" {
			n, err = copyList(out, body)
			return err
		}
		var text bytes.Buffer // nothing is printed of half an answer
		table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, headline)
		n, err = each(body, func(e T) error {
			_, err := fmt.Fprintln(table, line(e))
			return err
		})
		if err != nil {
			return err
		}
		table.Flush()
		_, err = text.WriteTo(out)
		return err
	})
	return n, err
}

// copyList copies a JSON array, an element a line.
func copyList(out io.Writer, body io.Reader) (n int, err error) {
	w := bufio.NewWriter(out)
	between := "["
	n, err = each(body, func(e json.RawMessage) error {
		w.WriteString(between)
		between = ",\n"
		_, err := w.Write(e)
		return err
	})
	if err != nil {
		return n, errors.Join(err, w.Flush())
	}
	if n == 0 {
		w.WriteString("[")
	}
	w.WriteString("]\n")
	return n, w.Flush()
}

// each has take look at each element of a JSON array, and returns how many
// there are.
func each[T any](body io.Reader, take func(T) error) (n int, err error) {
	d := json.NewDecoder(body)
	if _, err := d.Token(); err != nil { // the bracket
		return 0, err
	}
	for ; d.More(); n++ {
		var e T
		if err := d.Decode(&e); err != nil {
			return n, err
		}
		if err := take(e); err != nil {
			return n, err
		}
	}
	_, err = d.Token() // the other one
	return n, err
}

// cells are a line of a table.
func cells(of ...any) string {
	texts := make([]string, len(of))
	for i, c := range of {
		texts[i] = fmt.Sprint(c)
	}
	return strings.Join(texts, "\t")
}

// cell is a text of somebody else's in a table: quoted if it could be taken
// for anything but itself, or act upon the terminal, and cut if it is so long
// that it would push all others off.
func cell(text string) string {
	if len(text) > maxCell {
		return quoted(strings.ToValidUTF8(text[:maxCell], "")) + "…"
	}
	return quoted(text)
}

// maxCell is the longest text in a table, in octets. A column is as wide as its
// longest, and a client may call itself 65535 octets.
const maxCell = 128

// quoted is a text of somebody else's in full.
func quoted(text string) string {
	if text == "" {
		return "-"
	}
	for _, r := range text {
		if r == ' ' || r == '"' || r == '…' || !unicode.IsPrint(r) {
			return strconv.Quote(text)
		}
	}
	if text == "-" {
		return strconv.Quote(text)
	}
	return text
}

// moment is a time in a table, where people look at their own clock.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.RFC3339)
}
