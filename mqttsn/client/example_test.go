package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
)

// A sensor connects, publishes a reading, asks for commands, sleeps, and
// fetches what came meanwhile.
func Example() {
	address := gateway() // such as "127.0.0.1:1884"

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	err = errors.Join(
		c.Connect(ctx, client.Session{ClientID: "attic", KeepAlive: time.Minute, CleanSession: true}),
		c.Publish(ctx, client.Message{Topic: client.Name("attic/temperature"), Payload: []byte("21.5"), QoS: 1}),
	)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Subscribe(ctx, client.Name("attic/fan"), 1); err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(c.Sleep(ctx, time.Hour), c.Wake(ctx)); err != nil {
		log.Fatal(err)
	}
	m, err := c.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	name, _ := client.NameOf(m.Topic)
	fmt.Printf("%s: %s\n", name, m.Payload)
	// Output: attic/fan: on
}

// gateway starts one that answers as this example needs it.
func gateway() string {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		buf := make([]byte, 256)
		for {
			n, peer, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			p, err := mqttsn.Decode(mqttsn.V12, buf[:n])
			if err != nil {
				continue
			}
			for _, answer := range answers(p) {
				b, _ := mqttsn.Append(nil, mqttsn.V12, answer)
				socket.WriteTo(b, peer)
			}
		}
	}()
	return socket.LocalAddr().String()
}

func answers(p mqttsn.Packet) []mqttsn.Packet {
	switch p := p.(type) {
	case *mqttsn.Connect:
		return []mqttsn.Packet{&mqttsn.Connack{}}
	case *mqttsn.Register:
		return []mqttsn.Packet{&mqttsn.Regack{TopicID: 1, ID: p.ID}}
	case *mqttsn.Publish:
		return []mqttsn.Packet{&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID}}
	case *mqttsn.Subscribe:
		return []mqttsn.Packet{&mqttsn.Suback{QoS: p.QoS, TopicID: 2, ID: p.ID}}
	case *mqttsn.Disconnect:
		return []mqttsn.Packet{&mqttsn.Disconnect{}}
	case *mqttsn.Pingreq:
		return []mqttsn.Packet{
			&mqttsn.Publish{QoS: 0, Topic: mqttsn.Topic{ID: 2}, Payload: []byte("on")},
			&mqttsn.Pingresp{},
		}
	}
	return nil
}
