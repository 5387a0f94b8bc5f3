package store

// Volatile is the Store that keeps nothing: core's own memory is the only
// copy, and an acknowledgement promises no more than that. It answers at
// once, on the caller's goroutine.
type Volatile struct{}

func (Volatile) Write(...Fact) error         { return nil }
func (Volatile) Sync(then func(error))       { then(nil) }
func (Volatile) Follow(then func(error))     { then(nil) }
func (Volatile) Load(func(Fact) error) error { return nil }
func (Volatile) Close() error                { return nil }
