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
	"dormouse/mqttsn/clock"
)

// A sensor that sleeps: it connects, publishes a reading, asks for commands, sleeps, and
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

// A gateway is found by what it answers to those who ask: here by unicast, in a
// network of sensors by multicast, as in "239.255.18.84:1884".
func ExampleDiscoverer() {
	group := gateway()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d := client.DefaultDiscoverer()
	d.Finder.SearchDelay = 0 // nobody else is switched on with us
	found, err := d.Discover(ctx, group)
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Dial(ctx, found[0].Address.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(ctx, client.Session{ClientID: "attic", KeepAlive: time.Minute}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("connected to gateway", found[0].ID)
	// Output: connected to gateway 7
}

// A pump listens for commands for years, and outlives its gateway's restarts:
// here the gateway forgets it at the first reading.
func ExampleDialer_reconnect() {
	address := gateway()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d := client.DefaultDialer()
	b := client.DefaultBackoff()
	b.First = time.Millisecond // of patience: an example is read in no time
	d.Reconnect = &b
	d.Changed = func(err error) {
		if err != nil {
			fmt.Println("lost:", err)
		} else {
			fmt.Println("back")
		}
	}
	c, err := d.Dial(ctx, address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(ctx, client.Session{ClientID: "pump", KeepAlive: time.Minute}); err != nil {
		log.Fatal(err)
	}
	reading := client.Message{Topic: client.Name("forget/me"), Payload: []byte("3.1 bar"), QoS: 1}
	for {
		err := c.Publish(ctx, reading) // waits while there is no connection
		if err == nil {
			fmt.Println("published")
			return
		}
		if ctx.Err() != nil {
			log.Fatal(err)
		}
		// The gateway may have it or not. A reading may come twice.
	}
	// Output:
	// lost: the gateway has ended the connection
	// back
	// published
}

// A Client has neither socket nor clock: here a radio that loses everything
// shows how often it sends, and a Backoff how long it then keeps quiet.
func ExampleClient() {
	cfg := client.DefaultConfig()
	c := client.New(mqttsn.V12, &cfg)
	var out client.Actions
	now := clock.Time(time.Hour)
	if err := c.Connect(now, client.Session{ClientID: "attic"}, &out); err != nil {
		log.Fatal(err)
	}
	for {
		for b, is := range out.Sent {
			fmt.Printf("%v of %d octets, again: %v\n", is.Type, len(b), is.Again)
		}
		if out.Ended.Request == client.ToConnect {
			break
		}
		now = c.Deadline()
		out.Reset()
		c.Tick(now, &out)
	}
	b := client.DefaultBackoff()
	fmt.Println(out.Ended.Err, "- next try in", b.After(out.Ended.Err, 1, 0.2))
	// Output:
	// CONNECT of 11 octets, again: false
	// CONNECT of 11 octets, again: true
	// CONNECT of 11 octets, again: true
	// CONNECT of 11 octets, again: true
	// the gateway does not answer - next try in 900ms
}

// gateway starts one that answers as these examples need it.
func gateway() string {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		buf := make([]byte, 256)
		forgot := false
		for {
			n, peer, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			p, err := mqttsn.Decode(mqttsn.V12, buf[:n])
			if err != nil {
				continue
			}
			said := answers(p)
			if r, ok := p.(*mqttsn.Register); ok && string(r.Name) == "forget/me" && !forgot {
				forgot, said = true, []mqttsn.Packet{&mqttsn.Disconnect{}}
			}
			for _, answer := range said {
				b, _ := mqttsn.Append(nil, mqttsn.V12, answer)
				socket.WriteTo(b, peer)
			}
		}
	}()
	return socket.LocalAddr().String()
}

func answers(p mqttsn.Packet) []mqttsn.Packet {
	switch p := p.(type) {
	case *mqttsn.Searchgw:
		return []mqttsn.Packet{&mqttsn.Gwinfo{GatewayID: 7}}
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
