package router

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestManyTopicsBelowOne come and go: each that is there is found, with its
// own value, and none that is not.
func TestManyTopicsBelowOne(t *testing.T) {
	const topics = 3000
	var set Topics[int]
	there, dice := make(map[int]bool), rand.New(rand.NewPCG(1, 2))
	topic := func(i int) string { return "sensor/" + strconv.Itoa(i) + "/reading" }
	for turn, many := range []int{topics, 10, topics / 2, 0} {
		for len(there) != many {
			i := dice.IntN(topics)
			if there[i] == (len(there) < many) {
				continue
			}
			if there[i] {
				set.Delete(topic(i))
				delete(there, i)
			} else {
				*set.Value(topic(i)) = i
				there[i] = true
			}
		}
		for i := range topics {
			if v, ok := set.Find(topic(i)); ok != there[i] || ok && v != i {
				t.Fatalf("turn %d of %d topics: %q is %d, %v", turn, many, topic(i), v, ok)
			}
		}
	}
}
