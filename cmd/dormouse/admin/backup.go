package admin

import (
	"net/http"
	"time"
)

// pieceTime is how long one who asks for a backup may take nothing of it: what
// it is made of stays on the disk meanwhile.
const pieceTime = time.Minute

// backup answers with a backup of what is kept, while all goes on.
func (s *Server) backup(w http.ResponseWriter, _ *http.Request) {
	if s.o.Backup == nil {
		answerProblem(w, http.StatusConflict, "nothing is on disk: durability.store is memory")
		return
	}
	w.Header().Set("Content-Type", "application/gzip")
	to := &patient{ResponseWriter: w, control: http.NewResponseController(w)}
	switch err := s.o.Backup(to); {
	case err == nil:
		s.o.Log.Info().Str("event", "backup_created").Int64("bytes", to.n).Msg("an operator has made a backup")
	case to.n == 0:
		answerProblem(w, http.StatusInternalServerError, "%v", err)
	default:
		s.o.Log.Warn().Err(err).Str("event", "backup_failed").Msg("a backup that an operator has asked for breaks off")
		breakOff()
	}
}

// A patient writer gives whoever reads it a while for each piece.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	n       int64 // octets written
}

func (p *patient) Write(b []byte) (n int, err error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(pieceTime)); err != nil {
		return 0, err
	}
	n, err = p.ResponseWriter.Write(b)
	p.n += int64(n)
	return n, err
}
