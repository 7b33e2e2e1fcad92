import { expect } from 'chai'
import { expectProblem, type Answer, type ApiClient, type Tokens } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import {
  choose,
  during,
  expectAllUnavailable,
  expectRecovery,
  expectStatus,
  expectUnavailable,
  inWords,
  msOf,
  note,
  recoveryMs,
  shuffled,
  together,
  untilItWorks,
  untilReadyIs,
  type Harm,
  type NamedRequest,
  type Refused,
} from '../support/faults.ts'
import { askForError, isHousekeeping, redisFraming } from '../support/framing.ts'
import { ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { aCast, checks, expectEveryRoute, leavings, works, type Cast, type Leaving } from '../support/requests.ts'
import { random } from '../support/seed.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { connectRedis } from '../support/stores.ts'

let postgres: OwnPostgres
let smtp: SmtpSink

/** A service, and who asks it for everything. */
interface Stage {
  service: TestService
  client: ApiClient
  cast: Cast
}

async function aStage(env: Record<string, string>): Promise<Stage> {
  // A database of its own: in the shared one wait the mails of everybody whom the other tests register.
  const service = await startService({ ...smtp.env, DATABASE_URL: postgres.url, ...env })
  const { client } = service
  await untilItWorks(client)
  return { service, client, cast: await aCast(client, { database: postgres.database, smtp }) }
}

/** What holds while Redis cannot be used for anything; 60 requests at once take no longer than one. */
async function expectAway({ client, cast }: Stage, leaving: Leaving[], draw: () => number): Promise<Refused> {
  const requests: NamedRequest[] = [
    ...checks(client, cast),
    ...works(client, cast),
    ...requestsOf(leaving),
    ['get /v1/me (unknown token)', () => client.me('11111111-2222-4333-8444-555555555555')],
  ]
  const sixty = Array.from({ length: 60 }, () => choose(requests, draw))
  const toldOf = untilReadyIs(503, client)
  const seen = [await expectAllUnavailable(requests), await expectAllUnavailable(sixty)]
  await expectStatus(client.get('/health/live'), 200)
  expect((await toldOf).body.checks).to.include({ redis: 'unavailable', postgres: 'ok', migrations: 'ok' })
  return together(seen)
}

const requestsOf = (leaving: Leaving[]) => leaving.map(({ name, ask }): NamedRequest => [name, ask])

/**
 * Nothing was lost and nothing happened in the dark: every session is there, and can be ended now.
 *
 * @param mayHaveEnded whether those who were refused when they ended a session may find it ended: it was journalled
 */
async function expectBack({ client, cast }: Stage, leaving: Leaving[], { mayHaveEnded = false } = {}): Promise<string> {
  return expectRecovery(client, async () => {
    const { keeper } = cast
    for (const [name, ask] of checks(client, cast)) expect((await ask()).status, name).to.equal(200)
    expect((await client.sessions(keeper.tokens.access_token)).body.items).to.have.length(2)
    keeper.tokens = (await expectStatus(client.refresh(keeper.tokens.refresh_token), 200)).body as Tokens
    for (const { name, leaver, other, ask, ends } of leaving) {
      for (const { access_token } of [leaver.tokens, other])
        if (!mayHaveEnded) await expectStatus(client.protected(access_token), 200)
      expect((await ask()).status, name).to.be.oneOf(mayHaveEnded ? [200, 204, 401, 404] : [200, 204])
      for (const { access_token } of ends) expect((await client.me(access_token)).status, name).to.equal(401)
    }
  })
}

/** What cannot be done without a write to Redis. Of the rest some is answered, and some cannot be counted. */
const needToWrite = new Set([
  'post /v1/auth/register',
  'post /v1/auth/login',
  'post /v1/auth/login (wrong password)',
  'post /v1/auth/refresh',
  'post /v1/auth/tokens',
  'post /v1/auth/forgot-password',
  'post /v1/auth/forgot-password (unknown address)',
  'post /v1/auth/reset-password',
  'post /v1/me/password',
  'delete /v1/me',
  'delete /v1/admin/users/:user_id',
  'post /v1/admin/users/:user_id/disable',
])

describe('trouble with Redis:', () => {
  before(async () => {
    ;[postgres, smtp] = await Promise.all([ownPostgres(), startSmtp()])
  })
  after(async () => {
    await smtp.stop()
    await postgres.discard()
  })

  describe('a Redis that', function () {
    this.timeout(60_000)
    const draw = random('redis')

    let redis: OwnRedis
    let stage: Stage
    let client: ApiClient
    before(async () => {
      redis = await ownRedis()
      stage = await aStage({ REDIS_URL: redis.url })
      ;({ client } = stage)
    })
    beforeEach(() => untilItWorks(client))
    after(async () => {
      await stage.service.close()
      await redis.discard()
    })

    async function expectToSurvive(row: string, harm: Harm): Promise<void> {
      const leaving = await leavings(client, stage.cast)
      const refused = await during(harm, () => expectAway(stage, leaving, draw))
      note(row, `${inWords(refused)}; ${await expectBack(stage, leaving)}`)
    }

    it('is in trouble is met by every route there is', async () => {
      const leaving = await leavings(client, stage.cast)
      const asked = [...checks(client, stage.cast), ...works(client, stage.cast)]

      expectEveryRoute([...asked.map(([name]) => name), ...leaving.map(({ name }) => name)])
    })

    it('F01 was killed is a 503 everywhere, and found again with the sessions it has kept', async () => {
      const lost = () => stage.service.logged.filter(({ event }) => event === 'redis.lost').length
      const before = lost()

      await expectToSurvive('F01 Redis killed', { begin: redis.kill, end: redis.start })

      expect(lost() - before).to.equal(1)
    })

    it('F02 says nothing at all is a 503 everywhere, until it goes on', async () => {
      await expectToSurvive('F02 Redis stopped (SIGSTOP)', { begin: redis.pause, end: redis.resume })
    })

    it('F03 has lost its primary (MASTERDOWN) is a 503 everywhere, until it is one itself', async () => {
      const operator = redis.operator()
      await operator.config('SET', 'replica-serve-stale-data', 'no')

      await expectToSurvive('F03 Redis that has lost its primary', {
        begin: () => operator.replicaof('127.0.0.1', 1),
        end: () => operator.replicaof('NO', 'ONE'),
      })

      await operator.config('SET', 'replica-serve-stale-data', 'yes')
    })

    it('F03 is busy with an endless script (BUSY) is a 503 everywhere, until that is killed', async () => {
      const [operator, careless] = [redis.operator(), connectRedis(redis.url)]
      await operator.config('SET', 'busy-reply-threshold', 1)
      const begin = () => {
        careless.eval('while true do end', 0).catch(() => undefined)
        return eventually(async () => expect(await operator.ping().catch(String)).to.include('BUSY'))
      }

      await expectToSurvive('F03 Redis busy with a script', { begin, end: () => operator.script('KILL') })

      careless.disconnect()
    })

    it('F03 suddenly wants a password (NOAUTH) is a 503 everywhere, until it no longer does', async () => {
      const operator = redis.operator()
      const begin = async () => {
        await operator.config('SET', 'requirepass', 'secret')
        await operator.call('CLIENT', 'KILL', 'TYPE', 'normal')
      }

      await expectToSurvive('F03 Redis that wants a password', {
        begin,
        end: () => operator.config('SET', 'requirepass', ''),
      })
    })

    describe('takes no writes,', () => {
      /** What a replica has may be older than what was confirmed, so nothing of it is believed. */
      const ways: Record<string, Harm & { checked: 200 | 503 }> = {
        'being a replica': {
          checked: 503,
          begin: () => redis.operator().replicaof('127.0.0.1', 1),
          end: () => redis.operator().replicaof('NO', 'ONE'),
        },
        'having too few replicas': {
          checked: 200,
          begin: () => redis.operator().config('SET', 'min-replicas-to-write', 3),
          end: () => redis.operator().config('SET', 'min-replicas-to-write', 0),
        },
      }
      for (const [name, { checked, ...harm }] of Object.entries(ways))
        it(`F09 ${name}, opens, renews and ends no session, and nothing is half done`, async () => {
          const { cast } = stage
          const leaving = await leavings(client, cast)
          const keysBefore = await redis.operator().dbsize()

          const refused = await during(harm, async () => {
            const writes = works(client, cast).filter(([asked]) => needToWrite.has(asked))
            const seen = await expectAllUnavailable(shuffled([...writes, ...requestsOf(leaving)], draw))
            expect(await redis.operator().dbsize(), 'number of keys').to.equal(keysBefore)
            await eventually(() => expectStatus(client.protected(cast.keeper.tokens.access_token), checked))
            await untilReadyIs(503, client)
            return seen
          })

          note(`F09 Redis ${name}`, `${inWords(refused)}; ${await expectBack(stage, leaving, { mayHaveEnded: true })}`)
        })
    })

    it('F10 is full opens and renews no session, ends them, and nothing is half done', async () => {
      const { cast } = stage
      const { email, tokens } = cast.keeper
      const leaving = await leavings(client, cast)
      const operator = redis.operator()
      const keysBefore = await operator.dbsize()

      const refused = await during(
        { begin: () => operator.config('SET', 'maxmemory', 1), end: () => operator.config('SET', 'maxmemory', 0) },
        async () => {
          const seen = await expectUnavailable(
            ...Array.from({ length: 20 }, () => client.login({ email, password })),
            client.refresh(tokens.refresh_token),
            client.post('/v1/auth/tokens', { token: tokens.access_token }),
          )
          expect(await operator.dbsize(), 'number of keys').to.equal(keysBefore)
          await expectStatus(client.protected(tokens.access_token), 200)
          for (const { name, ask, ends } of leaving) {
            expect((await ask()).status, name).to.be.oneOf([200, 204])
            for (const { access_token } of ends) await expectStatus(client.protected(access_token), 401)
          }
          await untilReadyIs(503, client)
          return seen
        },
      )

      for (const { name, ends } of leaving)
        for (const { access_token } of ends) expect((await client.me(access_token)).status, name).to.equal(401)
      note('F10 Redis full', `${inWords(refused)}; ${await expectBack(stage, [])}`)
    })

    it('F05 cuts its connections costs at most one request each time', async () => {
      const { access_token: token } = stage.cast.keeper.tokens

      for (let cut = 1; cut <= 5; cut++) {
        await redis.operator().call('CLIENT', 'KILL', 'TYPE', 'normal')
        const first = await client.protected(token)
        if (first.status !== 200) await expectUnavailable(Promise.resolve(first))
        await expectStatus(client.protected(token), 200)
      }
    })

    it('F14 has forgotten its scripts is taught them again, whatever comes first', async () => {
      const { cast } = stage
      const leaving = await leavings(client, cast)
      const { email, tokens } = await aPerson(client)
      const body = { name: 'Ada' }
      const requests: NamedRequest[] = [
        ...checks(client, cast),
        ['login', () => client.login({ email, password })],
        ['refresh', () => client.refresh(tokens.refresh_token)],
        ['another name', () => client.call('PATCH', '/v1/me', { token: tokens.access_token, body })],
        ...requestsOf(leaving),
      ]

      for (const [name, ask] of shuffled(requests, draw)) {
        await redis.operator().script('FLUSH')
        expect((await ask()).status, name).to.be.oneOf([200, 204])
      }

      for (const { ends } of leaving)
        for (const { access_token } of ends) await expectStatus(client.protected(access_token), 401)
    })

    for (const logOut of ['logout', 'logoutAll'] as const)
      it(`F01 was away for a ${logOut} lets it be repeated, and then the token is dead`, async () => {
        const { access_token: token } = (await aPerson(client)).tokens

        await during({ begin: redis.kill, end: redis.start }, () => expectUnavailable(client[logOut](token)))

        await untilItWorks(client)
        await expectStatus(client.protected(token), 200)
        await expectStatus(client[logOut](token), logOut === 'logout' ? 204 : 200)
        await expectStatus(client.me(token), 401)
      })

    describe('is empty:', () => {
      const empties: Record<string, () => Promise<unknown>> = {
        'has forgotten everything': () => redis.operator().flushall(),
        'is started again empty': async () => {
          await redis.kill()
          redis.forget()
          await redis.start()
        },
      }
      for (const [name, empty] of Object.entries(empties))
        it(`F13 it ${name}, which leaves every token unknown, and logins work at once`, async () => {
          const people = [await aPerson(client), await aPerson(client)]

          await empty()

          const backMs = await msOf(() => eventually(() => aSession(client, people[0]!), recoveryMs))
          for (const { tokens } of people) {
            expectProblem(await client.me(tokens.access_token), 401, 'invalid-token', 'unknown')
            expectProblem(await client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'unknown')
            expectProblem(await client.logoutAll(tokens.access_token), 401, 'invalid-token', 'unknown')
          }
          for (const person of people) await expectStatus(client.me((await aSession(client, person)).access_token), 200)
          note(`F13 Redis that ${name}`, `logins work after ${backMs} ms`)
        })
    })
  })

  describe('a network before Redis that', function () {
    this.timeout(60_000)
    const draw = random('network before Redis')
    const timeoutMs = 500

    let redis: OwnRedis
    const open: { stage: Stage; proxy: Proxy }[] = []
    before(async () => {
      redis = await ownRedis()
      open.push(await behindProxy())
    })
    beforeEach(() => untilItWorks(open[0]!.stage.client))
    after(async () => {
      await Promise.all(open.map(({ stage }) => stage.service.close()))
      await Promise.all(open.map(({ proxy }) => proxy.close()))
      await redis.discard()
    })

    async function behindProxy(): Promise<{ stage: Stage; proxy: Proxy }> {
      const proxy = await startProxy(addressOf(redis.url), redisFraming)
      const stage = await aStage({ REDIS_URL: urlThrough(proxy, redis.url), REDIS_TIMEOUT_MS: String(timeoutMs) })
      return { stage, proxy }
    }

    async function expectToSurvive(row: string, { stage }: { stage: Stage }, harm: Harm): Promise<void> {
      const leaving = await leavings(stage.client, stage.cast)
      const refused = await during(harm, () => expectAway(stage, leaving, draw))
      note(row, `${inWords(refused)}; ${await expectBack(stage, leaving)}`)
    }

    it('F01 refuses connections is a 503 everywhere, until it lets them through', async () => {
      const [behind] = open
      const { proxy } = behind!

      await expectToSurvive('F01 connections to Redis refused', behind!, {
        begin: () => proxy.begin({ kind: 'refuse' }),
        end: proxy.heal,
      })
    })

    it('F02 swallows everything is a 503 everywhere, until it no longer does', async () => {
      const [behind] = open
      const { proxy } = behind!

      await expectToSurvive('F02 network to Redis swallows everything', behind!, {
        begin: () => proxy.begin({ kind: 'swallow' }),
        end: proxy.heal,
      })
    })

    it('F02 swallows everything leaves nothing behind in the process, however much is asked', async () => {
      const { stage, proxy } = open[0]!
      const token = stage.cast.keeper.tokens.access_token

      await during({ begin: () => proxy.begin({ kind: 'swallow' }), end: proxy.heal }, async () => {
        for (let wave = 0; wave < 3; wave++)
          await expectUnavailable(...Array.from({ length: 300 }, () => stage.client.protected(token)))
        expect(proxy.connections(), 'connections to Redis').to.be.at.most(3)
      })

      await untilItWorks(stage.client)
    })

    const errors = [
      'CLUSTERDOWN The cluster is down',
      'LOADING Redis is loading the dataset in memory',
      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
      "OOM command not allowed when used memory > 'maxmemory'.",
      'BUSY Redis is busy running a script.',
      'NOAUTH Authentication required.',
    ]

    it('F03 answers every command with an error is a 503 everywhere, and tells nobody which', async () => {
      const { stage, proxy } = open[0]!
      const { client, cast } = stage
      const leaving = await leavings(client, cast)

      await during({ begin: () => undefined, end: proxy.heal }, async () => {
        for (const error of shuffled(errors, draw)) {
          const isGreeted = draw() < 0.5
          const by = (command: Buffer) => (isGreeted && isHousekeeping(command) ? command : askForError(error))
          proxy.begin({ kind: 'replace', by })
          if (!isGreeted) proxy.cut()
          const refused = await expectAway(stage, leaving, draw)
          note(`F03 Redis answers ${error.split(' ')[0]}${isGreeted ? '' : ', at the door already'}`, inWords(refused))
        }
      })

      note('F03 Redis answers no errors any more', await expectBack(stage, leaving))
    })

    it('F04 is slow makes answers slow, not wrong, by a few round trips', async () => {
      const { stage, proxy } = open[0]!
      const { client } = stage
      const someone = await aPerson(client)
      const took: string[] = []
      /** Asks, with so many commands at most; those of one turn share a round trip. */
      async function within(most: number, name: string, asked: () => Promise<Answer>, status: number): Promise<Answer> {
        const [before, startedAt] = [proxy.commands(), performance.now()]
        const answer = await expectStatus(asked(), status)
        const count = proxy.commands() - before
        took.push(`${name} ${Math.round(performance.now() - startedAt)} ms for ${count} commands`)
        expect(count, `commands of ${name}`).to.be.within(1, most)
        return answer
      }

      await during({ begin: () => proxy.begin({ kind: 'delay', eachWayMs: 50 }), end: proxy.heal }, async () => {
        const { access_token: token, refresh_token: refreshToken } = someone.tokens
        await within(1, 'check', () => client.protected(token), 200)
        await within(1, 'me', () => client.me(token), 200)
        const login = () => client.login({ email: someone.email, password })
        const other = (await within(14, 'login', login, 200)).body as Tokens
        const fresh = (await within(7, 'refresh', () => client.refresh(refreshToken), 200)).body as Tokens
        await within(8, 'logout', () => client.logout(other.access_token), 204)
        await expectStatus(client.me(other.access_token), 401)
        await expectStatus(client.me(fresh.access_token), 200)
        expect((await client.sessions(fresh.access_token)).body.items).to.have.length(1)
        await within(8, 'logout-all', () => client.logoutAll(fresh.access_token), 200)
        await expectStatus(client.me(fresh.access_token), 401)
        await expectStatus(client.refresh(fresh.refresh_token), 401)
      })

      note('F04 Redis with 100 ms a round trip', took.join('; '))
    })

    it('F04 is too slow is a 503, and opens no session that cannot be ended', async () => {
      const { stage, proxy } = open[0]!
      const { client } = stage
      const someone = await aPerson(client)
      const slow = { begin: () => proxy.begin({ kind: 'delay', eachWayMs: timeoutMs }), end: proxy.heal }

      const refused = await during(slow, () =>
        expectUnavailable(
          ...Array.from({ length: 10 }, () => client.login({ email: someone.email, password })),
          client.refresh(someone.tokens.refresh_token),
          client.protected(someone.tokens.access_token),
        ),
      )

      await untilItWorks(client)
      await expectStatus(client.logoutAll(someone.tokens.access_token), 200)
      expect(await redis.operator().keys(`*sessions:{${someone.id}}`)).to.deep.equal([])
      note('F04 Redis slower than its time-out', inWords(refused))
    })

    it('F05 is cut at any moment costs the request under way at most, and the next one is answered', async () => {
      const { stage, proxy } = open[0]!
      const { client, cast } = stage
      const someone = await aPerson(client)
      const requests: NamedRequest[] = [
        ...checks(client, cast),
        ['login', () => client.login({ email: someone.email, password })],
        ['me', () => client.me(someone.tokens.access_token)],
        ['a wrong password', () => client.login({ email: someone.email, password: 'not the password' })],
      ]
      let refused = 0
      const cuts = 30
      for (let i = 0; i < cuts; i++) {
        const [[name, ask], [nextName, askNext]] = [choose(requests, draw), choose(requests, draw)]
        const timer = setTimeout(proxy.cut, draw() * 12)

        const answer = await ask()

        clearTimeout(timer)
        if (answer.status === 503) refused += 1
        expect(answer.status, name).to.be.oneOf([name === 'a wrong password' ? 401 : 200, 503])
        expect((await askNext()).status, `${nextName}, the next one`).to.equal(
          nextName === 'a wrong password' ? 401 : 200,
        )
      }
      note('F05 connections to Redis cut', `${cuts} cuts, ${refused} requests answered 503, the next one never`)
    })
  })

  describe('a Redis whose troubles are over', function () {
    this.timeout(30_000)

    it('has left a reset link that was never spent for certain as good as it was', async () => {
      const redis = await ownRedis()
      const stage = await aStage({ REDIS_URL: redis.url })
      const { client, cast } = stage
      const body = { token: cast.resetToken, new_password: 'a quite different sentence' }

      await during({ begin: redis.kill, end: redis.start }, () =>
        expectUnavailable(client.post('/v1/auth/reset-password', { body })),
      )

      await untilItWorks(client)
      await expectStatus(client.login({ email: cast.forgetful.email, password }), 200)
      await expectStatus(client.post('/v1/auth/reset-password', { body }), 204)
      await expectStatus(client.protected(cast.forgetful.tokens.access_token), 401)
      await stage.service.close()
      await redis.discard()
    })
  })
})
