// Package e2e tests the dormouse binary from outside: sensors in raw UDP,
// forwarders, mosquitto_pub and mosquitto_sub, a bridge from Mosquitto, the
// Eclipse Paho clients in Go and Python, MQTT.js, and dormouse pub and sub. It
// holds nothing but tests.
//
// Every MQTT-SN datagram of a run is recorded, and Wireshark has the last word
// on whether it is one.
package e2e
