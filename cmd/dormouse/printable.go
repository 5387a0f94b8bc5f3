package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// A printable writes lines of JSON, and escapes in them what zerolog leaves as it
// is and a terminal does not: U+0080 to U+009F, of which some terminals take
// U+009B for the start of an escape sequence, and what changes the direction of
// text. In JSON nothing but strings has such.
type printable struct{ io.Writer }

func (p printable) Write(line []byte) (int, error) {
	if bytes.IndexFunc(line, steers) < 0 {
		return p.Writer.Write(line)
	}
	var safe []byte
	for _, r := range string(line) {
		if steers(r) {
			safe = fmt.Appendf(safe, `\u%04x`, r)
		} else {
			safe = utf8.AppendRune(safe, r)
		}
	}
	if _, err := p.Writer.Write(safe); err != nil {
		return 0, err
	}
	return len(line), nil
}

// steers reports whether r does something to a terminal beyond being shown.
func steers(r rune) bool {
	return r > unicode.MaxASCII && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}
