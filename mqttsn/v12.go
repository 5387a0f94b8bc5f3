package mqttsn

// v12 is MQTT-SN 1.2: which octet is which packet, 1.2 §5.2.2. How each is
// laid out is in v12_connect.go, v12_topic.go and v12_link.go.
var v12 = newDialect(envelope12,
	lay(0x00, decodeAdvertise12, appendAdvertise12),
	lay(0x01, decodeSearchgw12, appendSearchgw12),
	lay(0x02, decodeGwinfo12, appendGwinfo12),
	lay(0x04, decodeConnect12, appendConnect12),
	lay(0x05, decodeConnack12, appendConnack12),
	lay(0x06, decodeNothing12[*Willtopicreq], appendNothing12[*Willtopicreq]),
	lay(0x07, decodeWilltopic12, appendWilltopic12),
	lay(0x08, decodeNothing12[*Willmsgreq], appendNothing12[*Willmsgreq]),
	lay(0x09, decodeWillmsg12, appendWillmsg12),
	lay(0x0a, decodeRegister12, appendRegister12),
	lay(0x0b, decodeRegack12, appendRegack12),
	lay(0x0c, decodePublish12, appendPublish12),
	lay(0x0d, decodePuback12, appendPuback12),
	lay(0x0e, decodePubcomp12, appendPubcomp12),
	lay(0x0f, decodePubrec12, appendPubrec12),
	lay(0x10, decodePubrel12, appendPubrel12),
	lay(0x12, decodeSubscribe12, appendSubscribe12),
	lay(0x13, decodeSuback12, appendSuback12),
	lay(0x14, decodeUnsubscribe12, appendUnsubscribe12),
	lay(0x15, decodeUnsuback12, appendUnsuback12),
	lay(0x16, decodePingreq12, appendPingreq12),
	lay(0x17, decodeNothing12[*Pingresp], appendNothing12[*Pingresp]),
	lay(0x18, decodeDisconnect12, appendDisconnect12),
	lay(0x1a, decodeWilltopicupd12, appendWilltopicupd12),
	lay(0x1b, decodeWilltopicresp12, appendWilltopicresp12),
	lay(0x1c, decodeWillmsgupd12, appendWillmsgupd12),
	lay(0x1d, decodeWillmsgresp12, appendWillmsgresp12),
)

// The Flags octet, 1.2 §5.3.4. A bit that a packet does not use is ignored on
// receipt and sent as zero. TopicIdType is in v12_topic.go.
const (
	dup12          = 1 << 7
	qosShift12     = 5
	retain12       = 1 << 4
	will12         = 1 << 3
	cleanSession12 = 1 << 2
)

// qos12 reads the QoS bits, of which 0b11 is -1.
func qos12(flags byte) QoS {
	q := QoS(flags >> qosShift12 & 3)
	if q == 3 {
		return QoSMinusOne
	}
	return q
}

// flags12 writes a Flags octet of q and the other bits.
func flags12(w writer, q QoS, bits ...byte) writer {
	if q < QoSMinusOne || q > 2 {
		w = w.fail("QoS")
	}
	f := byte(q) & 3 << qosShift12
	for _, b := range bits {
		f |= b
	}
	return w.uint8(f)
}

// bit12 is flag if on, and else zero.
func bit12(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}

// A packet without fields is its header alone.
func decodeNothing12[P Packet](*reader, P)           {}
func appendNothing12[P Packet](w writer, _ P) writer { return w }
