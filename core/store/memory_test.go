package store_test

import (
	"testing"

	"dormouse/core/store"
	"dormouse/core/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() store.Store {
		m := store.NewMemory()
		return func() store.Store { return m }
	})
}
