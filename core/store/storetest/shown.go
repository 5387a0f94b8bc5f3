package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dormouse/core/store"
)

// tb is what testing.TB and rapid.T share.
type tb interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func loaded(t tb, s store.Store) string {
	t.Helper()
	var facts []store.Fact
	err := s.Load(func(f store.Fact) error {
		if p, ok := f.(*store.Published); ok {
			m := *p.Message
			f = &store.Published{Seq: p.Seq, Message: &m, Receivers: slices.Values(slices.Collect(p.Receivers)), Author: p.Author}
		}
		facts = append(facts, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return shown(facts)
}

// shown writes facts a line each, so that stores may be compared that order
// them differently where Load leaves it open: among sessions, topics and
// receivers, and among what is in flight to different sessions.
func shown(facts []store.Fact) string {
	var (
		sessions = make(map[string]string)
		flights  = make(map[string]string)
		messages string
		over     []string
		at       string
	)
	for _, f := range facts {
		line := fmt.Sprintf("%T %+v\n", f, f)
		switch f := f.(type) {
		case *store.Session:
			g := *f
			g.Will, at = nil, f.ClientID
			sessions[at] += fmt.Sprintf("session %+v will %+v\n", g, f.Will)
		case *store.Published:
			messages += published(f)
		case *store.Unretained:
			over = append(over, line)
		case *store.Taken:
			flights[f.ClientID] += line
		case *store.Received:
			flights[f.ClientID] += line
		default:
			sessions[at] += line
		}
	}
	slices.Sort(over)
	return inOrder(sessions) + messages + strings.Join(slices.Compact(over), "") + inOrder(flights)
}

func inOrder(blocks map[string]string) (all string) {
	for _, id := range slices.Sorted(maps.Keys(blocks)) {
		all += blocks[id]
	}
	return all
}

func published(f *store.Published) string {
	m, props := *f.Message, ""
	if p := m.Properties; p != nil {
		props = fmt.Sprintf("%d %q %q %q %v", *p.PayloadFormat, p.ContentType, p.ResponseTopic, p.CorrelationData, p.User)
	}
	m.Properties = nil
	to := slices.SortedFunc(f.Receivers, func(a, b store.Receiver) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Share, b.Share))
	})
	return fmt.Sprintf("published %d %+v %s to %v by %q\n", f.Seq, m, props, to, f.Author)
}
