// kafkajs with its default settings. Prints one line for each check: `ok FEATURE` or `FAILED FEATURE: what went wrong`.
'use strict'

const { execFile } = require('node:child_process')
const { promisify } = require('node:util')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = new (require('kafkajs-lz4'))().codec

const CHECK_MS_MAX = 90_000
const kafka = new Kafka({ brokers: [process.env.ADDRESS], clientId: 'kafkajs', logLevel: logLevel.NOTHING, retry: { retries: 30, maxRetryTime: 1_000 } })
const admin = kafka.admin()

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const broker = (what) => promisify(execFile)(process.env.BROKER, [what])

function expect(holds, what) {
  if (!holds) throw new Error(what)
}

async function eventually(holds, what) {
  for (let tries = 0; !(await holds()); tries++) {
    expect(tries < 300, what)
    await sleep(100)
  }
}

async function refused(type, action) {
  let error
  try {
    await action()
  } catch (thrown) {
    error = thrown
  }
  const found = error && [error.type, ...(error.errors || []).map((one) => one.type)]
  expect(found && found.includes(type), `refused with ${error}, not ${type}`)
}

const topic = (name, numPartitions = 1, more = {}) => admin.createTopics({ topics: [{ topic: name, numPartitions, ...more }], waitForLeaders: true })
const numbers = (prefix, count) => Array.from({ length: count }, (_, number) => prefix + String(number).padStart(4, '0'))
const sorted = (values) => [...values].sort()
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)
const values = (messages) => messages.map((message) => message.value && message.value.toString())

async function send(name, sent, more = {}, options = {}) {
  const producer = kafka.producer(options)
  await producer.connect()
  const told = await producer.send({ topic: name, messages: sent.map((value, number) => ({ key: `k${number}`, value })), ...more })
  await producer.disconnect()
  return told
}

// A running consumer, and what came to it.
async function reading(groupId, name, options = {}) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, sessionTimeout: 10_000, rebalanceTimeout: 10_000, ...options })
  const got = []
  let assigned = 0
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    assigned = Object.values(payload.memberAssignment).flat().length
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [name], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ partition, message }) => { got.push({ partition, ...message }) } })
  return { consumer, got, assigned: () => assigned }
}

async function read(groupId, name, count, options) {
  const { consumer, got } = await reading(groupId, name, options)
  await eventually(() => got.length >= count, `${count} messages`)
  await sleep(500)
  await consumer.disconnect()
  expect(got.length === count, `${got.length} messages came, not ${count}`)
  return got
}

const checks = {
  async topics() {
    expect(await topic('made', 3), 'it is made')
    expect(!(await topic('made', 1)), 'it is there already')
    await refused('INVALID_TOPIC_EXCEPTION', () => topic('no name'))
    await refused('INVALID_REPLICATION_FACTOR', () => topic('copies', 1, { replicationFactor: 3 }))
    expect((await admin.listTopics()).includes('made'), 'it is listed')
    const { topics } = await admin.fetchTopicMetadata({ topics: ['made'] })
    expect(topics[0].partitions.length === 3, 'three partitions')
    await admin.deleteTopics({ topics: ['made'] })
    await eventually(async () => !(await admin.listTopics()).includes('made'), 'a deleted topic is gone')
  },

  async partitions() {
    await topic('grows')
    await admin.createPartitions({ topicPartitions: [{ topic: 'grows', count: 3 }] })
    await eventually(async () => (await admin.fetchTopicOffsets('grows')).length === 3, 'three partitions')
  },

  async produce() {
    await topic('produced')
    for (const acks of [0, 1, -1]) {
      const messages = [{ key: 'k', value: 'a', headers: { h: '1' }, timestamp: '1700000000000' }, { key: 'k', value: null, headers: { h: '1' }, timestamp: '1700000000000' }]
      await send('produced', [], { acks, messages })
    }
    const got = await read('produce-readers', 'produced', 6)
    expect(same(values(got), ['a', null, 'a', null, 'a', null]), 'values come back in order')
    expect(got.every(({ key, headers, timestamp }) => String(key) === 'k' && String(headers.h) === '1' && timestamp === '1700000000000'), 'keys, headers, timestamps come back')
  },

  async codecs() {
    await topic('codecs')
    let expected = []
    for (const [name, compression] of Object.entries(CompressionTypes).filter(([name]) => name !== 'ZSTD')) {
      const sent = numbers(`${name} ${'text '.repeat(20)}`, 100)
      await send('codecs', sent, { compression })
      expected = expected.concat(sent)
    }
    expect(same(values(await read('codec-readers', 'codecs', expected.length)), expected), 'what was sent comes back')
  },

  async large() {
    await topic('large')
    await refused('MESSAGE_TOO_LARGE', () => send('large', ['x'.repeat(2_000_000)]))
    const [{ baseOffset }] = await send('large', ['x'.repeat(900_000)])
    expect(baseOffset === '0', 'a smaller one is taken')
  },

  async offsets() {
    await topic('timed')
    for (const timestamp of ['1000', '2000', '3000']) await send('timed', [], { messages: [{ value: 'x', timestamp }] })
    const [{ low, high }] = await admin.fetchTopicOffsets('timed')
    expect(low === '0' && high === '3', `both ends are ${low} and ${high}`)
    const [{ offset }] = await admin.fetchTopicOffsetsByTimestamp('timed', 1500)
    expect(offset === '1', `the first from 1,500 on is ${offset}`)
  },

  async group() {
    await topic('grouped', 4)
    const sent = numbers('g', 400)
    await send('grouped', sent.slice(0, 200))
    const first = await read('group', 'grouped', 200)
    await send('grouped', sent.slice(200))
    await broker('restart')
    const rest = await read('group', 'grouped', 200)
    expect(same(sorted(values(first.concat(rest))), sent), 'every value once')
  },

  async rebalance() {
    await topic('shared', 4)
    const readers = [await reading('members', 'shared')]
    await eventually(() => readers[0].assigned() === 4, 'one has all')
    readers.push(await reading('members', 'shared'))
    await eventually(() => readers.every((reader) => reader.assigned() === 2), 'two share')
    const first = numbers('a', 100)
    await send('shared', first)
    await eventually(() => readers[0].got.length + readers[1].got.length >= 100, '100 messages')
    await readers.shift().consumer.disconnect()
    await eventually(() => readers[0].assigned() === 4, 'the one that is left has all')
    const before = readers[0].got.length
    await send('shared', numbers('b', 100))
    await eventually(() => readers[0].got.length - before >= 100, '100 more messages')
    await readers[0].consumer.disconnect()
    expect(same(sorted(values(readers[0].got.slice(before))), numbers('b', 100)), 'every value once')
  },

  async regex() {
    for (const name of ['match-a', 'match-b', 'other']) {
      await topic(name)
      await send(name, [name])
    }
    expect(same(sorted(values(await read('by-pattern', /^match-.*/, 2))), ['match-a', 'match-b']), 'both topics that match')
  },

  async 'groups-admin'() {
    await topic('administered')
    await send('administered', numbers('', 10))
    const { consumer, got } = await reading('looked-at', 'administered')
    await eventually(() => got.length === 10, 'ten messages')
    const { groups } = await admin.describeGroups(['looked-at'])
    expect(groups[0].state === 'Stable' && groups[0].members.length === 1, `described as ${groups[0].state}`)
    await consumer.disconnect()
    expect((await admin.listGroups()).groups.some(({ groupId }) => groupId === 'looked-at'), 'it is listed')
    const committed = async () => (await admin.fetchOffsets({ groupId: 'looked-at', topics: ['administered'] }))[0].partitions[0].offset
    expect((await committed()) === '10', 'the committed offset')
    await admin.setOffsets({ groupId: 'looked-at', topic: 'administered', partitions: [{ partition: 0, offset: '5' }] })
    expect((await committed()) === '5', 'the altered offset')
    await admin.deleteGroups(['looked-at'])
    expect(!(await admin.listGroups()).groups.some(({ groupId }) => groupId === 'looked-at'), 'it is gone')
  },

  async idempotent() {
    await topic('once')
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const sent = numbers('i', 300)
    for (let number = 0; number < sent.length; number++) {
      const killed = number === 100 || number === 200 ? broker('kill') : null
      await producer.send({ topic: 'once', messages: [{ value: sent[number] }] })
      await killed
    }
    await producer.disconnect()
    expect(same(values(await read('once-readers', 'once', 300)), sent), 'every value once and in order')
  },

  async transactions() {
    await topic('in-transactions')
    const producer = kafka.producer({ transactionalId: 'writer', maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    let expected = []
    for (let number = 0; number < 6; number++) {
      const transaction = await producer.transaction()
      const now = numbers(`t${number} `, 20)
      await transaction.send({ topic: 'in-transactions', messages: now.map((value) => ({ value })) })
      if (number % 3 === 1) await transaction.abort()
      else {
        await transaction.commit()
        expected = expected.concat(now)
      }
    }
    await producer.disconnect()
    expect(same(values(await read('committed', 'in-transactions', 80)), expected), 'what was committed, and nothing else')
    await read('uncommitted', 'in-transactions', 120, { readUncommitted: true })
  },

  async 'transactional-offsets'() {
    await topic('from')
    await topic('to')
    const producer = kafka.producer({ transactionalId: 'copier', maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    for (const [fails, offset] of [[false, '20'], [true, '50']]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: 'to', messages: [{ value: offset }] })
      await transaction.sendOffsets({ consumerGroupId: 'copiers', topics: [{ topic: 'from', partitions: [{ partition: 0, offset }] }] })
      await (fails ? transaction.abort() : transaction.commit())
    }
    await producer.disconnect()
    const [{ partitions }] = await admin.fetchOffsets({ groupId: 'copiers', topics: ['from'] })
    expect(partitions[0].offset === '20', `committed is ${partitions[0].offset}`)
    expect(same(values(await read('copied', 'to', 1)), ['20']), 'what was committed')
  },

  async configs() {
    await topic('configured', 1, { configEntries: [{ name: 'cleanup.policy', value: 'compact' }] })
    const resource = { type: ConfigResourceTypes.TOPIC, name: 'configured' }
    const described = async (name) => {
      const { resources } = await admin.describeConfigs({ resources: [resource] })
      return resources[0].configEntries.find(({ configName }) => configName === name).configValue
    }
    expect((await described('cleanup.policy')) === 'compact', 'as it was created')
    await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
    await eventually(async () => (await described('retention.ms')) === '7200000', 'as it was altered')
    expect((await described('cleanup.policy')) === 'delete', 'the older request sets all that it does not name back')
  },

  async 'delete-records'() {
    await topic('shortened')
    await send('shortened', numbers('', 10))
    // Its administrator must have heard of the topic before.
    await admin.fetchTopicOffsets('shortened')
    await admin.deleteTopicRecords({ topic: 'shortened', partitions: [{ partition: 0, offset: '4' }] })
    expect(same(values(await read('shortened-readers', 'shortened', 6)), numbers('', 10).slice(4)), 'from the new start on')
  },

  async cluster() {
    const { brokers, controller } = await admin.describeCluster()
    expect(brokers.length === 1 && controller === brokers[0].nodeId, 'one broker, which is the controller')
  },
}

async function main() {
  await admin.connect()
  const named = process.argv.slice(2)
  for (const feature of named.length > 0 ? named : Object.keys(checks)) {
    let timer
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('not done within 90 s')), CHECK_MS_MAX) })
    try {
      await Promise.race([checks[feature](), late])
      console.log(`ok ${feature}`)
    } catch (error) {
      console.error(error)
      console.log(`FAILED ${feature}: ${error}`.replaceAll('\n', ' '))
    }
    clearTimeout(timer)
  }
  process.exit(0)
}

main()
