# loop_forever.py PORT TRANSPORT USER PASSWORD TOPIC: print what arrives, as tutorials do.
import json
import sys

import paho.mqtt.client as mqtt

port = int(sys.argv[1])
transport, user, password, topic = sys.argv[2:]


def on_connect(client, userdata, flags, rc):
    print("Connected with result code", rc)
    client.subscribe(topic, qos=2)


def on_subscribe(client, userdata, mid, granted_qos):
    print("Subscribed", granted_qos)


def on_message(client, userdata, msg):
    print("message", msg.qos, int(msg.retain), msg.topic, json.dumps(json.loads(msg.payload)), flush=True)


client = mqtt.Client(transport=transport)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.username_pw_set(user, password)
client.connect("127.0.0.1", port, 60)
client.loop_forever()
