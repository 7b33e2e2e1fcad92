import { once } from 'node:events'
import { expect } from 'chai'
import { createContinuity, type Continuity } from '../../src/platform/continuity.ts'
import { openRedis, primaryOf, type Cluster } from '../../src/platform/redis.ts'
import { eventually } from '../support/eventually.ts'
import { recoveryMs, times } from '../support/faults.ts'
import { ownCluster, type OwnTopology } from '../support/topologies.ts'

describe('the continuity of a Redis Cluster', function () {
  this.timeout(60_000)

  const timeoutMs = 1000
  const key = 'any'
  let cluster: OwnTopology
  let redis: Cluster
  let continuity: Continuity
  let restored: number
  let during: (concerns: (key: string) => boolean) => Promise<void>
  before(async () => {
    cluster = await ownCluster({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  })
  after(() => cluster.discard())
  beforeEach(async () => {
    restored = 0
    during = async () => undefined
    const log = () => undefined
    redis = openRedis({ url: cluster.url, timeoutMs, log }) as Cluster
    const restore = async (concerns: (key: string) => boolean) => {
      await during(concerns)
      return ++restored
    }
    continuity = createContinuity({ redis, restore, followUp: async () => 0, timeoutMs, log })
    await untilWhole()
  })
  afterEach(() => {
    continuity.stop()
    redis.disconnect()
  })

  const untilWhole = () => eventually(() => expect(continuity.isWhole()).to.equal(true), recoveryMs)

  it('goes on over connections that broke, and nothing is told again', async () => {
    const before = restored
    for (const node of await cluster.primaries())
      await cluster.operator(node).call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await eventually(() => expect(continuity.isWhole()).to.equal(false))

    await untilWhole()

    expect(restored).to.equal(before)
  })

  it('ends for a primary that has been a replica meanwhile, on one connection', async () => {
    await times(300, (i) => redis.set(`key-${i}`, '')) // a replica without data is not named, and its connection closed
    const first = await cluster.primaryOf(key)
    const node = primaryOf(redis, key)!
    const takeOver = async (by: typeof first) => {
      await cluster.operator(by).call('CLUSTER', 'FAILOVER')
      await eventually(async () => expect((await cluster.primaryOf(key)).port).to.equal(by.port), recoveryMs)
    }
    await eventually(async () => {
      const [replica] = await cluster.replicasOf(first)
      expect(await cluster.operator(replica!).info('replication')).to.include('master_link_status:up')
    }, recoveryMs)
    const [second] = await cluster.replicasOf(first)
    await takeOver(second!)
    await eventually(async () => {
      await redis.get(key)
      expect(primaryOf(redis, key)).to.not.equal(node)
      expect(continuity.sourceOf(key)).to.equal(primaryOf(redis, key))
    }, recoveryMs)
    await once(redis, 'refresh')
    const before = restored

    await takeOver(first)

    let believedTooEarly = 0
    await eventually(async () => {
      await redis.get(key)
      const source = continuity.sourceOf(key)
      if (source?.options.port === first.port && restored === before) believedTooEarly += 1
      expect(restored).to.be.above(before)
    }, recoveryMs)
    expect(believedTooEarly).to.equal(0)
  })

  it('does not hold for a primary that was told before it was known which keys it has', async () => {
    const first = await cluster.primaryOf(key)
    await times(300, (i) => redis.set(`key-${i}`, '')) // a replica without data is not named
    const [second] = await cluster.replicasOf(first)
    const found = () => redis.nodes('slave').find(({ options }) => options.port === second!.port)
    await eventually(() => expect(found()).to.not.equal(undefined), recoveryMs)
    const node = found()!
    let isTold = false
    const refresh = redis.refreshSlotsCache.bind(redis)
    during = async (concerns) => {
      if (concerns(key)) isTold = true
      redis.refreshSlotsCache = refresh
      while (primaryOf(redis, key) !== node) await new Promise<void>((resolve) => refresh(() => resolve()))
    }
    redis.refreshSlotsCache = (done) => done?.() // the map comes late
    await cluster.operator(second!).call('CLUSTER', 'FAILOVER')
    await eventually(async () => expect(await cluster.operator(second!).info('replication')).to.include('role:master'))

    const ready = once(node, 'ready')
    if (node.status === 'wait') await node.connect()
    else node.disconnect(true)
    await ready
    await eventually(() => expect(node.status).to.equal('ready'))
    // Where it is told already, the map comes in the midst of that.
    await continuity.established(key).catch(() => undefined)
    redis.refreshSlotsCache = refresh
    await eventually(async () => {
      await redis.get(key)
      expect(continuity.sourceOf(key)?.options.port).to.equal(second!.port)
    }, recoveryMs)

    expect(isTold).to.equal(true)
  })

  it('is not broken by a write that was refused and is made after all', async () => {
    await Promise.all(cluster.nodes.map((node) => cluster.kill(node)))
    const refused: Promise<string>[] = []
    const attempts: unknown[] = []
    redis.on('reconnecting', () => attempts.push(null))
    while (attempts.length < 3) {
      refused.push(redis.set(`refused-${refused.length}`, '').catch(String))
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const answer of await Promise.all(refused)) expect(answer).to.not.equal('OK')

    await cluster.heal()

    await eventually(async () => expect(await redis.set(key, '')).to.equal('OK'), recoveryMs)
    const made = await Promise.all((await cluster.primaries()).map((node) => cluster.operator(node).keys('refused-*')))
    expect(made.flat()).to.deep.equal([])
  })
})
