import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Knex } from 'knex'
import { migrationLock } from '../../src/platform/migrate.ts'
import { expectProblem, type Answer, type ApiClient, type Tokens } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres, ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { connectRedis, keyPrefix, operatorsRedis } from '../support/stores.ts'

/** What the rule promises: an answer within this time, and a service that is well again within the other. */
const answerMs = 5000
const recoveryMs = 15_000

/** Asks, and expects to be told in time that the service cannot answer, and nothing of why. */
async function expectUnavailable(asked: Promise<Answer>): Promise<void> {
  const startedAt = performance.now()
  const answer = await asked
  expect(performance.now() - startedAt, 'milliseconds until the answer').to.be.below(answerMs)
  expectProblem(answer, 503, 'unavailable')
  expect(answer.headers.get('retry-after')).to.match(/^[1-9]\d*$/)
  expect(answer.text).to.not.match(
    /redis|postgres|sql|read.?only|masterdown|busy|auth|OOM|ERR |ECONN|sock|timed? ?out/i,
  )
}

async function expectStatus(asked: Promise<Answer>, status: number): Promise<Answer> {
  const answer = await asked
  expect(answer.status, answer.text).to.equal(status)
  return answer
}

/** Looks at the service while a store is harmed, and takes the harm back whatever was seen. */
async function during(
  { begin, end }: { begin: () => unknown; end: () => unknown },
  observe: () => Promise<unknown>,
): Promise<void> {
  try {
    await begin()
    await observe()
  } finally {
    await end()
  }
}

const times = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make))

/** Waits until the service says so; an answer is kept for a second, so it may come that much later than the truth. */
function untilReadyIs(status: 200 | 503, client: ApiClient): Promise<Answer> {
  return eventually(() => expectStatus(client.get('/health/ready'), status), recoveryMs)
}

/** Waits until the service does what needs both stores. */
function untilItWorks(client: ApiClient): Promise<Someone> {
  return eventually(() => aPerson(client), recoveryMs)
}

describe('a Redis that', function () {
  this.timeout(40_000)

  let redis: OwnRedis
  let service: TestService
  let client: ApiClient
  before(async () => {
    redis = await ownRedis()
    service = await startService({ REDIS_URL: redis.url })
    ;({ client } = service)
  })
  beforeEach(() => untilItWorks(client))
  after(async () => {
    await service.close()
    await redis.discard()
  })

  /** Everything that cannot be answered without Redis, asked by somebody who is signed in. */
  function allThatNeedsRedis({ email, tokens }: Someone): Promise<Answer>[] {
    const { access_token: token, refresh_token, session } = tokens
    return [
      client.me(token),
      client.protected(token),
      client.call('PATCH', '/v1/me', { token, body: { name: 'Ada' } }),
      client.register({ email: uniqueEmail(), password }),
      client.login({ email, password }),
      client.refresh(refresh_token),
      client.logout(token),
      client.post('/v1/auth/logout', { body: { refresh_token } }),
      client.logoutAll(token),
      client.post('/v1/auth/tokens', { token }),
      client.sessions(token),
      client.get('/v1/sessions/current', token),
      client.get(`/v1/sessions/${session.id}`, token),
      client.call('PATCH', `/v1/sessions/${session.id}`, { token, body: { device_name: 'lamp' } }),
      client.call('DELETE', `/v1/sessions/${session.id}`, { token }),
      client.post('/v1/sessions/revoke-others', { token }),
    ]
  }

  /** What holds while Redis is away; 60 more requests at once take no longer than one. */
  async function expectAway(someone: Someone): Promise<void> {
    await Promise.all(allThatNeedsRedis(someone).map(expectUnavailable))
    await times(60, () => expectUnavailable(client.me(someone.tokens.access_token)))
    await expectStatus(client.get('/health/live'), 200)
    const answer = await untilReadyIs(503, client)
    expect(answer.body.checks).to.deep.equal({ redis: 'unavailable', postgres: 'ok', migrations: 'ok', mail: 'off' })
  }

  /** Nothing was lost and nothing happened in the dark: the token pair works, also to log out. */
  async function expectBack({ tokens, ...someone }: Someone): Promise<void> {
    const fresh = (
      await eventually(
        () => expectStatus(client.post('/v1/auth/tokens', { token: tokens.access_token }), 200),
        recoveryMs,
      )
    ).body as Tokens
    await expectStatus(client.refresh(fresh.refresh_token), 200)
    await expectStatus(client.logout(fresh.access_token), 204)
    expectProblem(await client.me(fresh.access_token), 401, 'invalid-token', 'logged-out')
    await aSession(client, { ...someone, tokens })
    await untilReadyIs(200, client)
  }

  it('was killed is a 503 everywhere, and found again with the sessions it has kept', async () => {
    const someone = await aPerson(client)

    await during({ begin: redis.kill, end: redis.start }, () => expectAway(someone))

    await expectBack(someone)
    expect(service.logged.filter(({ event }) => event === 'redis.lost')).to.have.length(1)
  })

  it('says nothing at all is a 503 everywhere, until it goes on', async () => {
    const someone = await aPerson(client)

    await during({ begin: redis.pause, end: redis.resume }, () => expectAway(someone))

    await expectBack(someone)
  })

  it('has lost its primary is a 503 everywhere, until it is one itself', async () => {
    const someone = await aPerson(client)
    const operator = redis.operator()
    await operator.config('SET', 'replica-serve-stale-data', 'no')

    await during({ begin: () => operator.replicaof('127.0.0.1', 1), end: () => operator.replicaof('NO', 'ONE') }, () =>
      expectAway(someone),
    )

    await operator.config('SET', 'replica-serve-stale-data', 'yes')
    await expectBack(someone)
  })

  it('is busy with an endless script is a 503 everywhere, until that is killed', async () => {
    const someone = await aPerson(client)
    const [operator, careless] = [redis.operator(), connectRedis(redis.url)]
    await operator.config('SET', 'busy-reply-threshold', 1)
    const begin = () => {
      careless.eval('while true do end', 0).catch(() => undefined)
      return eventually(async () => expect(await operator.ping().catch(String)).to.include('BUSY'))
    }

    await during({ begin, end: () => operator.script('KILL') }, () => expectAway(someone))

    careless.disconnect()
    await expectBack(someone)
  })

  it('suddenly wants a password is a 503 everywhere, until it no longer does', async () => {
    const someone = await aPerson(client)
    const operator = redis.operator()
    const begin = async () => {
      await operator.config('SET', 'requirepass', 'secret')
      await operator.call('CLIENT', 'KILL', 'TYPE', 'normal')
    }

    await during({ begin, end: () => operator.config('SET', 'requirepass', '') }, () => expectAway(someone))

    await expectBack(someone)
  })

  it('takes no writes opens, renews and ends no session, and nothing is half done', async () => {
    const someone = await aPerson(client)
    const { access_token: token, refresh_token: refreshToken } = someone.tokens
    const operator = redis.operator()

    await during(
      { begin: () => operator.replicaof('127.0.0.1', 1), end: () => operator.replicaof('NO', 'ONE') },
      async () => {
        await expectUnavailable(client.login({ email: someone.email, password }))
        await expectUnavailable(client.refresh(refreshToken))
        await expectUnavailable(client.post('/v1/auth/logout', { body: { refresh_token: refreshToken } }))
        await expectUnavailable(client.logoutAll(token))
        await eventually(() => expectUnavailable(client.protected(token)))
        await untilReadyIs(503, client)
      },
    )

    await untilItWorks(client)
    expect((await client.sessions(token)).body.items).to.have.length(1)
    await expectStatus(client.logout(token), 204)
  })

  it('is full opens and renews no session, ends them, and nothing is half done', async () => {
    const someone = await aPerson(client)
    const other = await aSession(client, someone)
    const { access_token: token, refresh_token: refreshToken } = someone.tokens
    const operator = redis.operator()
    const keysBefore = await operator.dbsize()

    await during(
      { begin: () => operator.config('SET', 'maxmemory', 1), end: () => operator.config('SET', 'maxmemory', 0) },
      async () => {
        await expectUnavailable(client.login({ email: someone.email, password }))
        await expectUnavailable(client.refresh(refreshToken))
        expect(await operator.dbsize(), 'number of keys').to.equal(keysBefore)
        await expectStatus(client.protected(token), 200)
        await expectStatus(client.logout(other.access_token), 204)
        await untilReadyIs(503, client)
      },
    )

    expectProblem(await client.me(other.access_token), 401, 'invalid-token', 'revoked')
    expect((await client.sessions(token)).body.items).to.have.length(1)
    await expectBack(someone)
  })

  it('cuts its connections costs at most one request each time', async () => {
    const { access_token: token } = (await aPerson(client)).tokens

    for (let cut = 1; cut <= 5; cut++) {
      await redis.operator().call('CLIENT', 'KILL', 'TYPE', 'normal')
      const first = await client.protected(token)
      if (first.status !== 200) await expectUnavailable(Promise.resolve(first))
      await expectStatus(client.protected(token), 200)
    }
  })

  it('has forgotten its scripts is taught them again', async () => {
    const someone = await aPerson(client)

    await redis.operator().script('FLUSH')

    await expectBack(someone)
  })

  it('has forgotten everything leaves every token unknown, and logins work at once', async () => {
    const someone = await aPerson(client)

    await redis.operator().flushall()

    expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'unknown')
    expectProblem(await client.refresh(someone.tokens.refresh_token), 401, 'invalid-refresh-token', 'unknown')
    const fresh = await aSession(client, someone)
    await expectStatus(client.me(fresh.access_token), 200)
  })

  for (const logOut of ['logout', 'logoutAll'] as const)
    it(`was away for a ${logOut} lets it be repeated, and then the token is dead`, async () => {
      const { access_token: token } = (await aPerson(client)).tokens

      await during({ begin: redis.kill, end: redis.start }, () => expectUnavailable(client[logOut](token)))

      await untilItWorks(client)
      await expectStatus(client.protected(token), 200)
      await expectStatus(client[logOut](token), logOut === 'logout' ? 204 : 200)
      await expectStatus(client.me(token), 401)
    })
})

describe('a PostgreSQL that', function () {
  this.timeout(40_000)

  let postgres: OwnPostgres
  let service: TestService
  let client: ApiClient
  before(async () => {
    postgres = await ownPostgres()
    service = await startService({ DATABASE_URL: postgres.url })
    ;({ client } = service)
    await untilReadyIs(200, client)
  })
  beforeEach(() => untilItWorks(client))
  after(async () => {
    await service.close()
    await postgres.discard()
  })

  const endConnections = () =>
    postgres.operator.raw('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = ?', [
      'latchkey',
    ])

  /** Sets something for the service's database that is in force for connections made from then on. */
  async function alterDatabase(clause: string): Promise<void> {
    await postgres.operator.raw(`alter database latchkey ${clause}`)
    await endConnections()
  }

  /** A transaction of somebody else that nobody gets past. */
  async function lockUsers(): Promise<Knex.Transaction> {
    const connection = connectPostgres(postgres.url)
    const transaction = await connection.transaction()
    await transaction.raw('lock table users in access exclusive mode')
    const leave = () => void connection.destroy()
    transaction.executionPromise.then(leave, leave)
    return transaction
  }

  /** What cannot be answered without PostgreSQL is a 503, also for many at once; what needs Redis alone still works. */
  async function expectAway(someone: Someone, sacrificed: Tokens[]): Promise<void> {
    const { email, tokens } = someone
    const { access_token: token, refresh_token: refreshToken, session } = tokens
    const [loggedOut, loggedOutByRefresh, revoked] = sacrificed as [Tokens, Tokens, Tokens]
    const asked = [
      client.me(token),
      client.call('PATCH', '/v1/me', { token, body: { name: 'Ada' } }),
      client.register({ email: uniqueEmail(), password }),
      client.login({ email, password }),
      client.login({ email, password: 'not the password' }),
      client.login({ email: uniqueEmail(), password }),
      client.refresh(refreshToken),
      client.post('/v1/auth/tokens', { token }),
      client.logout(loggedOut.access_token),
      client.post('/v1/auth/logout', { body: { refresh_token: loggedOutByRefresh.refresh_token } }),
      client.call('DELETE', `/v1/sessions/${revoked.session.id}`, { token }),
    ]
    await Promise.all(asked.map(expectUnavailable))
    await times(40, () => expectUnavailable(client.login({ email, password })))
    const answer = await untilReadyIs(503, client)
    expect(answer.body.checks).to.deep.equal({ redis: 'ok', postgres: 'unavailable', migrations: 'ok', mail: 'off' })

    await expectStatus(client.get('/health/live'), 200)
    await expectStatus(client.protected(token), 200)
    await expectStatus(client.get(`/v1/sessions/${session.id}`, token), 200)
    await expectStatus(client.get('/v1/sessions/current', token), 200)
    expect((await client.sessions(token)).body.items).to.have.length(1)
    for (const { access_token } of sacrificed) await expectStatus(client.protected(access_token), 401)
  }

  /** Nobody was signed out but those who asked for it, and what could not be confirmed can be repeated. */
  async function expectBack(someone: Someone, sacrificed: Tokens[]): Promise<void> {
    const { email, tokens } = someone
    await eventually(() => expectStatus(client.login({ email, password }), 200), recoveryMs)
    await expectStatus(client.refresh(tokens.refresh_token), 200)
    for (const { refresh_token } of sacrificed)
      await expectStatus(client.post('/v1/auth/logout', { body: { refresh_token } }), 204)
    const { rows } = await journal(sacrificed)
    expect(rows).to.have.length(sacrificed.length)
  }

  const journal = async (sessions: Tokens[]) => {
    const connection = connectPostgres(postgres.url)
    const ids = sessions.map(({ session }) => session.id)
    try {
      return await connection.raw('select * from session_endings where session_id = any(?)', [ids])
    } finally {
      await connection.destroy()
    }
  }

  async function expectToSurvive(harm: { begin: () => unknown; end: () => unknown }): Promise<void> {
    const someone = await aPerson(client)
    const sacrificed = [
      await aSession(client, someone),
      await aSession(client, someone),
      await aSession(client, someone),
    ]
    await during(harm, () => expectAway(someone, sacrificed))
    await expectBack(someone, sacrificed)
  }

  it('was killed is a 503 for all who need it, and found again', async () => {
    await expectToSurvive({ begin: postgres.kill, end: postgres.start })
  })

  it('says nothing at all is a 503 for all who need it, until it goes on', async () => {
    await expectToSurvive({ begin: postgres.pause, end: postgres.resume })
  })

  it('refuses connections is a 503 for all who need it, until it takes them', async () => {
    await expectToSurvive({
      begin: () => alterDatabase('allow_connections false'),
      end: () => postgres.operator.raw('alter database latchkey allow_connections true'),
    })
  })

  it('has a locked table is a 503 for all who need that, and holds up nobody else', async () => {
    let transaction: Knex.Transaction
    const someone = await aPerson(client)
    const sessions = [await aSession(client, someone)]

    await during(
      {
        begin: async () => {
          transaction = await lockUsers()
        },
        end: () => transaction.rollback(),
      },
      async () => {
        const [loggedOut] = await Promise.all([
          client.logout(sessions[0]!.access_token),
          expectUnavailable(client.refresh(someone.tokens.refresh_token)),
          expectUnavailable(client.me(someone.tokens.access_token)),
          times(40, () => expectUnavailable(client.login({ email: someone.email, password }))),
          expectStatus(client.protected(someone.tokens.access_token), 200),
        ])
        // It needs another table, but may find all connections waiting for the locked one.
        expect(loggedOut.status).to.be.oneOf([204, 503])
        await eventually(async () => {
          const { rows } = await postgres.operator.raw("select 1 from pg_stat_activity where wait_event_type = 'Lock'")
          expect(rows, 'statements that still wait for the lock').to.deep.equal([])
        })
      },
    )

    await expectBack(someone, sessions)
  })

  it('takes no writes neither registers nor logs out', async () => {
    const someone = await aPerson(client)
    const sessions = [await aSession(client, someone)]

    await during(
      {
        begin: () => alterDatabase('set default_transaction_read_only = on'),
        end: () => alterDatabase('reset default_transaction_read_only'),
      },
      async () => {
        await untilReadyIs(503, client)
        await expectUnavailable(client.register({ email: uniqueEmail(), password }))
        await expectUnavailable(client.logout(sessions[0]!.access_token))
        await expectStatus(client.me(someone.tokens.access_token), 200)
      },
    )

    await expectBack(someone, sessions)
  })

  it('ends its connections costs at most one request each time', async () => {
    const { access_token: token } = (await aPerson(client)).tokens

    for (let cut = 1; cut <= 5; cut++) {
      await times(3, () => client.me(token))
      await endConnections()
      const first = await client.me(token)
      if (first.status !== 200) await expectUnavailable(Promise.resolve(first))
      await expectStatus(client.me(token), 200)
    }
  })

  it('has one connection that says nothing costs one request, and the next one gets another', async () => {
    // A role of its own tells its connections from those of the other services, which come and go meanwhile.
    await postgres.operator.raw(`create role single login superuser password 'single'`)
    const url = new URL(postgres.url)
    Object.assign(url, { username: 'single', password: 'single' })
    const single = await startService({ DATABASE_URL: url.href, DATABASE_POOL_MAX: '1', DATABASE_TIMEOUT_MS: '500' })
    const { access_token: token } = (await untilItWorks(single.client)).tokens
    const { rows } = await postgres.operator.raw(
      "select pid from pg_stat_activity where usename = 'single' and application_name = 'latchkey'",
    )
    expect(rows).to.have.length(1)
    const { pid } = rows[0] as { pid: number }

    await during({ begin: () => process.kill(pid, 'SIGSTOP'), end: () => process.kill(pid, 'SIGCONT') }, async () => {
      const first = expectUnavailable(single.client.me(token))
      await delay(300) // the second one comes while the first still has the only place in the pool
      await Promise.all([first, expectStatus(single.client.me(token), 200)])
    })

    await single.close()
  })

  describe('was away for an ending', () => {
    const endings: Record<string, (token: string, other: Tokens) => Promise<Answer>> = {
      logout: (token) => client.logout(token),
      'logout-all': (token) => client.logoutAll(token),
      'revoking one': (token, other) => client.call('DELETE', `/v1/sessions/${other.session.id}`, { token }),
      'revoking others': (token) => client.post('/v1/sessions/revoke-others', { token }),
    }
    const ends: Record<string, { mine: boolean; others: boolean; confirmedBy: number }> = {
      logout: { mine: true, others: false, confirmedBy: 401 },
      'logout-all': { mine: true, others: true, confirmedBy: 401 },
      'revoking one': { mine: false, others: true, confirmedBy: 204 },
      'revoking others': { mine: false, others: true, confirmedBy: 200 },
    }

    for (const [name, end] of Object.entries(endings))
      it(`by ${name}: it is done in Redis, confirmed by nothing but PostgreSQL, and then holds for good`, async () => {
        const someone = await aPerson(client)
        const other = await aSession(client, someone)
        const token = someone.tokens.access_token
        const { mine, others, confirmedBy } = ends[name]!
        const key = `${keyPrefix}sessions:{${someone.id}}`
        const asBefore = await operatorsRedis().hgetall(key)

        await during({ begin: postgres.kill, end: postgres.start }, async () => {
          await expectUnavailable(end(token, other))
          expect((await client.protected(token)).status).to.equal(mine ? 401 : 200)
          expect((await client.protected(other.access_token)).status).to.equal(others ? 401 : 200)
          await expectUnavailable(end(token, other))
        })
        await untilItWorks(client)
        await expectStatus(end(token, other), confirmedBy)

        await operatorsRedis().hset(key, asBefore)
        expect((await client.refresh(someone.tokens.refresh_token)).status).to.equal(mine ? 401 : 200)
        expect((await client.refresh(other.refresh_token)).status).to.equal(others ? 401 : 200)
      })

    it('by logout-all: it voids nothing that is opened once PostgreSQL is back', async () => {
      const someone = await aPerson(client)
      await during({ begin: postgres.kill, end: postgres.start }, () =>
        expectUnavailable(client.logoutAll(someone.tokens.access_token)),
      )
      await untilItWorks(client)
      const [stays, leaves] = [await aSession(client, someone), await aSession(client, someone)]

      await expectStatus(client.logout(leaves.access_token), 204)

      await expectStatus(client.refresh(stays.refresh_token), 200)
      expect((await journal([someone.tokens])).rows).to.have.length(1)
    })
  })
})

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

  it('that is started before its stores becomes ready by itself', async () => {
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

  it('that is started without PostgreSQL lets nobody in by start values that do not hold', async () => {
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

  it('that is stopped while its stores say nothing finishes the requests in flight and ends in time', async () => {
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
      await Promise.all([expectToClose(service), ...asked.map(expectUnavailable)])
    })
  })

  it('that is stopped while it waits for its turn to migrate ends at once', async () => {
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
