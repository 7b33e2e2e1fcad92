import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { AppError } from '../../src/errors.ts'
import { keyStart, type Throttle } from '../../src/throttle/index.ts'
import { eventually } from '../support/eventually.ts'
import { connectRedis, keyPrefix, redisUrl } from '../support/stores.ts'
import { aThrottle } from '../support/throttle.ts'

const tenInAMinute = { points: 10, windowSeconds: 60 }

describe('the limits', () => {
  const connections: ReturnType<typeof connectRedis>[] = []
  let redis: ReturnType<typeof connectRedis>
  /** Two instances of the service on one Redis. */
  let one: Throttle
  let two: Throttle
  before(() => {
    const connect = () => {
      const connection = connectRedis(redisUrl())
      connections.push(connection)
      return connection
    }
    redis = connect()
    const rules = { 'wrong-passwords': tenInAMinute, mails: { points: 2, windowSeconds: 1 } }
    one = aThrottle(connect(), rules)
    two = aThrottle(connect(), rules)
  })
  after(() => connections.forEach((connection) => connection.disconnect()))

  const keyOf = (rule: string, subject: string) => `${keyStart(keyPrefix)}:${rule}:${subject}`

  async function said(attempt: Promise<boolean>): Promise<boolean | string> {
    try {
      return await attempt
    } catch (error) {
      if (error instanceof AppError) return error.code
      throw error
    }
  }

  const count = (answers: unknown[], wanted: unknown) => answers.filter((answer) => answer === wanted).length

  it('tell ten of fifty wrong guesses at one instant that they were wrong, over two instances', async () => {
    const userId = randomUUID()
    const allChecking = gate(50)

    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        said(
          (i % 2 ? one : two).attempt('wrong-passwords', { userId }, async () => {
            await allChecking()
            return false
          }),
        ),
      ),
    )

    expect([count(answers, false), count(answers, 'too-many-attempts')]).to.deep.equal([10, 40])
  })

  it('tell nothing of a right guess that comes to its end after ten wrong ones', async () => {
    const userId = randomUUID()
    const wrong = () => said(one.attempt('wrong-passwords', { userId }, async () => false))

    const answer = await said(
      two.attempt('wrong-passwords', { userId }, async () => {
        for (let i = 0; i < 10; i++) expect(await wrong()).to.equal(false)
        return true
      }),
    )

    expect(answer).to.equal('too-many-attempts')
  })

  it('let in any number of right ones at one instant, and count none of them', async () => {
    const userId = randomUUID()
    const allChecking = gate(40)

    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        said(
          (i % 2 ? one : two).attempt('wrong-passwords', { userId }, async () => {
            await allChecking()
            return true
          }),
        ),
      ),
    )

    expect(count(answers, true)).to.equal(40)
    expect(await redis.exists(keyOf('wrong-passwords', userId))).to.equal(0)
  })

  it('check nothing any more at the limit, and count no check that failed', async () => {
    const userId = randomUUID()
    const failing = one.attempt('wrong-passwords', { userId }, () => Promise.reject(new AppError('unavailable')))
    expect(await said(failing)).to.equal('unavailable')
    for (let i = 0; i < 10; i++) await one.attempt('wrong-passwords', { userId }, async () => false)

    let checked = false
    const answer = await said(
      two.attempt('wrong-passwords', { userId }, async () => {
        checked = true
        return true
      }),
    )

    expect({ answer, checked }).to.deep.equal({ answer: 'too-many-attempts', checked: false })
    expect(await redis.get(keyOf('wrong-passwords', userId))).to.equal('10')
  })

  it('say in whole seconds when the window ends, which nothing prolongs', async () => {
    const userId = randomUUID()
    for (let i = 0; i < 10; i++) await one.mustSpend('wrong-passwords', { userId })
    await redis.pexpire(keyOf('wrong-passwords', userId), 4_200)

    const refused = await one.spend('wrong-passwords', { userId })

    expect(refused).to.include({ code: 'too-many-attempts', retryAfterSeconds: 5 })
    expect(await redis.pttl(keyOf('wrong-passwords', userId))).to.be.within(1, 4_200)
  })

  it('say so to whoever presents a secret at the limit, and one second where there is no end', async () => {
    const userId = randomUUID()
    for (let i = 0; i < 10; i++) await one.attempt('wrong-passwords', { userId }, async () => false)
    const attempt = () => one.attempt('wrong-passwords', { userId }, async () => true).catch((error: unknown) => error)

    await redis.pexpire(keyOf('wrong-passwords', userId), 4_200)
    expect(await attempt()).to.include({ code: 'too-many-attempts', retryAfterSeconds: 5 })
    await redis.persist(keyOf('wrong-passwords', userId))
    expect(await attempt()).to.include({ code: 'too-many-attempts', retryAfterSeconds: 1 })

    await redis.del(keyOf('wrong-passwords', userId))
  })

  it('end by themselves', async () => {
    const userId = randomUUID()
    await one.mustSpend('mails', { userId })
    await one.mustSpend('mails', { userId })
    expect(await one.spend('mails', { userId })).to.include({ code: 'too-many-attempts', retryAfterSeconds: 1 })

    await eventually(async () => expect(await redis.exists(keyOf('mails', userId))).to.equal(0))
    expect(await one.spend('mails', { userId })).to.equal(null)
  })

  it('keep each count under a key with a TTL, and no name and no address in it', async () => {
    const name = `nobody-${randomUUID()}@example.com`
    const earlier = await redis.keys(`${keyStart(keyPrefix)}:logins:*`)
    await one.mustSpend('wrong-passwords', { unknownName: name })
    await one.mustSpend('logins', { address: '192.0.2.200' })
    await one.mustSpend('logins', { address: '2001:db8:9:9:1::1' })
    await two.mustSpend('logins', { address: '2001:db8:9:9:2::2' })

    const keys = await redis.keys(`${keyStart(keyPrefix)}:*`)
    for (const key of keys) {
      expect(key).to.match(/:limit:[a-z-]+:([0-9a-f]{32}|[0-9a-f-]{36})$/)
      expect(await redis.ttl(key), `${key} has a TTL`).to.not.equal(-1)
    }
    const logins = keys.filter((key) => key.includes(':logins:') && !earlier.includes(key))
    expect(
      (await redis.mget(logins)).filter((value) => value === '2'),
      'one /64',
    ).to.have.length(1)
  })

  it('are unavailable when what lies under a key is no count', async () => {
    const userId = randomUUID()
    for (const text of ['ten', '', ' ', '1e3', '9.9', '-5', '0x10', '10 of them']) {
      await redis.set(keyOf('wrong-passwords', userId), text, 'EX', 60)
      const answer = await said(one.attempt('wrong-passwords', { userId }, async () => true))
      expect(answer, JSON.stringify(text)).to.equal('unavailable')
    }
    await redis.del(keyOf('wrong-passwords', userId))
    await redis.hset(keyOf('wrong-passwords', userId), 'points', 1)
    expect(await said(one.attempt('wrong-passwords', { userId }, async () => true))).to.equal('unavailable')
    await redis.del(keyOf('wrong-passwords', userId))
  })
})

/** Holds everybody until as many have come. */
function gate(size: number): () => Promise<void> {
  const held: (() => void)[] = []
  return () =>
    new Promise((resolve) => {
      if (held.push(resolve) === size) for (const letGo of held) letGo()
    })
}
