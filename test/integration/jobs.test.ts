import { expect } from 'chai'
import type { Knex } from 'knex'
import { startJobs } from '../../src/platform/jobs.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres } from '../support/own-stores.ts'
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
})
