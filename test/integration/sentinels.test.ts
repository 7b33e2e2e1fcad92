import { expect } from 'chai'
import type { RedisNode } from '../../dev/stores.ts'
import { openRedis, type Node } from '../../src/platform/redis.ts'
import { eventually } from '../support/eventually.ts'
import { recoveryMs } from '../support/faults.ts'
import { ownSentinel, type OwnSentinel } from '../support/topologies.ts'

describe('a connection through sentinels', function () {
  this.timeout(60_000)

  let topology: OwnSentinel
  before(async () => {
    topology = await ownSentinel()
  })
  after(() => topology.discard())

  const ask = (sentinel: RedisNode, ...words: string[]) => topology.operator(sentinel).call('SENTINEL', ...words)

  it('stays with the primary of the latest failover, whatever a sentinel says that has not heard of it', async () => {
    const before = await topology.primaryOf('')
    const deaf = await topology.startDeafSentinel()
    await eventually(() => ask(topology.sentinels[0]!, 'FAILOVER', 'latchkey'), recoveryMs)
    const now = await eventually(async () => {
      const promoted = (await topology.primaries()).find((node) => node !== before)
      expect(promoted).to.not.equal(undefined)
      return promoted!.port
    }, recoveryMs)
    await topology.operator(before).replicaof('127.0.0.1', now)
    await topology.heal()
    expect(await ask(deaf, 'GET-MASTER-ADDR-BY-NAME', 'latchkey')).to.deep.equal(['127.0.0.1', String(before.port)])

    const events: string[] = []
    const url = topology.url.replace('://', `://127.0.0.1:${deaf.port},`)
    const redis = openRedis({ url, timeoutMs: 1000, log: (event) => events.push(event) }) as Node
    try {
      await eventually(() => expect(redis.status).to.equal('ready'), recoveryMs)
      events.length = 0
      await untilAsked(deaf, 6)

      expect(redis.stream.remotePort).to.equal(now)
      expect(events).to.deep.equal([])
    } finally {
      redis.disconnect()
    }
  })

  /** Waits until others have sent a sentinel so many commands. */
  async function untilAsked(sentinel: RedisNode, count: number): Promise<void> {
    const operator = topology.operator(sentinel)
    let own = -1
    const ofOthers = async () => {
      own += 1
      return Number(/^total_commands_processed:(\d+)/m.exec(await operator.info('stats'))![1]) - own
    }
    const before = await ofOthers()
    await eventually(async () => expect(await ofOthers()).to.be.at.least(before + count), recoveryMs)
  }
})
