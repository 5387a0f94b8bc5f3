package mqttsn

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// text writes a packet for people, one line: its type and its fields by name.
// What is false, empty or no time at all is left out. What came off the wire
// is quoted, so that a stranger cannot draw on a terminal.
func text(p Packet) string {
	var b strings.Builder
	b.WriteString(p.Type().String())
	for f, v := range reflect.ValueOf(p).Elem().Fields() {
		switch x := v.Interface().(type) {
		case []byte:
			if len(x) != 0 {
				fmt.Fprintf(&b, " %s:%q", f.Name, x)
			}
		case bool, time.Duration:
			if !v.IsZero() {
				fmt.Fprintf(&b, " %s:%v", f.Name, x)
			}
		default:
			fmt.Fprintf(&b, " %s:%v", f.Name, x)
		}
	}
	return b.String()
}

// String writes an id as a number, with its kind unless that is the normal
// one, and a name in quotes.
func (t Topic) String() string {
	switch t.Kind {
	case TopicNormal:
		return fmt.Sprint(t.ID)
	case TopicPredefined:
		return fmt.Sprintf("predefined:%d", t.ID)
	case TopicShort:
		return fmt.Sprintf("short:%q", []byte{byte(t.ID >> 8), byte(t.ID)})
	case TopicName:
		return fmt.Sprintf("%q", t.Name)
	}
	return fmt.Sprintf("reserved:%d", t.ID)
}

// String writes the node as hex: its octets mean something to the forwarder only.
func (e Envelope) String() string {
	return fmt.Sprintf("ENCAPSULATED Radius:%d Node:%x", e.Radius, e.Node)
}

func (p *Advertise) String() string     { return text(p) }
func (p *Searchgw) String() string      { return text(p) }
func (p *Gwinfo) String() string        { return text(p) }
func (p *Connect) String() string       { return text(p) }
func (p *Connack) String() string       { return text(p) }
func (p *Willtopicreq) String() string  { return text(p) }
func (p *Willtopic) String() string     { return text(p) }
func (p *Willmsgreq) String() string    { return text(p) }
func (p *Willmsg) String() string       { return text(p) }
func (p *Register) String() string      { return text(p) }
func (p *Regack) String() string        { return text(p) }
func (p *Publish) String() string       { return text(p) }
func (p *Puback) String() string        { return text(p) }
func (p *Pubrec) String() string        { return text(p) }
func (p *Pubrel) String() string        { return text(p) }
func (p *Pubcomp) String() string       { return text(p) }
func (p *Subscribe) String() string     { return text(p) }
func (p *Suback) String() string        { return text(p) }
func (p *Unsubscribe) String() string   { return text(p) }
func (p *Unsuback) String() string      { return text(p) }
func (p *Pingreq) String() string       { return text(p) }
func (p *Pingresp) String() string      { return text(p) }
func (p *Disconnect) String() string    { return text(p) }
func (p *Willtopicupd) String() string  { return text(p) }
func (p *Willmsgupd) String() string    { return text(p) }
func (p *Willtopicresp) String() string { return text(p) }
func (p *Willmsgresp) String() string   { return text(p) }
