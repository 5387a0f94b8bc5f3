package core

import (
	"strings"
	"testing"
)

func TestOptionsTellEverythingThatIsWrong(t *testing.T) {
	o := DefaultOptions()
	if err := o.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	o = Options{SysInterval: -1}
	o.Queue.Overflow = 9
	err := o.Validate()
	for _, key := range []string{"clock", "store", "max_sessions", "max_subscriptions_per_client", "inflight",
		"max_topic_length", "max_topic_levels", "queue.messages", "queue.bytes", "queue.overflow", "sys_topics.interval"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("nothing is said about %s: %v", key, err)
		}
	}
}
