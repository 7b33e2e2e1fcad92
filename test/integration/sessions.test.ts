import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import {
  createSessions,
  type Card,
  type Presented,
  type Lives,
  type Opened,
  type Session,
  type Sessions,
} from '../../src/sessions/index.ts'
import { encodeSession, lapseOf } from '../../src/sessions/session.ts'
import { AppError } from '../../src/errors.ts'
import { createContinuity } from '../../src/platform/continuity.ts'
import { digest } from '../../src/platform/digest.ts'
import { openRedis } from '../../src/platform/redis.ts'
import { continuityOf, refusalOf } from '../support/accounts.ts'
import { movableClock, type MovableClock } from '../support/clock.ts'
import { eventually } from '../support/eventually.ts'
import { connectRedis, keyPrefix, redisUrl } from '../support/stores.ts'
import { ownCluster } from '../support/topologies.ts'

const client = { address: '192.0.2.1', userAgent: 'test' }
const minute = 60_000
const lives = {
  accessMs: 15 * minute,
  idleMs: 7 * 24 * 60 * minute,
  absoluteMs: 30 * 24 * 60 * minute,
  graceMs: 30_000,
  reuseWindowMs: 24 * 60 * minute,
  perUserMax: 50,
  accessLapsedTo: 0,
  idleLapsedTo: 0,
  absoluteLapsedTo: 0,
  graceLapsedTo: 0,
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
    sessions = createSessions({
      redis,
      continuity: continuityOf(redis),
      prefix: keyPrefix,
      clock,
      lives: () => lives,
      log: () => undefined,
    })
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

  it('answer a check with one round trip, and sixteen checks of one turn with one as well', async () => {
    const opened = await Promise.all(Array.from({ length: 16 }, () => open(randomUUID())))
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
    const refreshed = await sessions.refresh(presented.held, { card: cardAt(1, 'ada'), client })
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
    const pointers = async () => (await redis.keys(`${keyPrefix}rt:*`)).length
    const before = await pointers()

    await Promise.all(Array.from({ length: 8 }, () => sessions.refresh(presented.held, by)))

    expect((await pointers()) - before).to.equal(1)
  })

  it('rotate sixteen pairs of one turn by one script, and each wins or loses by itself', async () => {
    const known = await open(randomUUID())
    await sessions.replacePair(known.session.userId, known.session.id, { card: cardAt(1, 'ada'), client })
    const ofTwo = randomUUID()
    const owners = [...Array.from({ length: 14 }, () => randomUUID()), ofTwo, ofTwo]
    const opened = await Promise.all(owners.map((userId) => open(userId)))
    const [ended, overwritten] = opened as [Opened, Opened]
    const held = await Promise.all(
      opened.map(async ({ pair }) => {
        const presented = await sessions.present(pair.refreshToken)
        if (presented.kind !== 'usable') throw new Error(presented.kind)
        return presented.held
      }),
    )
    // Of the one who has two the later comes with an older card.
    const refresh = (i: number) => sessions.refresh(held[i]!, { card: cardAt(100 - i, `person${i}`), client })
    await sessions.end(ended.session.userId, [ended.session.id], 'revoked')
    await redis.set(`${keyPrefix}sessions:{${overwritten.session.userId}}`, 'no hash')

    const before = await scriptCallsOf(redis)
    const [again, first, second, third, ...others] = await Promise.all([
      refresh(2),
      refresh(0),
      refusalOf(refresh(1)),
      refresh(2),
      ...held.slice(3).map((_, i) => refresh(i + 3)),
    ])

    expect((await scriptCallsOf(redis)) - before).to.equal(2)
    expect(first).to.include({ kind: 'ended', reason: 'revoked' })
    expect(second).to.include({ code: 'unavailable' })
    if (again.kind !== 'rotated' || third.kind !== 'replayed') throw new Error(`${again.kind}, ${third.kind}`)
    expect(third.pair).to.deep.equal(again.pair)
    expect(others.map(({ kind }) => kind)).to.deep.equal(Array(13).fill('rotated'))
    for (const [i, outcome] of others.entries()) {
      if (outcome.kind !== 'rotated') continue
      expect(await usernameSeenBy(outcome.pair.accessToken)).to.equal(`person${Math.min(i + 3, 14)}`)
      expect(await sessions.present(outcome.pair.refreshToken)).to.include({ kind: 'usable' })
      const { pair: spent } = opened[i + 3]!
      expect(await sessions.present(spent.refreshToken)).to.include({ kind: 'usable' }) // a retry, for a while
      const livesMinutes = [
        await redis.pttl(`${keyPrefix}at:${digest(outcome.pair.accessToken)}`),
        await redis.pttl(`${keyPrefix}rt:${digest(outcome.pair.refreshToken)}`),
        await redis.pttl(`${keyPrefix}rt:${digest(spent.refreshToken)}`),
      ].map((ms) => Math.round(ms / minute))
      expect(livesMinutes).to.deep.equal([30, 8 * 24 * 60, 24 * 60])
    }
    await redis.del(`${keyPrefix}sessions:{${overwritten.session.userId}}`) // whoever reads all keys would stumble over it
  })

  it('say nothing of a token of either kind while Redis may have forgotten endings', async () => {
    const { pair } = await open(randomUUID())
    let mayRestore = false
    const restore = async () => {
      if (!mayRestore) throw new AppError('unavailable')
      return 0
    }
    const log = () => undefined
    const continuity = createContinuity({ redis, restore, followUp: async () => 0, timeoutMs: 200, log })
    const doubting = createSessions({ redis, continuity, prefix: keyPrefix, clock, lives: () => lives, log })
    const refusals = [doubting.check(pair.accessToken), doubting.present(pair.refreshToken)].map(refusalOf)
    for (const refusal of await Promise.all(refusals)) expect(refusal).to.include({ code: 'unavailable' })

    mayRestore = true

    await eventually(async () => expect(await doubting.present(pair.refreshToken)).to.include({ kind: 'usable' }))
    continuity.stop()
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
    await sessions.refresh(presented.held, { card: cardAt(1, 'ada'), client })
    await sessions.settle()

    const ttl = await redis.pttl(`${keyPrefix}rt:${presented.held.session.refreshDigest}`)

    expect(ttl).to.be.within(lives.reuseWindowMs - minute, lives.reuseWindowMs)
  })

  it('end the one unused for longest, and any that lapsed, when there are too many', async () => {
    const small = createSessions({
      redis,
      continuity: continuityOf(redis),
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

describe('the sessions in a Redis Cluster', function () {
  this.timeout(60_000)

  it('rotate a pair once, and keep no pointer of a refresh that lost against another', async () => {
    const cluster = await ownCluster()
    const log = () => undefined
    const redis = openRedis({ url: cluster.url, timeoutMs: 5000, log })
    const continuity = continuityOf(redis)
    const clock = movableClock()
    const sessions = createSessions({ redis, continuity, prefix: keyPrefix, clock, lives: () => lives, log })
    await eventually(() => expect(continuity.isWhole()).to.equal(true), 20_000)
    const card = cardAt(1, 'ada')
    const { pair } = await sessions.open({ userId: randomUUID(), epoch: 0, card, client, deviceName: null })
    const presented = await sessions.present(pair.refreshToken)
    if (presented.kind !== 'usable') throw new Error(presented.kind)
    const pointers = async () =>
      (await Promise.all((await cluster.primaries()).map((node) => cluster.operator(node).keys('*:rt:*')))).flat()
        .length
    expect(await pointers()).to.equal(1)

    const refreshed = await Promise.all(
      Array.from({ length: 8 }, () => sessions.refresh(presented.held, { card, client })),
    )

    expect(refreshed.filter(({ kind }) => kind === 'rotated')).to.have.length(1)
    expect(await pointers()).to.equal(2)
    for (const each of refreshed) {
      if (each.kind !== 'rotated' && each.kind !== 'replayed') throw new Error(each.kind)
      expect(await sessions.check(each.pair.accessToken)).to.include({ kind: 'live' })
    }
    continuity.stop()
    redis.disconnect()
    await cluster.discard()
  })
})

describe('the sessions in Redis, when lives change while they are open', () => {
  const hour = 60 * minute
  const by = { card: cardAt(1, 'ada'), client }
  let redis: ReturnType<typeof connectRedis>
  let sessions: Sessions
  let clock: MovableClock
  let today: Lives
  before(() => {
    redis = connectRedis(redisUrl())
  })
  after(() => redis.disconnect())
  beforeEach(() => {
    clock = movableClock()
    today = lives
    sessions = createSessions({
      redis,
      continuity: continuityOf(redis),
      prefix: keyPrefix,
      clock,
      lives: () => today,
      log: () => undefined,
    })
  })

  const open = (userId: string = randomUUID()) => sessions.open({ userId, epoch: 0, ...by, deviceName: null })

  async function held(refreshToken: string): Promise<Presented> {
    const presented = await sessions.present(refreshToken)
    if (presented.kind !== 'usable') throw new Error(presented.kind)
    return presented.held
  }

  for (const [life, reason] of [
    ['idleMs', 'idle'],
    ['absoluteMs', 'expired'],
  ] as const)
    it(`take one for ${reason} in every way when ${life} is shorter than it is old`, async () => {
      const { session, pair } = await open()
      const { userId, id } = session
      const ended = { userId, sessionId: id, reason }
      const read = await held(pair.refreshToken)
      clock.pass({ minutes: 10 })

      today = { ...lives, [life]: 10 * minute }

      expect(await sessions.check(pair.accessToken)).to.include({ kind: 'lapsed', reason })
      expect(await sessions.present(pair.refreshToken)).to.deep.equal({ kind: 'ended', ...ended })
      expect(await sessions.refresh(read, by)).to.deep.equal({ kind: 'ended', ...ended })
      expect(await sessions.list(userId)).to.deep.equal([])
      expect(await sessions.find(userId, id)).to.equal(null)
      expect(await sessions.rename(userId, id, 'laptop')).to.equal(null)
      expect(await sessions.replacePair(userId, id, by)).to.equal(null)
      expect(await sessions.end(userId, [id], 'revoked')).to.deep.equal([])
      expect(await sessions.reasonOf(id)).to.equal(reason)
    })

  it('let an access token expire by a shorter life, and go on with a refresh', async () => {
    const { pair } = await open()
    clock.pass({ minutes: 5 })

    today = { ...lives, accessMs: 5 * minute }

    expect(await sessions.check(pair.accessToken)).to.include({ kind: 'lapsed', reason: 'expired' })
    const refreshed = await sessions.refresh(await held(pair.refreshToken), by)
    if (refreshed.kind !== 'rotated') throw new Error(refreshed.kind)
    expect(refreshed.session.access.expiresAt).to.equal(clock.now() + 5 * minute)
    expect((await sessions.check(refreshed.pair.accessToken)).kind).to.equal('live')
  })

  it('let the pair before go at once when its grace or its life is shorter', async () => {
    const { pair } = await open()
    clock.pass({ minutes: 5 })
    const read = await held(pair.refreshToken)
    await sessions.refresh(read, by)
    clock.pass({ seconds: 10 })
    const kinds = async () => [
      (await sessions.check(pair.accessToken)).kind,
      (await sessions.present(pair.refreshToken)).kind,
    ]
    expect(await kinds()).to.deep.equal(['live', 'usable'])

    today = { ...lives, accessMs: 5 * minute }
    expect(await kinds()).to.deep.equal(['lapsed', 'usable'])
    today = { ...lives, graceMs: 10_000 }
    expect(await kinds()).to.deep.equal(['lapsed', 'reused'])
    expect((await sessions.refresh(read, by)).kind).to.equal('reused')
  })

  it('show the times that count, whoever returns them', async () => {
    const { session, pair } = await open()
    const { userId, id, createdAt } = session
    clock.pass({ minutes: 1 })

    today = { ...lives, accessMs: 5 * minute, idleMs: 20 * minute, absoluteMs: 21 * minute }

    const times = ({ access, idleExpiresAt, expiresAt }: Session) =>
      [access.expiresAt, idleExpiresAt, expiresAt].map((at) => (at - createdAt) / minute)
    const checked = await sessions.check(pair.accessToken)
    if (checked.kind !== 'live') throw new Error(checked.kind)
    expect(times(checked.session)).to.deep.equal([5, 20, 21])
    expect(times((await sessions.find(userId, id))!)).to.deep.equal([5, 20, 21])
    expect(times((await sessions.list(userId))[0]!)).to.deep.equal([5, 20, 21])
    expect(times((await sessions.rename(userId, id, 'laptop'))!)).to.deep.equal([5, 20, 21])
    const refreshed = await sessions.refresh(await held(pair.refreshToken), by)
    if (refreshed.kind !== 'rotated') throw new Error(refreshed.kind)
    expect(times(refreshed.session)).to.deep.equal([6, 21, 21])
    today = { ...today, accessMs: 4 * minute }
    const replayed = await sessions.refresh(await held(pair.refreshToken), by)
    if (replayed.kind !== 'replayed') throw new Error(replayed.kind)
    expect(times(replayed.session)).to.deep.equal([5, 21, 21])
    expect(times((await sessions.replacePair(userId, id, by))!.session)).to.deep.equal([5, 21, 21])
  })

  it('leave what is stored as it is, so that what has not lapsed goes on when a life is put back', async () => {
    const { session, pair } = await open()
    const { userId, id } = session
    clock.pass({ minutes: 2 })

    today = { ...lives, accessMs: 5 * minute, idleMs: 20 * minute, absoluteMs: 21 * minute }
    await sessions.check(pair.accessToken)
    await sessions.settle()
    await sessions.rename(userId, id, 'laptop')
    today = lives

    expect(await sessions.find(userId, id)).to.deep.equal({
      ...session,
      lastSeenAt: clock.now(),
      deviceName: 'laptop',
    })
  })

  it('revive none that a life of before has ended', async () => {
    const { session, pair } = await open()
    const { userId, id, createdAt } = session
    clock.pass({ minutes: 1 })
    const { session: younger } = await open(userId)

    today = { ...lives, accessLapsedTo: createdAt }
    expect(await sessions.check(pair.accessToken)).to.include({ kind: 'lapsed', reason: 'expired' })
    expect((await sessions.present(pair.refreshToken)).kind).to.equal('usable')
    for (const [life, reason] of [
      ['idleLapsedTo', 'idle'],
      ['absoluteLapsedTo', 'expired'],
    ] as const) {
      today = { ...lives, [life]: createdAt }
      expect(await sessions.check(pair.accessToken)).to.include({ kind: 'lapsed', reason })
      expect(await sessions.present(pair.refreshToken)).to.include({ kind: 'ended', reason })
      expect(await sessions.list(userId)).to.deep.equal([younger])
    }
    const { removed } = await open(userId)
    expect(removed).to.deep.equal([{ sessionId: id, reason: 'expired' }])
  })

  it('give none that is open a longer life than it began with', async () => {
    const { session, pair } = await open()
    const { userId, id, access, idleExpiresAt, expiresAt } = session

    today = { ...lives, accessMs: 30 * minute, idleMs: 2 * lives.idleMs, absoluteMs: 2 * lives.absoluteMs }

    expect(await sessions.find(userId, id)).to.deep.include({ access, idleExpiresAt, expiresAt })
    clock.pass({ minutes: 15 })
    expect(await sessions.check(pair.accessToken)).to.include({ kind: 'lapsed', reason: 'expired' })
    clock.pass({ days: 6 })
    const refreshed = await sessions.refresh(await held(pair.refreshToken), by)
    if (refreshed.kind !== 'rotated') throw new Error(refreshed.kind)
    expect(refreshed.session.expiresAt).to.equal(expiresAt)
  })

  it('bring a person under a smaller cap with their next login', async () => {
    const userId = randomUUID()
    await open(userId)
    clock.pass({ minutes: 1 })
    await open(userId)
    clock.pass({ minutes: 1 })

    today = { ...lives, perUserMax: 1 }

    expect(await sessions.list(userId)).to.have.length(2)
    expect((await open(userId)).removed.map(({ reason }) => reason)).to.deep.equal(['evicted', 'evicted'])
    expect(await sessions.list(userId)).to.have.length(1)
  })

  it('are cleared out at a login by the rule that judges them everywhere else', async () => {
    const { session: base } = await open()
    const now = clock.now()
    const at = fc.integer({ min: -2, max: 2 }).map((minutes) => now + minutes * minute)
    const life = fc.integer({ min: 0, max: 4 }).map((minutes) => minutes * minute)
    const someLives = fc.record({ idleMs: life, absoluteMs: life, idleLapsedTo: at, absoluteLapsedTo: at })
    const times = fc.record({ createdAt: at, refreshedAt: at, idleExpiresAt: at, expiresAt: at })
    await fc.assert(
      fc.asyncProperty(fc.array(times, { minLength: 1, maxLength: 5 }), someLives, async (all, someOfToday) => {
        const userId = randomUUID()
        const stored = all.map((its) => ({ ...base, ...its, id: randomUUID(), userId }))
        await redis.hset(
          `${keyPrefix}sessions:{${userId}}`,
          Object.fromEntries(stored.map((session) => [session.id, encodeSession(session)])),
        )
        today = { ...lives, ...someOfToday }

        const { removed } = await open(userId)

        const lapsed = stored.flatMap((session) => {
          const reason = lapseOf(session, today, now)
          return reason ? [{ sessionId: session.id, reason }] : []
        })
        expect(removed).to.have.deep.members(lapsed)
      }),
    )
  })

  it('end by themselves at the hour that was shown', async () => {
    const { session, pair } = await open()
    today = { ...lives, accessMs: hour, idleMs: hour, absoluteMs: hour }
    clock.pass({ minutes: 59 })
    const refreshed = await sessions.refresh(await held(pair.refreshToken), by)
    if (refreshed.kind !== 'rotated') throw new Error(refreshed.kind)

    clock.pass({ seconds: 59 })
    expect((await sessions.check(refreshed.pair.accessToken)).kind).to.equal('live')
    clock.pass({ seconds: 1 })
    expect(await sessions.check(refreshed.pair.accessToken)).to.include({ kind: 'lapsed', reason: 'expired' })
    expect(refreshed.session.expiresAt).to.equal(session.createdAt + hour)
  })
})

/** How many scripts this Redis has been asked to run. */
async function scriptCallsOf(redis: ReturnType<typeof connectRedis>): Promise<number> {
  const stats = await redis.info('commandstats')
  return ['eval', 'evalsha']
    .map((command) => Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0))
    .reduce((sum, calls) => sum + calls)
}
