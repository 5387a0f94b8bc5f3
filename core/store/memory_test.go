package store_test

import (
	"testing"

	"dormouse/core/store"
	"dormouse/core/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func() storetest.Kind {
		m := store.NewMemory()
		return storetest.Kind{Open: func() store.Store { return m }}
	})
}
