package mqttsn

// This file lays out what passes outside of any virtual connection: discovery
// and the forwarder's envelope.

// decodeAdvertise12 reads the body of an ADVERTISE, 1.2 §5.4.1.
//
//	GwId(1) Duration(2)
func decodeAdvertise12(r *reader, p *Advertise) {
	p.GatewayID = r.uint8("GwId")
	p.Duration = r.seconds("Duration")
}

func appendAdvertise12(w writer, p *Advertise) writer {
	return w.uint8(p.GatewayID).seconds(p.Duration, "Duration")
}

// decodeSearchgw12 reads the body of a SEARCHGW, 1.2 §5.4.2.
//
//	Radius(1)
func decodeSearchgw12(r *reader, p *Searchgw)       { p.Radius = r.uint8("Radius") }
func appendSearchgw12(w writer, p *Searchgw) writer { return w.uint8(p.Radius) }

// decodeGwinfo12 reads the body of a GWINFO, 1.2 §5.4.3.
//
//	GwId(1) GwAdd(n)
func decodeGwinfo12(r *reader, p *Gwinfo) {
	p.GatewayID = r.uint8("GwId")
	p.Address = r.rest()
}

func appendGwinfo12(w writer, p *Gwinfo) writer {
	return w.uint8(p.GatewayID).octets(p.Address)
}

// The envelope of 1.2 §5.5. Its Length counts the envelope alone and has one
// octet only.
//
//	Length(1) MsgType(1) Ctrl(1: Radius) WirelessNodeId(n > 0)
const (
	encapsulated12   = 0xfe
	envelopeHeader12 = 3
	maxRadius12      = 3
	maxNode12        = 255 - envelopeHeader12
)

var envelope12 = envelope{
	begins: func(b []byte) bool {
		return len(b) >= 2 && b[0] != longMark && b[1] == encapsulated12
	},
	decode: func(r reader) (e Envelope, _ reader) {
		length := int(r.uint8("Length"))
		if length < envelopeHeader12 {
			r.fail("Length", ErrLength)
		}
		r.uint8("MsgType")
		e.Radius = r.uint8("Ctrl")
		if e.Radius > maxRadius12 {
			r.fail("Ctrl", ErrReserved)
		}
		e.Node = r.name(length-envelopeHeader12, "WirelessNodeId")
		return e, r
	},
	append: func(w writer, e Envelope) writer {
		if e.Radius > maxRadius12 {
			w = w.fail("Ctrl")
		}
		if len(e.Node) > maxNode12 {
			w = w.fail("WirelessNodeId")
		}
		return w.uint8(uint8(envelopeHeader12+len(e.Node))).
			uint8(encapsulated12).
			uint8(e.Radius).
			name(e.Node, "WirelessNodeId")
	},
}
