import { expect } from 'chai'
import { AppError } from '../../src/errors.ts'
import { createContinuity, type Continuity } from '../../src/platform/continuity.ts'
import type { LogEvent } from '../../src/platform/log.ts'
import { openRedis, type Redis } from '../../src/platform/redis.ts'
import { refusalOf } from '../support/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'

describe('the continuity of a Redis', function () {
  this.timeout(30_000)

  const timeoutMs = 500
  let server: OwnRedis
  let redis: Redis
  let continuity: Continuity
  let restored: number
  let followedUp: number
  let logged: LogEvent[]
  let restore: () => Promise<number>

  before(async () => {
    server = await ownRedis()
  })
  after(() => server.discard())

  beforeEach(() => {
    restored = 0
    followedUp = 0
    logged = []
    restore = async () => ++restored
    const log = (event: LogEvent) => void logged.push(event)
    redis = openRedis({ url: server.url, timeoutMs, log })
    const followUp = async () => ++followedUp
    continuity = createContinuity({ redis, restore: () => restore(), followUp, timeoutMs, log })
  })
  afterEach(() => {
    continuity.stop()
    redis.disconnect()
  })

  const untilItHolds = () => eventually(async () => expect(continuity.isWhole()).to.equal(true))

  it('holds when it was told once, and not before', async () => {
    let finish: (() => void) | undefined
    restore = () =>
      new Promise((resolve) => {
        finish = () => resolve(0)
      })
    await eventually(() => expect(finish).to.not.equal(undefined))
    expect(continuity.isWhole()).to.equal(false)
    expect(await refusalOf(continuity.established('any'))).to.include({ code: 'unavailable' })
    expect(continuity.isWhole()).to.equal(false)

    finish!()

    await continuity.established('any')
    expect(continuity.isWhole()).to.equal(true)
    expect(logged).to.include('redis.replayed')
  })

  it('goes on over a connection that broke, and nothing is told again', async () => {
    await untilItHolds()

    const broken = new Promise((resolve) => redis.once('close', resolve))
    await server.operator().call('CLIENT', 'KILL', 'TYPE', 'normal')
    await broken

    expect(continuity.isWhole()).to.equal(false)
    await untilItHolds()
    expect(restored).to.equal(1)
  })

  it('ends with its process: the next one is told before it holds, and again what came last', async () => {
    await untilItHolds()
    await server.kill()
    await eventually(async () => expect(continuity.isWhole()).to.equal(false))
    let heldWhenTold = true
    restore = async () => {
      heldWhenTold = continuity.isWhole()
      return ++restored
    }
    await server.start()

    await untilItHolds()
    expect(heldWhenTold).to.equal(false)
    expect(restored).to.equal(2)
    await eventually(async () => expect(followedUp).to.be.above(1))
  })

  it('ends when it is made a replica, which is noticed on a connection that stands', async () => {
    await untilItHolds()
    const operator = server.operator()

    await operator.replicaof('127.0.0.1', 1)
    await eventually(async () => expect(continuity.isWhole()).to.equal(false))
    expect(await refusalOf(continuity.established('any'))).to.include({ code: 'unavailable' })
    expect(restored).to.equal(1)
    await operator.replicaof('NO', 'ONE')

    await untilItHolds()
    expect(restored).to.equal(2)
  })

  it('does not hold while the telling fails, and is tried again by itself', async () => {
    let failures = 0
    restore = async () => {
      if (++failures < 3) throw new AppError('unavailable', { cause: new Error('away') })
      return 0
    }

    await untilItHolds()

    expect(failures).to.equal(3)
    expect(logged.filter((event) => event === 'redis.replaying')).to.have.length(1)
  })

  it('is not restored by what was begun before it broke', async () => {
    const begun: (() => void)[] = []
    restore = () =>
      new Promise((resolve) => {
        begun.push(() => resolve(0))
      })
    await eventually(async () => expect(begun).to.have.length(1))

    await server.kill()
    await server.start()
    await eventually(async () => expect(await redis.ping()).to.equal('PONG'))
    begun[0]!()

    let heldMeanwhile = false
    await eventually(async () => {
      heldMeanwhile ||= continuity.isWhole()
      expect(begun).to.have.length(2)
    })
    expect(heldMeanwhile).to.equal(false)
    begun[1]!()
    await untilItHolds()
  })
})
