import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { createSessions, type Card, type Sessions } from '../../src/sessions/index.ts'
import { continuityOf } from '../support/accounts.ts'
import { movableClock } from '../support/clock.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'

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
const card: Card = { username: 'ada', email: 'ada@example.com', verified: false, role: 'user', updatedAt: 1 }
const client = { address: '192.0.2.1', userAgent: 'test' }

/**
 * How far the share that is found among so many draws may be from the true one, failing once in 10⁹ runs (Hoeffding:
 * 2 exp(-2 n t²)); and one in a hundred for what Redis draws unevenly, which more draws do not make smaller.
 */
const shareTolerance = (draws: number) => Math.sqrt(Math.log(2e9) / (2 * draws)) + 0.01

describe('the estimate of open sessions', () => {
  let redis: OwnRedis
  let sessions: Sessions
  const clock = movableClock()
  let openCount = 0

  const open = (userId: string) => sessions.open({ userId, epoch: 0, card, client, deviceName: null })

  /** People with one to three sessions each. */
  async function people(count: number) {
    const opened = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const userId = randomUUID()
        const theirs = []
        for (let n = 0; n <= i % 3; n++) theirs.push(await open(userId))
        return theirs
      }),
    )
    return opened.flat()
  }

  before(async function () {
    this.timeout(60_000)
    redis = await ownRedis()
    sessions = createSessions({
      log: () => undefined,
      redis: redis.operator(),
      continuity: continuityOf(redis.operator()),
      prefix: 'latchkey:',
      clock,
      lives: () => lives,
    })
  })
  after(() => redis.discard())

  it('is none of an empty Redis', async () => {
    expect((await sessions.estimateOpen()).open).to.equal(0)
  })

  it('leaves out what has lapsed, was ended or is a spent token, and the keys of others', async () => {
    await people(300)
    clock.pass({ days: 8 })
    const [ended, refreshed, plain] = [await people(200), await people(400), await people(300)]
    await Promise.all(ended.map(({ session }) => sessions.end(session.userId, [session.id], 'logged-out')))
    await Promise.all(
      refreshed.map(async ({ pair }) => {
        const presented = await sessions.present(pair.refreshToken)
        if (presented.kind !== 'usable') throw new Error(presented.kind)
        await sessions.refresh(presented.held, { card, client })
      }),
    )
    await Promise.all(Array.from({ length: 500 }, (_, i) => redis.operator().set(`other:${i}`, '')))
    openCount = refreshed.length + plain.length
    const keyCount = await redis.operator().dbsize()

    const draws = 100_000
    const { open: estimated, standardError } = await sessions.estimateOpen(draws)

    expect(estimated).to.be.closeTo(openCount, shareTolerance(draws) * keyCount)
    const share = openCount / keyCount
    expect(standardError).to.be.closeTo(keyCount * Math.sqrt((share * (1 - share)) / draws), 0.1 * standardError + 1)
  }).timeout(60_000)

  it('is as good as its standard error says, with the draws that a scrape takes', async () => {
    const keyCount = await redis.operator().dbsize()
    const estimates = []
    for (let i = 0; i < 50; i++) estimates.push(await sessions.estimateOpen())

    for (const { open: estimated } of estimates)
      expect(estimated).to.be.closeTo(openCount, shareTolerance(1000) * keyCount)
    const mean = estimates.reduce((sum, { open: estimated }) => sum + estimated, 0) / estimates.length
    expect(mean).to.be.closeTo(openCount, shareTolerance(50_000) * keyCount)
  }).timeout(60_000)
})
