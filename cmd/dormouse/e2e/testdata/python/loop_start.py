# loop_start.py PORT TRANSPORT USER PASSWORD: publish readings in JSON, as tutorials do, and stay connected.
import json
import signal
import sys

import paho.mqtt.client as mqtt

port = int(sys.argv[1])
transport, user, password = sys.argv[2:]

client = mqtt.Client("greenhouse", transport=transport)
client.will_set("greenhouse/status", json.dumps({"online": False}), qos=1, retain=True)
client.username_pw_set(user, password)
client.connect("127.0.0.1", port)
client.loop_start()

client.publish("greenhouse/status", json.dumps({"online": True}), qos=1, retain=True).wait_for_publish(15)
for i in range(30):
    reading = {"sensor": "dht22", "number": i, "temperature": 21.5, "unit": "°C"}
    info = client.publish("greenhouse/climate", json.dumps(reading), qos=i % 3)
    info.wait_for_publish(15)
    if not info.is_published():
        sys.exit("reading %d is not published" % i)
print("published", flush=True)

signal.pause()
