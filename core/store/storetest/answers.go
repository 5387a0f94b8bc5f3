package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"dormouse/core/store"
)

// answersInOrder: each Sync is answered once, in turn, and all of them before
// Close returns.
func answersInOrder(t *testing.T, open func() store.Store) {
	s := open()
	var answers []int
	for i := range 100 {
		if err := s.Write(&store.Session{ClientID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		s.Sync(func(err error) {
			if err != nil {
				t.Error(err)
			}
			answers = append(answers, i)
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(answers) != 100 || !slices.IsSorted(answers) {
		t.Errorf("answered %v", answers)
	}
}

// answersEachItsOwn: of many callers at once each has its answers once, in its
// order, and what was answered is there afterwards.
func answersEachItsOwn(t *testing.T, open func() store.Store) {
	const callers, each = 16, 50
	s := open()
	answers := make([][]int, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				if i%3 > 0 { // at times there is nothing new
					if err := s.Write(&store.Session{ClientID: fmt.Sprint(c, i)}); err != nil {
						t.Error(err)
					}
				}
				all.Add(1)
				s.Sync(func(err error) {
					if err != nil {
						t.Error(err)
					}
					answers[c] = append(answers[c], i)
					all.Done()
				})
			}
		})
	}
	all.Wait()
	for c, got := range answers {
		if len(got) != each || !slices.IsSorted(got) {
			t.Errorf("caller %d was answered %v", c, got)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	sessions := 0
	if err := s.Load(func(store.Fact) error { sessions++; return nil }); err != nil {
		t.Fatal(err)
	}
	if want := callers * (each - (each+2)/3); sessions != want {
		t.Errorf("%d of %d sessions are there", sessions, want)
	}
}

// answersFromAnAnswer: who is answered may write and ask again there and then.
func answersFromAnAnswer(t *testing.T, open func() store.Store) {
	s := open()
	defer s.Close()
	done := make(chan int, 1)
	var again func(n int)
	again = func(n int) {
		if n == 20 {
			done <- n
			return
		}
		if err := s.Write(&store.Session{ClientID: fmt.Sprint(n)}); err != nil {
			t.Error(err)
		}
		s.Sync(func(error) { again(n + 1) })
	}
	again(0)
	<-done
}
