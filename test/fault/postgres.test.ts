import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Knex } from 'knex'
import type { Answer, ApiClient, Tokens } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import {
  choose,
  during,
  expectAllUnavailable,
  expectRecovery,
  expectStatus,
  expectUnavailable,
  inWords,
  note,
  shuffled,
  times,
  together,
  untilItWorks,
  untilReadyIs,
  type Harm,
  type NamedRequest,
  type Refused,
} from '../support/faults.ts'
import { connectPostgres, ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import {
  aCast,
  checks,
  expectEveryRoute,
  gateway,
  leavings,
  works,
  type Cast,
  type Leaving,
} from '../support/requests.ts'
import { random } from '../support/seed.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { keyPrefix, operatorsRedis } from '../support/stores.ts'

const role = 'latchkey_service'

/** Those of an admin are asked for in PostgreSQL first, so nothing of them is done while that is away. */
const isDoneInRedis = ({ name }: Leaving) => !name.includes('/admin/')

describe('a PostgreSQL that', function () {
  this.timeout(60_000)
  const draw = random('PostgreSQL')

  let postgres: OwnPostgres
  let smtp: SmtpSink
  let service: TestService
  let client: ApiClient
  let cast: Cast
  /** The database, for a role that is not above the limits. */
  let url: string
  before(async () => {
    ;[postgres, smtp] = await Promise.all([ownPostgres(), startSmtp()])
    await postgres.operator.raw(`create role ${role} login`)
    await postgres.operator.raw(`alter database latchkey owner to ${role}`)
    url = Object.assign(new URL(postgres.url), { username: role }).href
    service = await startService({ ...smtp.env, DATABASE_URL: url })
    ;({ client } = service)
    await untilReadyIs(200, client)
    cast = await aCast(client, { database: postgres.database, smtp })
  })
  beforeEach(() => untilItWorks(client))
  after(async () => {
    await service.close()
    await smtp.stop()
    await postgres.discard()
  })

  const endConnections = () =>
    postgres.operator.raw('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = ?', [
      'latchkey',
    ])

  /** Sets something that is in force for connections made from then on. */
  async function alter(clause: string): Promise<void> {
    await postgres.operator.raw(`alter ${clause}`)
    await endConnections()
  }

  /** A transaction of somebody else that nobody gets past. */
  async function lockTable(table: string): Promise<Knex.Transaction> {
    const connection = connectPostgres(postgres.url)
    const transaction = await connection.transaction()
    await transaction.raw('lock table ?? in access exclusive mode', [table])
    const leave = () => void connection.destroy()
    transaction.executionPromise.then(leave, leave)
    return transaction
  }

  const journalled = (sessions: Tokens[]) =>
    postgres.database('session_endings').whereIn(
      'session_id',
      sessions.map(({ session }) => session.id),
    )

  /** What cannot be answered without PostgreSQL is a 503, also for many at once; what needs Redis alone still works. */
  async function expectAway(on: TestService, leaving: Leaving[]): Promise<Refused> {
    const asked = works(on.client, cast)
    const sixty = Array.from({ length: 60 }, () => choose(asked, draw))
    const toldOf = untilReadyIs(503, on.client)
    const seen = [
      await expectAllUnavailable(shuffled([...asked, ...requestsOf(leaving)], draw)),
      await expectAllUnavailable(sixty),
    ]
    await expectStatus(on.client.get('/health/live'), 200)
    expect((await toldOf).body.checks).to.include({ redis: 'ok', postgres: 'unavailable', migrations: 'ok' })
    for (const [name, ask] of checks(on.client, cast)) expect((await ask()).status, name).to.equal(200)
    for (const { name, ends } of leaving.filter(isDoneInRedis))
      for (const { access_token } of ends) expect((await on.client.protected(access_token)).status, name).to.equal(401)
    return together(seen)
  }

  const requestsOf = (leaving: Leaving[]) => leaving.map(({ name, ask }): NamedRequest => [name, ask])

  /** Nobody was signed out but those who asked for it, and what could not be confirmed can be repeated. */
  async function expectBack({ client: asked }: TestService, leaving: Leaving[]): Promise<string> {
    return expectRecovery(asked, async () => {
      for (const person of [cast.keeper, cast.forgetful]) {
        await expectStatus(asked.login({ email: person.email, password }), 200)
        person.tokens = (await expectStatus(asked.refresh(person.tokens.refresh_token), 200)).body as Tokens
      }
      for (const { name, leaver, ask, ends } of leaving) {
        expect((await ask()).status, `${name} once more`).to.be.oneOf([200, 204, 401, 404])
        for (const { access_token, refresh_token } of ends) {
          expect((await asked.me(access_token)).status, name).to.equal(401)
          expect((await asked.refresh(refresh_token)).status, name).to.equal(401)
        }
        const isSpared = !ends.includes(leaver.tokens)
        if (isSpared) await expectStatus(asked.me(leaver.tokens.access_token), 200)
      }
    })
  }

  async function expectToSurvive(row: string, harm: Harm, on = service): Promise<void> {
    const leaving = await leavings(on.client, cast)
    const refused = await during(harm, () => expectAway(on, leaving))
    note(row, `${inWords(refused)}; ${await expectBack(on, leaving)}`)
  }

  it('is in trouble is met by every route there is', async () => {
    const leaving = await leavings(client, cast)

    expectEveryRoute(
      [...checks(client, cast), ...works(client, cast)].map(([name]) => name).concat(leaving.map(({ name }) => name)),
    )
  })

  it('F20 was killed is a 503 for all who need it, and found again', async () => {
    await expectToSurvive('F20 PostgreSQL killed', { begin: postgres.kill, end: postgres.start })
  })

  it('F21 says nothing at all is a 503 for all who need it, until it goes on', async () => {
    await expectToSurvive('F21 PostgreSQL stopped (SIGSTOP)', { begin: postgres.pause, end: postgres.resume })
  })

  it('F20 takes no connections to this database is a 503 for all who need it, until it does', async () => {
    await expectToSurvive('F20 PostgreSQL without connections', {
      begin: () => alter('database latchkey allow_connections false'),
      end: () => postgres.operator.raw('alter database latchkey allow_connections true'),
    })
  })

  it('F22 has too many connections (53300) is a 503 for all who need it, until there is room', async () => {
    await expectToSurvive('F22 PostgreSQL with too many connections', {
      begin: async () => {
        await alter(`role ${role} connection limit 0`)
        const stranger = connectPostgres(url)
        const refusal = await stranger.raw('select 1').catch((error: { code: string }) => error)
        expect(refusal).to.include({ code: '53300' })
        await stranger.destroy()
      },
      end: () => postgres.operator.raw(`alter role ${role} connection limit -1`),
    })
  })

  describe('has a locked table', () => {
    /** What waits for a table, and must be told so; the order of the tables comes from the seed. */
    const waiting: Record<string, () => Promise<Answer>[]> = {
      users: () => [
        client.refresh(cast.keeper.tokens.refresh_token),
        client.me(cast.keeper.tokens.access_token),
        client.call('GET', '/v1/admin/users', { token: cast.admin.tokens.access_token }),
      ],
      session_endings: () => [client.refresh(cast.keeper.tokens.refresh_token)],
      audit_events: () => [client.get('/v1/me/activity', cast.keeper.tokens.access_token)],
    }
    for (const table of shuffled(Object.keys(waiting), draw))
      it(`F26 (${table}) is a 503 for all who need that, and holds up nobody else`, async () => {
        let transaction: Knex.Transaction
        const leaving = (await leavings(client, cast)).filter(isDoneInRedis)
        const { tokens } = cast.keeper
        // Of one person, 60 would be more than the sessions they may have.
        const people = await times(4, () => aPerson(client))

        const refused = await during(
          {
            begin: async () => {
              transaction = await lockTable(table)
            },
            end: () => transaction.rollback(),
          },
          async () => {
            const logins = table === 'session_endings' ? [] : Array.from({ length: 60 }, (_, i) => people[i % 4]!)
            const left = leaving.map(({ ask }) => ask())
            const [seen] = await Promise.all([
              expectUnavailable(...waiting[table]!(), ...logins.map(({ email }) => client.login({ email, password }))),
              expectStatus(gateway(client, tokens), 200),
              expectStatus(client.protected(tokens.access_token), 200),
            ])
            // They may need another table, but find all connections waiting for the locked one.
            for (const answer of left) await expectStatus(answer, 200, 204, 503)
            await eventually(async () => {
              const { rows } = await postgres.operator.raw(
                "select 1 from pg_stat_activity where wait_event_type = 'Lock'",
              )
              expect(rows, 'statements that still wait for the lock').to.deep.equal([])
            })
            return seen
          },
        )

        for (const { tokens: theirs } of people)
          expect((await client.sessions(theirs.access_token)).body.items, 'sessions').to.have.length(1)
        note(`F26 ${table} locked`, `${inWords(refused)}; ${await expectBack(service, leaving)}`)
      })
  })

  it('takes no writes neither registers nor logs out', async () => {
    const leaving = await leavings(client, cast)

    const refused = await during(
      {
        begin: () => alter('database latchkey set default_transaction_read_only = on'),
        end: () => alter('database latchkey reset default_transaction_read_only'),
      },
      async () => {
        await untilReadyIs(503, client)
        const seen = await expectAllUnavailable([
          ['register', () => client.register({ email: uniqueEmail(), password })],
          ['login', () => client.login({ email: cast.keeper.email, password })],
          ...requestsOf(leaving),
        ])
        await expectStatus(client.me(cast.keeper.tokens.access_token), 200)
        return seen
      },
    )

    note('PostgreSQL read-only', `${inWords(refused)}; ${await expectBack(service, leaving)}`)
  })

  it('F23 ends its connections costs at most one request each time', async () => {
    const { access_token: token } = cast.keeper.tokens

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
    const own = new URL(postgres.url)
    Object.assign(own, { username: 'single', password: 'single' })
    const single = await startService({ DATABASE_URL: own.href, DATABASE_POOL_MAX: '1', DATABASE_TIMEOUT_MS: '500' })
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

  describe('is behind a network that', () => {
    const poolMax = 4
    /** Outside the pool: the bulletin, and the jobs. */
    const ownMax = 7
    let proxy: Proxy
    let behind: TestService
    before(async () => {
      proxy = await startProxy(addressOf(url))
      behind = await startService({
        ...smtp.env,
        DATABASE_URL: urlThrough(proxy, url),
        DATABASE_TIMEOUT_MS: '500',
        DATABASE_POOL_MAX: String(poolMax),
      })
      await untilReadyIs(200, behind.client)
    })
    after(async () => {
      await behind.close()
      await proxy.close()
    })

    it('F20 refuses connections is a 503 for all who need it, until it lets them through', async () => {
      const harm = { begin: () => proxy.begin({ kind: 'refuse' }), end: proxy.heal }

      await expectToSurvive('F20 connections to PostgreSQL refused', harm, behind)
    })

    it('F21 swallows everything is a 503 for all who need it, until it no longer does', async () => {
      const harm = { begin: () => proxy.begin({ kind: 'swallow' }), end: proxy.heal }

      await expectToSurvive('F21 network to PostgreSQL swallows everything', harm, behind)

      await eventually(() => expect(proxy.connections(), 'connections to PostgreSQL').to.be.at.most(poolMax + ownMax))
    })

    it('F23 is cut at any moment costs the request under way at most, and the next one is answered', async () => {
      const { email, tokens } = await aPerson(behind.client)
      const requests: [string, number, () => Promise<Answer>][] = [
        ['me', 200, () => behind.client.me(tokens.access_token)],
        ['login', 200, () => behind.client.login({ email, password })],
        ['wrong password', 401, () => behind.client.login({ email, password: 'not the password' })],
        ['activity', 200, () => behind.client.get('/v1/me/activity', tokens.access_token)],
        [
          'profile',
          200,
          () => behind.client.call('PATCH', '/v1/me', { token: tokens.access_token, body: { name: 'Ada' } }),
        ],
      ]
      const [cuts, wrongMax] = [30, 8]
      let [refused, wrong] = [0, 0]
      const chosen = () => {
        const request = choose(requests, draw)
        return request[1] === 401 && ++wrong > wrongMax ? requests[0]! : request
      }
      for (let i = 0; i < cuts; i++) {
        const [[name, status, ask], [nextName, nextStatus, askNext]] = [chosen(), chosen()]
        const timer = setTimeout(proxy.cut, draw() * 25)

        const answer = await ask()

        clearTimeout(timer)
        if (answer.status === 503) refused += 1
        expect(answer.status, name).to.be.oneOf([status, 503])
        expect((await askNext()).status, `${nextName}, the next one`).to.equal(nextStatus)
      }
      note('F23 connections to PostgreSQL cut', `${cuts} cuts, ${refused} requests answered 503, the next one never`)
    })
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
      it(`F20 by ${name}: it is done in Redis, confirmed by nothing but PostgreSQL, and then holds for good`, async () => {
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

    it('F20 by logout-all: it voids nothing that is opened once PostgreSQL is back', async () => {
      const someone = await aPerson(client)
      await during({ begin: postgres.kill, end: postgres.start }, () =>
        expectUnavailable(client.logoutAll(someone.tokens.access_token)),
      )
      await untilItWorks(client)
      const [stays, leaves] = [await aSession(client, someone), await aSession(client, someone)]

      await expectStatus(client.logout(leaves.access_token), 204)

      await expectStatus(client.refresh(stays.refresh_token), 200)
      expect(await journalled([someone.tokens])).to.have.length(1)
    })
  })
})
