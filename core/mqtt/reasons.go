package mqtt

import (
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// reasonFor is core's answer as a reason code of MQTT 5, with core's words if
// they tell the client more; topic is the one for a topic or filter that
// cannot be.
func reasonFor(err error, topic packets.Code) packets.Code {
	switch {
	case errors.Is(err, core.ErrNotAuthorized):
		return packets.ErrNotAuthorized
	case errors.Is(err, core.ErrClientID):
		return packets.ErrClientIdentifierNotValid
	case errors.Is(err, core.ErrInvalidTopic):
		return packets.Code{Code: topic.Code, Reason: err.Error()}
	case errors.Is(err, core.ErrQuota):
		return packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: err.Error()}
	case errors.Is(err, core.ErrFull): // whose words are not for clients
		return packets.ErrQuotaExceeded
	case errors.Is(err, core.ErrBusy):
		return packets.ErrServerBusy
	case errors.Is(err, core.ErrClosed):
		return packets.ErrServerShuttingDown
	}
	return packets.ErrImplementationSpecificError
}

// What mochi has no words for.
var (
	errUserProperties = packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: "too many user properties"}
	errResponseTopic  = packets.Code{Code: packets.ErrProtocolViolation.Code, Reason: "protocol violation: response topic with a wildcard"}
	errUnwelcome      = packets.Code{Code: packets.ErrMalformedPacket.Code, Reason: "malformed packet: a property with a control character or a non-character"}
	errExpired        = packets.Code{Code: packets.ErrNotAuthorized.Code, Reason: "not authorized any more: what was shown to connect has expired"}
	errRevoked        = packets.Code{Code: packets.ErrNotAuthorized.Code, Reason: "not authorized any more: user, password or authority are not what they were"}
	errAuthentication = packets.Code{Code: packets.ErrProtocolViolation.Code, Reason: "protocol violation: authentication data without a method"}
)

// badUserNameOrPassword is a return code for which mochi has another.
const badUserNameOrPassword = 4

// returnCode is a reason code as CONNACK said it before MQTT 5, §3.2.2.3 of
// 3.1.1.
func returnCode(reason byte) byte {
	switch reason {
	case packets.ErrUnsupportedProtocolVersion.Code:
		return packets.Err3UnsupportedProtocolVersion.Code
	case packets.ErrClientIdentifierNotValid.Code:
		return packets.Err3ClientIdentifierNotValid.Code
	case packets.ErrBadUsernameOrPassword.Code:
		return badUserNameOrPassword
	case packets.ErrNotAuthorized.Code, packets.ErrTopicNameInvalid.Code,
		packets.ErrQosNotSupported.Code, packets.ErrRetainNotSupported.Code:
		return packets.Err3NotAuthorized.Code
	}
	return packets.Err3ServerUnavailable.Code
}
