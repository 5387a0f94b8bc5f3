package mqtt

import (
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// reasonFor is core's answer as a reason code of MQTT 5; topic is the one for
// a topic or filter that cannot be.
func reasonFor(err error, topic packets.Code) packets.Code {
	switch {
	case errors.Is(err, core.ErrNotAuthorized):
		return packets.ErrNotAuthorized
	case errors.Is(err, core.ErrInvalidTopic):
		return topic
	case errors.Is(err, core.ErrQuota):
		return packets.ErrQuotaExceeded
	case errors.Is(err, core.ErrBusy):
		return packets.ErrServerBusy
	case errors.Is(err, core.ErrClosed):
		return packets.ErrServerShuttingDown
	}
	return packets.ErrImplementationSpecificError
}

// badUserNameOrPassword is a return code for which mochi has another.
const badUserNameOrPassword = 4

// returnCode is a reason code as CONNACK said it before MQTT 5, §3.2.2.3 of
// 3.1.1.
func returnCode(reason byte) byte {
	switch reason {
	case packets.ErrProtocolViolation.Code, packets.ErrUnsupportedProtocolVersion.Code:
		return packets.Err3UnsupportedProtocolVersion.Code
	case packets.ErrClientIdentifierNotValid.Code:
		return packets.Err3ClientIdentifierNotValid.Code
	case packets.ErrBadUsernameOrPassword.Code:
		return badUserNameOrPassword
	case packets.ErrNotAuthorized.Code, packets.ErrTopicNameInvalid.Code:
		return packets.Err3NotAuthorized.Code
	}
	return packets.Err3ServerUnavailable.Code
}
