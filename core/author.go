package core

import "encoding/binary"

// This file is how the store remembers who retained a message or left a will,
// so that access rules can be asked about it again, also after a restart.

// author is id but for the client id, which is kept anyway: each field behind
// its length. That of nobody is empty.
func (id Identity) author() string {
	fields := [...]string{id.User, id.Roles, id.Edge, id.Listener, id.Remote}
	if fields == [len(fields)]string{} {
		return ""
	}
	b := make([]byte, 0, len(fields)+len(id.User)+len(id.Roles)+len(id.Edge)+len(id.Listener)+len(id.Remote))
	for _, f := range fields {
		b = append(binary.AppendUvarint(b, uint64(len(f))), f...)
	}
	return string(b)
}

// authorOf undoes author. Of what it cannot read it makes nobody: the store has
// sums over all it keeps.
func authorOf(clientID, author string) Identity {
	id := Identity{ClientID: clientID}
	rest := []byte(author)
	for _, f := range [...]*string{&id.User, &id.Roles, &id.Edge, &id.Listener, &id.Remote} {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return Identity{ClientID: clientID}
		}
		*f, rest = string(rest[size:size+int(n)]), rest[size+int(n):]
	}
	return id
}

// signed is the author of what is to be kept, if anybody will ask.
func (b *Broker) signed(who Identity, m *Message) string {
	if !m.Retain || b.o.Authorize == nil {
		return ""
	}
	return who.author()
}

// stands reports whether who retained k may still publish it. What the broker
// says of itself stands. The caller holds retained.mu.
func (b *Broker) stands(k *keepsake) bool {
	return !counted(k.letter) || b.publishes(authorOf(k.Publisher, k.author), &k.Message, OnReplay)
}
