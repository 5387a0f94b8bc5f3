package main

// reload reads again what may change while the server runs. What cannot be
// read leaves everything as it was; the log says so.
func (s *server) reload() {
	if err := s.auth.Reload(); err != nil {
		s.log.Error().Err(err).Str("event", "reload_failed").Msg("nothing is reloaded; what held before still holds")
		return
	}
	s.log.Info().Str("event", "reloaded").Msg("files read again")
	s.warnOfExposed()
}

// warnOfExposed tells of password files that everyone may read. Mosquitto has
// them, too, so that this is no reason not to start.
func (s *server) warnOfExposed() {
	for _, file := range s.auth.Exposed() {
		s.log.Warn().Str("event", "passwords_exposed").Str("file", file).Msg(exposedAdvice)
	}
}

const exposedAdvice = "every user of this machine may read the file and try passwords on its hashes; run: chmod o-r"
