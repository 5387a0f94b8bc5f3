package core

// This file is whose a session is.

// own notes that the session of c is user's, if that binds it. Most are nobody's, and cost
// nothing here. Broker.mu must be locked.
func (b *Broker) own(c *client, user string) {
	if user == "" || !b.o.BindUsers {
		delete(b.owners, c.id)
		return
	}
	b.owners[c.id] = user
}

// mayHave reports whether who may take over, resume or discard the session of
// c. Broker.mu and c must be locked.
func (b *Broker) mayHave(c *client, who Identity) bool {
	return !b.o.BindUsers || b.owners[c.id] == who.User || c.attached == nil && !c.lasts(false, b.o.Now())
}
