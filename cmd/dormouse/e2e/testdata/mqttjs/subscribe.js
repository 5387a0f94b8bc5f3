// subscribe.js URL VERSION TOPIC [OPTIONS]: print what arrives.
const mqtt = require('mqtt')

const [url, version, topic, options = '{}'] = process.argv.slice(2)
const client = mqtt.connect(url, { protocolVersion: Number(version), ...JSON.parse(options) })

client.on('connect', () => {
  client.subscribe(topic, { qos: 2 }, (err, granted) => {
    if (err) throw err
    console.log('Subscribed', JSON.stringify(granted))
  })
})

client.on('message', (topic, payload, packet) => {
  const { contentType, userProperties } = packet.properties || {}
  const properties = userProperties ? [contentType, JSON.stringify(userProperties)] : []
  console.log('message', packet.qos, packet.retain ? 1 : 0, topic, payload.toString(), ...properties)
})

client.on('error', (err) => {
  if (err.code !== 'ECONNREFUSED') throw err // it comes back when the broker does
})
