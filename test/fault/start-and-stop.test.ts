import { expect } from 'chai'
import { migrationLock } from '../../src/platform/migrate.ts'
import { expectProblem } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { during, expectStatus, expectUnavailable, times, untilItWorks, untilReadyIs } from '../support/faults.ts'
import { connectPostgres, ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

describe('a service', function () {
  this.timeout(60_000)

  let redis: OwnRedis
  let postgres: OwnPostgres
  before(async () => {
    ;[redis, postgres] = await Promise.all([ownRedis(), ownPostgres()])
  })
  after(async () => {
    await redis.discard()
    await postgres.discard()
  })

  it('F44 that is started before its stores becomes ready by itself', async () => {
    await Promise.all([redis.kill(), postgres.kill()])
    const service = await startService({ REDIS_URL: redis.url, DATABASE_URL: postgres.url })
    const { client } = service

    await expectStatus(client.get('/health/live'), 200)
    const answer = await expectStatus(client.get('/health/ready'), 503)
    expect(answer.body.checks).to.deep.equal({
      redis: 'unavailable',
      postgres: 'unavailable',
      migrations: 'pending',
      mail: 'off',
    })
    await expectUnavailable(client.register({ email: uniqueEmail(), password }))
    await Promise.all([redis.start(), postgres.start()])

    await untilReadyIs(200, client)
    await aPerson(client)
    await service.close()
  })

  it('F44 that is started without PostgreSQL lets nobody in by start values that do not hold', async () => {
    const env = { REDIS_URL: redis.url, DATABASE_URL: postgres.url }
    const earlier = await startService(env)
    const { tokens } = await untilItWorks(earlier.client)
    await postgres
      .database('settings')
      .insert({ name: 'access_token_ttl_seconds', value: '60', changed_at: new Date() })
    const { clock } = earlier
    clock.pass({ minutes: 2 })
    await earlier.close()

    postgres.pause()
    const service = await startService(env, { clock })
    await eventually(async () => {
      const { checks } = (await service.client.get('/health/ready')).body
      expect(checks).to.include({ redis: 'replaying', postgres: 'unavailable' })
    })
    const asked = [
      service.client.protected(tokens.access_token),
      service.client.get('/forward-auth', tokens.access_token),
    ]
    for (const answer of asked) await expectUnavailable(answer)
    postgres.resume()

    await untilReadyIs(200, service.client)
    expectProblem(await service.client.protected(tokens.access_token), 401, 'invalid-token', 'expired')
    await postgres.database('settings').del()
    await service.close()
  })

  /** Closes it, and tells in which time. */
  async function expectToClose(service: TestService): Promise<void> {
    const startedAt = performance.now()
    await service.close()
    expect(performance.now() - startedAt, 'milliseconds until it was closed').to.be.below(10_000)
  }

  it('F43 that is stopped while its stores say nothing finishes the requests in flight and ends in time', async () => {
    const service = await startService({ REDIS_URL: redis.url, DATABASE_URL: postgres.url })
    const { client } = service
    const someone = await untilItWorks(client)
    await times(5, () => client.me(someone.tokens.access_token))

    const stall = { begin: () => [redis.pause(), postgres.pause()], end: () => [redis.resume(), postgres.resume()] }
    await during(stall, async () => {
      const asked = [
        client.login({ email: someone.email, password }),
        client.me(someone.tokens.access_token),
        client.refresh(someone.tokens.refresh_token),
      ]
      await client.get('/health/live') // sent after the others, so they have arrived too
      await Promise.all([expectToClose(service), expectUnavailable(...asked)])
    })
  })

  it('F43 that is stopped while it waits for its turn to migrate ends at once', async () => {
    const connection = connectPostgres(postgres.url)
    const transaction = await connection.transaction()
    await transaction.raw('select pg_advisory_xact_lock(?)', [migrationLock])
    const service = await startService({ REDIS_URL: redis.url, DATABASE_URL: postgres.url })
    await eventually(async () => {
      const { rows } = await postgres.operator.raw("select 1 from pg_locks where locktype = 'advisory' and not granted")
      expect(rows).to.have.length(1)
    })

    await expectToClose(service)

    await transaction.rollback()
    await connection.destroy()
  })
})
