package payload_test

import (
	"fmt"
	"time"

	"dormouse/sim/payload"
)

// What a sensor says, in SenML, and what whoever hears it knows.
func Example() {
	c := payload.Config{Format: payload.SenML}
	b := c.Append(nil, payload.Reading{
		Tag:   payload.Tag{Device: 17, Stream: 0, Sequence: 42},
		At:    time.Hour,
		Value: 21.4,
	})
	fmt.Printf("%s\n", b)
	fmt.Println(payload.Parse(b))
	// Output:
	// [{"bn":"urn:dev:org:32473-17_0_","n":"seq","u":"count","v":42,"bt":1767229200.000},{"n":"temperature","u":"Cel","v":21.4},{"n":"noise","vs":"5e67cb48"}]
	// {17 0 42} true
}
