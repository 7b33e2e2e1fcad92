import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { createClient } from '../support/client.ts'
import { note, untilReadyIs } from '../support/faults.ts'
import { password } from '../support/people.ts'
import { random, seed, some } from '../support/seed.ts'
import { check } from './history/checker.ts'
import { claimsLogouts, endsLater, keepsChecks, replaysForEver, startLiar, type Lie } from './history/liar.ts'
import { forget, runNemesis } from './history/nemesis.ts'
import { createRecorder, type Recorder } from './history/recorder.ts'
import { graceSeconds, openStage, type Stage } from './history/stage.ts'
import { mixture, readAll, runClients, settle, type Manner, type Person, type World } from './history/workload.ts'

/**
 * Many clients on three instances, while stores, network and instances fail: is there an order of all that they asked for
 * that explains all that they were told? What the checker looks at, and what it does not, is said in history/checker.ts.
 *
 * HISTORY_SECONDS makes the history longer (40), FAULT_SEED repeats its choices; not the order in which things happen.
 */
const historySeconds = Number(process.env['HISTORY_SECONDS'] ?? some(40))
/** A machine that is short of time takes up to twice as long, or the history would say little. */
const answersMin = some(1000)

describe('a history of many clients', function () {
  this.timeout(60_000 + historySeconds * 4000)
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage.close())

  function aWorld(): World {
    return { places: stage.instances, recorder: createRecorder(), smtp: stage.smtp, authorization: stage.authorization }
  }

  function reportOf(recorder: Recorder, people: Person[]) {
    const passwords = Object.fromEntries(people.map(({ name }) => [name, password]))
    const startedAt = performance.now()
    const report = check(recorder.history(passwords, graceSeconds * 1000))
    return { ...report, ms: performance.now() - startedAt }
  }

  const told = (counterexamples: string[]) => counterexamples.slice(0, 5).join('\n\n')

  function expectExplained(recorder: Recorder, people: Person[]): void {
    expect(recorder.outrages).to.deep.equal([])
    expect(told(reportOf(recorder, people).counterexamples), `FAULT_SEED=${seed}`).to.equal('')
  }

  const overIn = (seconds: number) => {
    const endsAt = performance.now() + seconds * 1000
    return () => performance.now() > endsAt
  }

  it('has an order that explains it, whatever happens to the stores and instances', async () => {
    const world = aWorld()
    const people = await settle(world, 4)
    const [isLongEnough, isTooLong] = [overIn(historySeconds), overIn(historySeconds * 2)]
    const isOver = () => isTooLong() || (isLongEnough() && world.recorder.answered() >= answersMin)

    const [harms] = await Promise.all([
      runNemesis(stage, world.recorder, { chance: random('nemesis'), isOver }),
      runClients(world, people, { clients: 16, thinkMaxMs: 170, sessions: 5, mixture }, isOver),
    ])
    await Promise.all(stage.instances.map(({ client }) => untilReadyIs(200, client())))
    await readAll(world, people)

    const { calls, outrages } = world.recorder
    const { counterexamples, searches, explored, ms } = reportOf(world.recorder, people)
    const unknown = calls.filter(({ outcome }) => outcome.kind === 'unknown')
    const checks = calls.filter(({ asked }) => asked.what === 'check')
    const faults = [...harms.values()].reduce((sum, count) => sum + count, 0)
    note(
      'A history of many clients',
      `${calls.length} calls (${checks.length} of them checks, ${unknown.length} without a verdict), ` +
        `${faults} faults, ${world.recorder.endings()} acknowledged endings in ${historySeconds} s; ` +
        `${searches} searches, ${explored} states, ${Math.round(ms)} ms`,
    )
    note('Faults of the history', [...harms].map((each) => each.join(' ')).join(', '))
    expect(outrages).to.deep.equal([])
    expect(told(counterexamples), `FAULT_SEED=${seed}`).to.equal('')
  })

  it('has an order that explains it where passwords change under slow logins', async () => {
    const [one, two] = stage.instances
    const world: World = { ...aWorld(), places: [one!, two!] }
    const people = await settle(world, 1)
    one!.redis.begin({ kind: 'delay', eachWayMs: 100 })
    const manner = {
      clients: 12,
      thinkMaxMs: 30,
      sessions: 3,
      mixture: { check: 4, 'log in': 10, 'change password': 2 },
    }

    await runClients(world, people, manner, overIn(4))
    one!.redis.cut()
    one!.redis.heal()
    await untilReadyIs(200, one!.client())
    await readAll(world, people)

    expectExplained(world.recorder, people)
  })

  it('has an order that explains it where Redis forgets again and again what was acknowledged', async () => {
    const world = aWorld()
    const people = await settle(world, 2)
    const times = 4
    let isOver = false
    const manner = {
      clients: 10,
      thinkMaxMs: 20,
      sessions: 5,
      mixture: { check: 20, refresh: 4, 'log in': 4, 'log out': 3, revoke: 2, 'log out everywhere': 0.3 },
    }

    await Promise.all([
      runClients(world, people, manner, () => isOver),
      (async () => {
        for (let i = 0; i < times; i++) {
          await forget(stage, world.recorder)
          await delay(500)
        }
        isOver = true
      })(),
    ])
    await Promise.all(stage.instances.map(({ client }) => untilReadyIs(200, client())))
    await readAll(world, people)

    expectExplained(world.recorder, people)
  })

  describe('before which somebody lies', () => {
    /** What a quiet machine finds in the first round, one that is short of time finds later. */
    const roundSeconds = 2
    const roundsMax = 20

    /** Has clients ask a liar before one of the instances, until the checker finds it out. */
    async function foundOut(
      lie: Lie,
      does: Manner['mixture'],
      harm: (isOver: () => boolean) => Promise<void> = async () => undefined,
    ): Promise<string> {
      const [one, two] = stage.instances
      const liar = await startLiar(() => one!.client().url, lie)
      try {
        const client = createClient(liar.url)
        const world: World = { ...aWorld(), places: [{ name: 'liar', client: () => client }, two!] }
        const people = await settle(world, 1)
        const manner = { clients: 6, thinkMaxMs: 5, sessions: 1, mixture: does }
        for (let round = 1; round <= roundsMax; round++) {
          const isOver = overIn(roundSeconds)
          await Promise.all([runClients(world, people, manner, isOver), harm(isOver)])
          const [counterexample] = reportOf(world.recorder, people).counterexamples
          if (counterexample !== undefined) return print(counterexample)
        }
        return 'nothing was found'
      } finally {
        await liar.close()
      }
    }

    function print(counterexample: string): string {
      console.log(counterexample.replaceAll(/^/gm, '        '))
      return counterexample
    }

    it('finds that a token was kept for 100 ms after it was checked', async () => {
      expect(await foundOut(keepsChecks(100), { check: 8, 'log out': 1 })).to.match(/at liar .* ok +<- fits no order/)
    })

    it('finds that a logout was claimed which the service had not confirmed', async () => {
      const { redis } = stage.instances[0]!
      const harm = async (isOver: () => boolean) => {
        while (!isOver()) {
          redis.begin({ kind: 'refuse' })
          await delay(300)
          redis.heal()
          await delay(300)
        }
      }

      expect(await foundOut(claimsLogouts, { check: 5, 'log out': 1 }, harm)).to.match(/at liar +log out \(.* ok/)
    })

    it('finds that a logout was done only after it was acknowledged', async () => {
      expect(await foundOut(endsLater(300), { check: 5, 'log out': 1 })).to.match(/at liar +log out \(.* ok/)
    })

    it('finds that a spent refresh token still gave its first successor', async () => {
      expect(await foundOut(replaysForEver(), { refresh: 1, 'refresh again': 1 })).to.match(
        /at liar +refresh .* ok the same again: .*<- fits no order/,
      )
    })
  })
})
