package main

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
	"dormouse/mqttsn/gateway"
)

// newLog returns the log that c asks for, written to w. One event a line; the
// field "event" is a stable word. Both formats escape what clients put in it.
func newLog(c *config.Config, w io.Writer) zerolog.Logger {
	f, isFile := w.(*os.File)
	if c.Log.Format == "console" || c.Log.Format == "auto" && isFile && isatty.IsTerminal(f.Fd()) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !isFile || os.Getenv("NO_COLOR") != ""}
	} else {
		w = printable{w}
	}
	level := map[string]zerolog.Level{
		"debug": zerolog.DebugLevel, "info": zerolog.InfoLevel,
		"warn": zerolog.WarnLevel, "error": zerolog.ErrorLevel,
	}[c.Log.Level]
	node := c.Node.ID
	if node == "" {
		node, _ = os.Hostname() // without one the field is left empty
	}
	return zerolog.New(w).Level(level).With().Timestamp().Str("node", node).Logger()
}

// noticeLevels are those of what a gateway notices. Going to sleep is a
// sensor's daily life.
var noticeLevels = map[gateway.NoticeKind]zerolog.Level{
	gateway.ClientConnected: zerolog.InfoLevel,
	gateway.ClientAsleep:    zerolog.DebugLevel,
	gateway.ClientMoved:     zerolog.InfoLevel,
	gateway.ClientGone:      zerolog.InfoLevel,
	gateway.HijackAttempt:   zerolog.WarnLevel,
}

// noticeLog writes a gateway's notices to log.
func noticeLog(log zerolog.Logger) func(gateway.Notice) {
	return func(n gateway.Notice) {
		e := log.WithLevel(noticeLevels[n.Kind]).Str("event", n.Kind.String()).Str("client", n.ClientID)
		if n.User != "" {
			e.Str("user", n.User)
		}
		e.Str("remote", n.Remote)
		if n.Reason != 0 {
			e.Stringer("reason", n.Reason)
		}
		if n.Skipped > 0 {
			e.Uint64("skipped", n.Skipped)
		}
		e.Send()
	}
}
