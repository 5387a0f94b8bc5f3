package client

import "time"

// Emcute returns the manners of RIOT's emcute with its default settings. Its
// applications connect with a keep alive of 360 s.
func Emcute() Config {
	return Config{
		RetryInterval: 15 * time.Second,
		MaxRetries:    3,
		MaxTopics:     256,
		MaxName:       196,
		Quirks: EmcuteNoDUP | EmcutePings | EmcuteDeaf | EmcuteStays | EmcuteRefuses | EmcuteNoRegister |
			EmcuteNoSleep | EmcuteNoQoS2 | EmcuteNoQoSMinusOne | EmcuteNamesOnly,
	}
}

// Paho returns the manners of the client in Eclipse Paho's embedded C library
// with its default settings: each request goes once, and has failed after
// 30 s. What that client leaves to its application, which calls the library's
// serializers itself, is done as the specification says: the will dialogue,
// REGISTER and waking.
func Paho() Config {
	return Config{
		RetryInterval: 30 * time.Second,
		MaxRetries:    0,
		MaxTopics:     256,
		Quirks:        EmcuteDeaf | EmcuteNoQoS2 | PahoPings,
	}
}

// Zephyr returns the manners of Zephyr's MQTT-SN library with its default
// settings. Its N_RETRY of 5 counts the first time. Its applications connect
// with a keep alive of 60 s.
func Zephyr() Config {
	return Config{
		RetryInterval: 10 * time.Second,
		MaxRetries:    4,
		MaxTopics:     20,
		MaxName:       64,
		Quirks:        ZephyrPings | ZephyrOnce | ZephyrLeaves | ZephyrAccepts,
	}
}
