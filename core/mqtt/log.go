package mqtt

import (
	"context"
	"log/slog"
	"slices"
)

// redact is the way of mochi's log into ours. What an operator should know
// this package logs itself, so only mochi's errors pass, and without the
// packets that it likes to log whole, passwords and payloads included.
type redact struct{ slog.Handler }

func secret(a slog.Attr) bool {
	switch a.Key {
	case "pk", "packet", "password", "username", "payload":
		return true
	}
	return false
}

func (h redact) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

func (h redact) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if !secret(a) {
			clean.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

func (h redact) WithAttrs(attrs []slog.Attr) slog.Handler {
	return redact{h.Handler.WithAttrs(slices.DeleteFunc(slices.Clone(attrs), secret))}
}

func (h redact) WithGroup(name string) slog.Handler { return redact{h.Handler.WithGroup(name)} }
