package drive

// heard is messages that the observer has heard and the fleet has not, with
// their payloads in one piece.
type heard struct {
	messages []message
	octets   []byte
}

type message struct {
	topic    string
	from, to int // its payload, in octets
	retained bool
}

func (h *heard) add(topic string, payload []byte, retained bool) {
	from := len(h.octets)
	h.octets = append(h.octets, payload...)
	h.messages = append(h.messages, message{topic, from, len(h.octets), retained})
}

func (h *heard) payload(m message) []byte { return h.octets[m.from:m.to:m.to] }

func (h *heard) reset() {
	clear(h.messages)
	h.messages, h.octets = h.messages[:0], h.octets[:0]
}
