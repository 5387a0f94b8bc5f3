package auth

import (
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"
)

// users are those of all files.
type users struct {
	byName map[string]*user

	// nobody is whose password is checked for a name that is not here. It costs
	// what most users' do, and is none that anyone knows. Nil: there are no users.
	nobody *user

	exposed []string // files that every user of the machine may read
}

// A user has a password, and had it shown not long ago perhaps. That nothing
// else is remembered bounds what is.
type user struct {
	hash  Hash
	file  int // which it is in
	proof atomic.Pointer[proof]
}

// A proof says that a password was right.
type proof struct {
	mac   []byte
	until time.Time
}

// readUsers reads the files, of which the first that has a name decides.
func readUsers(files []string) (*users, error) {
	us := &users{byName: make(map[string]*user)}
	schemes := make(map[Scheme]int)
	var problems Problems
	for i, name := range files {
		f, err := ReadFile(name)
		var ps Problems
		if errors.As(err, &ps) {
			problems = append(problems, ps...)
			continue
		}
		if f.Exposed {
			us.exposed = append(us.exposed, name)
		}
		for _, l := range f.lines {
			if l.user != "" && us.byName[l.user] == nil {
				us.byName[l.user] = &user{hash: l.hash, file: i}
				schemes[l.hash.Scheme]++
			}
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	most := 0
	for s, n := range schemes {
		if n > most {
			most = n
			us.nobody = &user{hash: Hash{s, make([]byte, saltSize), make([]byte, sumSize)}}
		}
	}
	if us.nobody != nil {
		rand.Read(us.nobody.hash.salt)
		rand.Read(us.nobody.hash.sum)
	}
	return us, nil
}
