import { expect } from 'chai'
import type { Knex } from 'knex'
import { startJobs } from '../../src/platform/jobs.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { addressOf, startProxy, urlThrough } from '../support/proxy.ts'
import { ownDatabase } from '../support/stores.ts'

describe('the jobs', function () {
  this.timeout(30_000)
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  before(async () => {
    database = await ownDatabase()
    knex = connectPostgres(database.url)
  })
  after(async () => {
    await knex.destroy()
    await database.drop()
  })

  it('wait once for each task of the schedule, however often it has come and failed', async () => {
    let attempts = 0
    const fail = async () => {
      attempts += 1
      throw new Error('again')
    }
    const minute = new Date(Date.now() - 300_000).getUTCMinutes()
    const begin = () =>
      startJobs({
        url: database.url,
        timeoutMs: 1500,
        concurrency: 1,
        tasks: { 'always-failing': fail },
        schedule: [{ task: 'always-failing', match: `${minute} * * * *` }],
        log: () => undefined,
      })
    const known = () => knex('graphile_worker._private_known_crontabs')
    const first = begin()
    await eventually(async () => expect(await known().pluck('identifier')).to.include('always-failing'), 10_000)
    await first.stop()

    for (let hour = 1; hour <= 3; hour++) {
      await known().update({ known_since: knex.raw(`now() - interval '3 hours'`), last_execution: null })
      const jobs = begin()
      await eventually(() => expect(attempts).to.equal(hour), 10_000)
      await jobs.stop()
    }

    expect(await knex('graphile_worker.jobs').select('task_identifier', 'attempts')).to.deep.equal([
      { task_identifier: 'always-failing', attempts: 1 },
    ])
  })

  it('leave the console alone when PostgreSQL goes while a worker that is stopping looks for a job', async () => {
    const traced: unknown[] = []
    const { trace } = console
    console.trace = (...words: unknown[]) => traced.push(words)
    const jobs = startJobs({
      url: database.url,
      timeoutMs: 1500,
      concurrency: 1,
      tasks: { idle: async () => undefined },
      schedule: [],
      log: () => undefined,
    })
    const held = await knex.transaction()
    await held.raw('lock table graphile_worker._private_jobs in access exclusive mode')
    const looking = () => knex('pg_stat_activity').where({ application_name: 'latchkey jobs', wait_event_type: 'Lock' })
    await eventually(async () => expect(await looking()).to.have.length(1), 10_000)

    const stopped = jobs.stop()
    await knex.raw(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'latchkey jobs'`)
    await stopped

    await held.rollback()
    console.trace = trace
    expect(traced).to.deep.equal([])
  })

  it('stop without harm when PostgreSQL has gone silent before it has said that it listens', async () => {
    const proxy = await startProxy(addressOf(database.url))
    const isSilent = new Promise<void>((resolve) => {
      proxy.begin({
        kind: 'replace',
        by(sent) {
          if (sent.includes('LISTEN "jobs:insert"')) {
            proxy.begin({ kind: 'lose-replies' })
            resolve()
          }
          return sent
        },
      })
    })
    const failures: unknown[] = []
    const note = (failure: unknown) => failures.push(failure)
    process.prependListener('unhandledRejection', note)
    const jobs = startJobs({
      url: urlThrough(proxy, database.url),
      timeoutMs: 300,
      concurrency: 1,
      tasks: { idle: async () => undefined },
      schedule: [],
      log: () => undefined,
    })
    await isSilent

    await jobs.stop()

    await eventually(() => expect(proxy.connections()).to.equal(0), 10_000)
    process.off('unhandledRejection', note)
    await proxy.close()
    expect(failures).to.deep.equal([])
  })
})
