import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { createSessions, type Card, type Sessions } from '../../src/sessions/index.ts'
import { movableClock, type MovableClock } from '../support/clock.ts'
import { connectRedis, keyPrefix, redisUrl } from '../support/stores.ts'

const client = { address: '192.0.2.1', userAgent: 'test' }
const minute = 60_000
const lives = {
  accessMs: 15 * minute,
  idleMs: 7 * 24 * 60 * minute,
  absoluteMs: 30 * 24 * 60 * minute,
  graceMs: 30_000,
  reuseWindowMs: 24 * 60 * minute,
  perUserMax: 50,
}
const cardAt = (updatedAt: number, username: string): Card => ({
  username,
  email: 'ada@example.com',
  verified: false,
  role: 'user',
  updatedAt,
})

describe('the sessions in Redis', () => {
  let redis: ReturnType<typeof connectRedis>
  let sessions: Sessions
  let clock: MovableClock
  before(() => {
    redis = connectRedis(redisUrl())
  })
  after(() => redis.disconnect())
  beforeEach(() => {
    clock = movableClock()
    sessions = createSessions({ redis, prefix: keyPrefix, clock, lives: () => lives, log: () => undefined })
  })

  const open = (userId: string, card = cardAt(1, 'ada')) =>
    sessions.open({ userId, epoch: 0, card, client, deviceName: null })

  async function usernameSeenBy(accessToken: string): Promise<string | null | undefined> {
    const checked = await sessions.check(accessToken)
    return checked.kind === 'live' ? checked.card?.username : undefined
  }

  it('never replace a card by an older one, whichever arrives last', async () => {
    const userId = randomUUID()
    const { pair } = await open(userId, cardAt(5, 'five'))

    await sessions.putCard(userId, cardAt(4, 'four'))
    expect(await usernameSeenBy(pair.accessToken)).to.equal('five')
    await open(userId, cardAt(3, 'three'))
    expect(await usernameSeenBy(pair.accessToken)).to.equal('five')
    await sessions.putCard(userId, cardAt(6, 'six'))
    expect(await usernameSeenBy(pair.accessToken)).to.equal('six')
  })

  it('make no set of a card alone', async () => {
    const userId = randomUUID()

    await sessions.putCard(userId, cardAt(1, 'nobody'))

    expect(await redis.exists(`${keyPrefix}sessions:{${userId}}`)).to.equal(0)
  })

  it('leave no key behind when the last one ends', async () => {
    const userId = randomUUID()
    const { session } = await open(userId)

    await sessions.end(userId, [session.id], 'logged-out')

    expect(await redis.exists(`${keyPrefix}sessions:{${userId}}`)).to.equal(0)
  })

  it('answer a check with one round trip, and many checks of one turn with one as well', async () => {
    const opened = await Promise.all(Array.from({ length: 20 }, () => open(randomUUID())))
    const tokens = opened.map(({ pair }) => pair.accessToken)
    await sessions.check(tokens[0]!)

    const before = await scriptCallsOf(redis)
    const checked = await Promise.all(tokens.map((token) => sessions.check(token)))

    expect(checked.map(({ kind }) => kind)).to.deep.equal(tokens.map(() => 'live'))
    expect((await scriptCallsOf(redis)) - before).to.equal(1)
  })

  it('answer each check of a batch for its own token', async () => {
    const [first, second] = [await open(randomUUID(), cardAt(1, 'one')), await open(randomUUID(), cardAt(1, 'two'))]
    await sessions.end(second.session.userId, [second.session.id], 'logged-out')

    const [live, stranger, ended, malformed] = await Promise.all(
      [first.pair.accessToken, randomUUID(), second.pair.accessToken, 'no token'].map((token) => sessions.check(token)),
    )

    expect(live).to.deep.include({ kind: 'live', card: cardAt(1, 'one') })
    expect(stranger).to.deep.equal({ kind: 'unknown' })
    expect(ended).to.include({ kind: 'ended', sessionId: second.session.id, reason: 'logged-out' })
    expect(malformed).to.deep.equal({ kind: 'unknown' })
  })

  it('keep the sealed pair only while it may be asked for', async () => {
    const userId = randomUUID()
    const { session, pair } = await open(userId)
    const presented = await sessions.present(pair.refreshToken)
    if (presented.kind !== 'usable') throw new Error(presented.kind)
    const refreshed = await sessions.refresh(presented.held, pair.refreshToken, { card: cardAt(1, 'ada'), client })
    if (refreshed.kind !== 'rotated') throw new Error(refreshed.kind)
    const stored = async () => (await redis.hget(`${keyPrefix}sessions:{${userId}}`, session.id))!
    expect(await stored()).to.include('replay')

    clock.pass({ minutes: 2 })
    await sessions.check(refreshed.pair.accessToken)
    await sessions.settle()

    expect(await stored()).to.not.include('replay')
  })

  it('keep no pointer of a refresh that lost against another', async () => {
    const { pair } = await open(randomUUID())
    const presented = await sessions.present(pair.refreshToken)
    if (presented.kind !== 'usable') throw new Error(presented.kind)
    const by = { card: cardAt(1, 'ada'), client }
    const pointers = async () => (await redis.keys(`${keyPrefix}refresh:*`)).length
    const before = await pointers()

    await Promise.all(Array.from({ length: 8 }, () => sessions.refresh(presented.held, pair.refreshToken, by)))

    expect((await pointers()) - before).to.equal(1)
  })

  it('say of one that had lapsed when it was ended that it lapsed', async () => {
    const userId = randomUUID()
    const { pair } = await open(userId)
    clock.pass({ days: 8 })

    expect(await sessions.endAll(userId, 'logged-out-everywhere')).to.deep.equal([])

    expect(await sessions.check(pair.accessToken)).to.include({ kind: 'ended', reason: 'idle' })
  })

  it('shorten the life of a spent refresh token to the reuse window', async () => {
    const { pair } = await open(randomUUID())
    const presented = await sessions.present(pair.refreshToken)
    if (presented.kind !== 'usable') throw new Error(presented.kind)
    await sessions.refresh(presented.held, pair.refreshToken, { card: cardAt(1, 'ada'), client })
    await sessions.settle()

    const ttl = await redis.pttl(`${keyPrefix}refresh:${presented.held.session.refreshDigest}`)

    expect(ttl).to.be.within(lives.reuseWindowMs - minute, lives.reuseWindowMs)
  })

  it('end the one unused for longest, and any that lapsed, when there are too many', async () => {
    const small = createSessions({
      redis,
      prefix: keyPrefix,
      clock,
      lives: () => ({ ...lives, perUserMax: 2 }),
      log: () => undefined,
    })
    const person = { userId: randomUUID(), epoch: 0, card: cardAt(1, 'ada'), client, deviceName: null }
    const lapsed = await small.open(person)
    clock.pass({ days: 8 })
    const oldest = await small.open(person)
    clock.pass({ minutes: 1 })
    await small.open(person)
    clock.pass({ minutes: 1 })

    const { removed } = await small.open(person)

    expect(oldest.removed).to.deep.equal([{ sessionId: lapsed.session.id, reason: 'idle' }])
    expect(removed).to.deep.equal([{ sessionId: oldest.session.id, reason: 'evicted' }])
    expect(await small.check(oldest.pair.accessToken)).to.include({ kind: 'ended', reason: 'evicted' })
    expect(await small.list(person.userId)).to.have.length(2)
  })
})

/** How many scripts this Redis has been asked to run. */
async function scriptCallsOf(redis: ReturnType<typeof connectRedis>): Promise<number> {
  const stats = await redis.info('commandstats')
  return ['eval', 'evalsha']
    .map((command) => Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0))
    .reduce((sum, calls) => sum + calls)
}
