package report

import (
	"fmt"
	"strings"
)

// How late a machine may be, and how long a gateway may owe the fleet an answer
// at the end, without a word about it, in seconds.
const (
	tolerable  = 1
	unanswered = 3
)

// A Use is what a program took of the machine, from the beginning of a run to
// its end.
type Use struct {
	Who    string  `json:"who"` // such as gateway
	CPU    float64 `json:"cpu_s"`
	Memory float64 `json:"memory_octets"` // the most that it had at a time
}

// used says who took what.
func (r *Result) used() string {
	var all []string
	for _, u := range r.Used {
		all = append(all, fmt.Sprintf("%s: %s of CPU, %s", u.Who, seconds(u.CPU), octets(u.Memory)))
	}
	return strings.Join(all, "; ")
}
