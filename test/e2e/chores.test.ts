import { expect } from 'chai'
import type { Knex } from 'knex'
import { eventually } from '../support/eventually.ts'
import { connectPostgres, ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { aPerson } from '../support/people.ts'
import { startService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

describe('the chores of an hour in which no service ran', function () {
  this.timeout(60_000)
  let smtp: SmtpSink
  let postgres: OwnPostgres
  let knex: Knex
  before(async () => {
    smtp = await startSmtp()
    postgres = await ownPostgres()
    knex = connectPostgres(postgres.url)
  })
  after(async () => {
    await knex.destroy()
    await smtp.stop()
    await postgres.discard()
  })

  it('are made up for by the next start: links that have lapsed and mails sent long ago are gone', async () => {
    const env = { ...smtp.env, DATABASE_URL: postgres.url }
    const first = await startService(env)
    await eventually(async () => expect((await first.client.get('/health/ready')).status).to.equal(200), 20_000)
    const [lapsing, staying] = [await aPerson(first.client), await aPerson(first.client)]
    for (const { email } of [lapsing, staying]) await first.client.post('/v1/auth/forgot-password', { body: { email } })
    await eventually(async () => expect(await knex('mails').where({ status: 'sent' })).to.have.length(4), 20_000)
    await eventually(async () =>
      expect(await knex('graphile_worker._private_known_crontabs').pluck('identifier')).to.include('prune-accounts'),
    )
    await first.close()
    for (const table of ['password_reset_tokens', 'email_verification_tokens'])
      await knex(table)
        .where({ user_id: lapsing.id })
        .update({ expires_at: knex.raw(`now() - interval '1 day'`) })
    await knex('mails')
      .where({ user_id: lapsing.id })
      .update({ created_at: knex.raw(`now() - interval '8 days'`) })
    const threeHoursAgo = knex.raw(`now() - interval '3 hours'`)
    await knex('graphile_worker._private_known_crontabs').update({ known_since: threeHoursAgo, last_execution: null })

    const second = await startService(env)

    await eventually(async () => {
      for (const table of ['mails', 'password_reset_tokens', 'email_verification_tokens'])
        expect(new Set(await knex(table).pluck('user_id')), table).to.deep.equal(new Set([staying.id]))
    }, 20_000)
    await second.close()
  })
})
