package main

import "time"

// reload reads again what may change while the server runs: certificates and
// passwords. If any of it cannot be read, everything stays as it was; the log
// says so, too.
func (s *server) reload() error {
	if err := s.rereadFiles(); err != nil {
		s.log.Error().Err(err).Str("event", "reload_failed").Msg("nothing is reloaded; what held before still holds")
		return err
	}
	s.log.Info().Str("event", "reloaded").Msg("files read again")
	s.warnOfFiles()
	return nil
}

// rereadFiles puts all files to use, or none. Passwords come last of what may
// fail, since they are in use once they are read.
func (s *server) rereadFiles() error {
	apply, err := reread(s.certificates)
	if err != nil {
		return err
	}
	if err := s.auth.Reload(); err != nil {
		return err
	}
	apply()
	return nil
}

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
}

const exposedAdvice = "every user of this machine may read the file and try passwords on its hashes; run: chmod o-r"
