// publish.js URL VERSION [OPTIONS]: publish readings in JSON, and then stay connected.
const mqtt = require('mqtt')

const [url, version, options = '{}'] = process.argv.slice(2)

async function main () {
  const client = await mqtt.connectAsync(url, {
    clientId: 'greenhouse',
    protocolVersion: Number(version),
    autoAssignTopicAlias: true,
    ...JSON.parse(options),
    will: { topic: 'greenhouse/status', payload: 'offline', qos: 1, retain: true }
  })
  let aliased = 0
  client.on('packetsend', (packet) => { if (packet.cmd === 'publish' && packet.topic === '') aliased++ })

  await client.publishAsync('greenhouse/status', 'online', { qos: 1, retain: true })
  for (let i = 0; i < 30; i++) {
    await client.publishAsync('greenhouse/climate', JSON.stringify({ number: i, temperature: 21.5 }), { qos: i % 3 })
  }
  await client.publishAsync('greenhouse/note', 'dry', {
    qos: 2,
    properties: { contentType: 'text/plain', userProperties: { unit: '%', place: ['attic', 'cellar'] } }
  })
  console.log('published,', aliased, 'by alias')
}

main().catch((err) => { console.error(err); process.exit(1) })
