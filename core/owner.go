package core

// This file is whose a session is.

// own notes that the session of c is user's. Most are nobody's, and cost
// nothing here. Broker.mu must be locked.
func (b *Broker) own(c *client, user string) {
	if user == "" {
		delete(b.owners, c.id)
		return
	}
	b.owners[c.id] = user
}

// mayHave reports whether who may take over, resume or discard the session of
// c. Broker.mu and c must be locked.
func (b *Broker) mayHave(c *client, who Identity) bool {
	lasts := c.attached != nil || c.lasts(b.o.Now())
	return !b.o.BindUsers || !lasts || b.owners[c.id] == who.User
}
