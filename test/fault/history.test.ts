import { expect } from 'chai'
import { eventually } from '../support/eventually.ts'
import { seed, random } from '../support/seed.ts'
import { password } from '../support/people.ts'
import { check } from './history/checker.ts'
import { runNemesis } from './history/nemesis.ts'
import { createRecorder, type Recorder } from './history/recorder.ts'
import { graceSeconds, openStage, type Stage } from './history/stage.ts'
import { readAll, runClients, settle, type Person, type World } from './history/workload.ts'

const historySeconds = Number(process.env['HISTORY_SECONDS'] ?? 45)
const recoveryMs = 15_000

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

  it('has an order that explains it, whatever happens to the stores and instances', async () => {
    const world = aWorld()
    const people = await settle(world, 5)
    const endsAt = performance.now() + historySeconds * 1000
    const isOver = () => performance.now() > endsAt

    const [harms] = await Promise.all([
      runNemesis(stage, world.recorder, {
        chance: random('nemesis'),
        isOver,
        withOlderCopies: process.env['OLDER'] === '1',
      }),
      runClients(world, people, { clients: 16, isOver }),
    ])
    await Promise.all(
      stage.instances.map(({ client }) =>
        eventually(async () => expect((await client().get('/health/ready')).status).to.equal(200), recoveryMs),
      ),
    )
    await readAll(world, people)

    const { calls, outrages } = world.recorder
    const { counterexamples, searches, explored, ms } = reportOf(world.recorder, people)
    const unknown = calls.filter(({ outcome }) => outcome.kind === 'unknown').length
    const faults = [...harms.values()].reduce((sum, count) => sum + count, 0)
    const endings = calls.filter(
      ({ asked, outcome }) => outcome.kind === 'ok' && !['check', 'refresh', 'log in'].includes(asked.what),
    ).length
    console.log(
      `      ${calls.length} calls (${unknown} without a verdict), ${faults} faults, ${endings} acknowledged endings, ` +
        `${searches} searches, ${explored} states in ${Math.round(ms)} ms, seed ${seed}`,
    )
    console.log([...harms].map(([kind, count]) => `${kind} ${count}`).join(', '))
    expect(outrages).to.deep.equal([])
    expect(counterexamples.slice(0, 5).join('\n\n'), `seed ${seed}`).to.equal('')
  })
})
