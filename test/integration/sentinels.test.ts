import { expect } from 'chai'
import type { RedisNode } from '../../dev/stores.ts'
import { openRedis, type Node } from '../../src/platform/redis.ts'
import { eventually } from '../support/eventually.ts'
import { recoveryMs } from '../support/faults.ts'
import { ownSentinel, successorOf, type OwnSentinel } from '../support/topologies.ts'

describe('a connection through sentinels of which the first has not heard of a failover', function () {
  this.timeout(60_000)

  let topology: OwnSentinel
  let deaf: RedisNode
  let old: RedisNode
  let latest: RedisNode
  let redis: Node
  const events: string[] = []
  before(async () => {
    topology = await ownSentinel()
    old = await topology.primaryOf('')
    deaf = await topology.startDeafSentinel()
    await eventually(() => ask(topology.sentinels[0]!, 'FAILOVER', 'latchkey'), recoveryMs)
    latest = await successorOf(old, topology)
  })
  after(async () => {
    redis.disconnect()
    await topology.discard()
  })

  const ask = (sentinel: RedisNode, ...words: string[]) => topology.operator(sentinel).call('SENTINEL', ...words)

  function connect(): Node {
    events.length = 0
    const url = topology.url.replace('://', `://127.0.0.1:${deaf.port},`)
    return openRedis({ url, timeoutMs: 1000, log: (event) => events.push(event) }) as Node
  }

  it('leaves the old primary for the one of the latest failover, once, and arrives there', async () => {
    redis = connect()
    await eventually(() => expect(events).to.deep.equal(['redis.ready', 'redis.lost', 'redis.ready']))
    await untilAskedAgain(deaf)

    expect(redis.stream.remotePort).to.equal(latest.port)
    expect(events).to.deep.equal(['redis.ready', 'redis.lost', 'redis.ready'])
    expect((await topology.operator(old).role())[0], 'the old one').to.equal('master')
  })

  it('stays there when those who know of it say nothing', async () => {
    for (const sentinel of topology.sentinels) sentinel.pause()
    try {
      await untilAskedAgain(deaf)
    } finally {
      for (const sentinel of topology.sentinels) sentinel.resume()
    }

    expect(redis.stream.remotePort).to.equal(latest.port)
    expect(events).to.deep.equal(['redis.ready', 'redis.lost', 'redis.ready'])
  })

  it('stays there when it is led past the old primary, which is a replica by then', async () => {
    redis.disconnect()
    await topology.operator(old).replicaof('127.0.0.1', latest.port)
    redis = connect()
    await eventually(() => expect(redis.status).to.equal('ready'), recoveryMs)
    events.length = 0
    await untilAskedAgain(deaf)

    expect(redis.stream.remotePort).to.equal(latest.port)
    expect(events).to.deep.equal([])
  })

  /**
   * Waits until a sentinel was asked twice more, and what it said the first time has been weighed: at four commands to
   * greet and subscribe, and two for each time.
   */
  async function untilAskedAgain(sentinel: RedisNode): Promise<void> {
    let own = -1
    const fromOthers = async () => {
      own += 1
      return Number(/^total_commands_processed:(\d+)/m.exec(await topology.operator(sentinel).info('stats'))![1]) - own
    }
    const before = await fromOthers()
    await eventually(async () => expect(await fromOthers()).to.be.at.least(before + 8), recoveryMs)
  }
})
