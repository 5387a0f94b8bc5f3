package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"dormouse/configs/strict"
)

// reload reads again what may change while the server runs: the configuration,
// of which it takes over config.Reloaded, and certificates and passwords. If any
// of it cannot be read, or is not as it must be, everything stays as it was; the
// log says so, too. Who would not be let in by now is parted with, and whoever stays
// has no more than the rules allow once it returns. restart are the keys that would be others after a restart.
func (s *server) reload() (restart []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if restart, err = s.readAgain(); err != nil {
		s.log.Error().Err(brief(err)).Str("event", "reload_failed").Msg("nothing is reloaded; what held before still holds")
		return nil, err
	}
	s.mqtt.Recheck()
	s.broker.Recheck()
	s.log.Info().Str("event", "reloaded").Msg("files read again")
	if len(restart) > 0 {
		s.log.Warn().Str("event", "restart_needed").Strs("keys", restart).Msg("the configuration says other than holds; restart the server to have it hold")
	}
	s.warnOfFiles()
	return restart, nil
}

// brief is err as the log may have it: without lines of files, which may not be
// what they were taken for.
func brief(err error) error {
	var ps strict.Problems
	if errors.As(err, &ps) {
		return errors.New(ps.Brief())
	}
	return err
}

// readAgain puts all of it to use, or nothing, and returns which keys a restart
// would change. Passwords come last of what may fail, since they are in use once
// they are read.
func (s *server) readAgain() (restart []string, err error) {
	apply, err := reread(s.certificates)
	if err != nil {
		return nil, err
	}
	prove, err := proveAgain(s.secured)
	if err != nil {
		return nil, err
	}
	next, err := s.load()
	if err != nil {
		return nil, err
	}
	now, restart := s.config.Reload(next)
	if err := now.Check(); err != nil && len(restart) > 0 { // what is open stays so, and may not go with the rest
		return nil, fmt.Errorf("with %s, which a reload does not change: %w", strings.Join(restart, ", "), err)
	}
	if bound := s.binds(); bound != coreOptions(now, s.log).BindUsers {
		return nil, errors.New("auth.client_id.bind is of use from a restart on when the first of auth.providers comes, or the last goes; restart the server")
	}
	if err := s.auth.Reload(authOptions(now)); err != nil {
		return nil, err
	}
	apply()
	prove()
	s.access.goBy(now)
	s.config = now
	return restart, nil
}

// binds reports whether sessions belong to users, as they have since the start.
func (s *server) binds() bool { return coreOptions(s.config, s.log).BindUsers }

// warnOfFiles tells of files that are as they should not be, which is no
// reason not to start: password files that everyone may read, since Mosquitto
// has them, too, and certificates whose time it is not.
func (s *server) warnOfFiles() {
	for _, file := range s.auth.Exposed() {
		s.log.Warn().Str("event", "passwords_exposed").Str("file", file).Msg(exposedAdvice)
	}
	now := time.Now()
	for _, c := range s.certificates {
		c.warn(s.log, now)
	}
	for _, d := range s.secured {
		d.warn(s.log, now)
	}
}

const exposedAdvice = "every user of this machine may read the file and try passwords on its hashes; run: chmod o-r"
