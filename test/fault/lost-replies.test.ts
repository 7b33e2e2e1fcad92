import { expect } from 'chai'
import { type Answer, type ApiClient, type Tokens } from '../support/client.ts'
import { choose, expectStatus, expectUnavailable, note, untilItWorks, untilReadyIs } from '../support/faults.ts'
import { postgresFraming, redisFraming } from '../support/framing.ts'
import { readMails } from '../support/mailbox.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { addressOf, mishaps, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { random } from '../support/seed.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { keyPrefix, operatorsRedis, redisUrl } from '../support/stores.ts'

const another = 'a quite different sentence'
const timeoutMs = 250
/** No operation has as many commands. */
const commandsMax = 60

type Store = 'redis' | 'postgres'
const storeNames = { redis: 'Redis', postgres: 'PostgreSQL' }

/**
 * One operation at a time meets a mishap at its first command, then at its second, and so on until it has no more: the
 * command is lost; or it is done and its reply is lost, with a connection that breaks or that goes silent.
 */
describe('a reply of a store that is lost', function () {
  this.timeout(60_000)
  const draw = random('lost replies')

  let postgres: OwnPostgres
  let smtp: SmtpSink
  /** Sends the mails, and nothing happens to it. */
  let postman: TestService
  let service: TestService
  let client: ApiClient
  let proxies: Record<Store, Proxy>
  before(async () => {
    ;[postgres, smtp] = await Promise.all([ownPostgres(), startSmtp()])
    postman = await startService({ ...smtp.env, DATABASE_URL: postgres.url })
    await untilReadyIs(200, postman.client)
    proxies = {
      redis: await startProxy(addressOf(redisUrl()), redisFraming),
      postgres: await startProxy(addressOf(postgres.url), postgresFraming),
    }
    service = await startService({
      DATABASE_URL: urlThrough(proxies.postgres, postgres.url),
      REDIS_URL: urlThrough(proxies.redis, redisUrl()),
      REDIS_TIMEOUT_MS: String(timeoutMs),
      DATABASE_TIMEOUT_MS: String(timeoutMs),
    })
    ;({ client } = service)
    await untilReadyIs(200, client)
  })
  after(async () => {
    await Promise.all([service.close(), postman.close()])
    await Promise.all(Object.values(proxies).map((proxy) => proxy.close()))
    await smtp.stop()
    await postgres.discard()
  })

  interface Operation<T> {
    prepare: () => Promise<T>
    ask: (who: T) => Promise<Answer>
    /** Looks at what is left, once the stores are well again. */
    look: (who: T, answer: Answer) => Promise<unknown>
  }

  /** Goes through the commands of an operation, each with somebody else. */
  async function atEachCommand<T>(row: string, store: Store, { prepare, ask, look }: Operation<T>): Promise<void> {
    const proxy = proxies[store]
    let refused = 0
    for (let at = 1; at <= commandsMax; at++) {
      const who = await prepare()
      const is = choose(mishaps, draw)
      proxy.begin({ kind: 'mishap', at, is })
      const asked = ask(who)
      const { status } = await asked
      const wasMet = proxy.commands() >= at
      proxy.heal()
      try {
        if (status === 503) await expectUnavailable(asked)
        await untilItWorks(client)
        await look(who, await asked)
      } catch (error) {
        throw new Error(`${row}, ${is} at command ${at} to ${storeNames[store]}`, { cause: error })
      }
      if (status === 503) refused += 1
      if (!wasMet) {
        note(`${row}, ${storeNames[store]}`, `a mishap at each of ${at - 1} commands, ${refused} times 503`)
        return
      }
    }
    expect.fail(`${row}: there is no end of commands`)
  }

  const works = async (tokens: Tokens) => (await client.me(tokens.access_token)).status === 200
  const logInStatus = async ({ email }: { email: string }, with_: string) =>
    (await client.login({ email, password: with_ })).status
  const keyOf = ({ id }: Someone) => `${keyPrefix}sessions:{${id}}`

  async function expectDead(sessions: Tokens[]): Promise<void> {
    for (const { access_token, refresh_token } of sessions) {
      await expectStatus(client.me(access_token), 401)
      await expectStatus(client.refresh(refresh_token), 401)
    }
  }

  /** Puts the sessions back as they were, as a Redis does that has lost its last writes: PostgreSQL must know better. */
  async function expectDeadForGood(
    someone: Someone,
    before: Record<string, string>,
    sessions: Tokens[],
  ): Promise<void> {
    await operatorsRedis().hset(keyOf(someone), before)
    for (const { refresh_token } of sessions) await expectStatus(client.refresh(refresh_token), 401)
  }

  for (const store of ['redis', 'postgres'] as const) {
    it(`F06 of ${storeNames[store]} to a refresh leaves one living pair, after a retry or a login`, () =>
      atEachCommand('F06 refresh', store, {
        prepare: () => aPerson(client),
        ask: ({ tokens }) => client.refresh(tokens.refresh_token),
        async look(someone, answer) {
          const isTooLate = answer.status === 503 && draw() < 0.5
          if (isTooLate) service.clock.pass({ seconds: 31 })
          const retried = await expectStatus(
            answer.status === 200 ? Promise.resolve(answer) : client.refresh(someone.tokens.refresh_token),
            ...(isTooLate ? [200, 401] : [200]),
          )
          if (retried.status === 401) {
            await expectDead([someone.tokens])
            await aSession(client, someone)
            return
          }
          const pair = retried.body as Tokens
          expect(await works(pair)).to.equal(true)
          expect((await client.sessions(pair.access_token)).body.items).to.have.length(1)
          const next = (await expectStatus(client.refresh(pair.refresh_token), 200)).body as Tokens
          service.clock.pass({ seconds: 31 })
          expect([await works(someone.tokens), await works(pair), await works(next)]).to.deep.equal([
            false,
            false,
            true,
          ])
        },
      }))

    it(`F07 of ${storeNames[store]} to a logout-all is no confirmation: once there is one, all are dead for good`, () =>
      atEachCommand('F07 logout-all', store, {
        async prepare() {
          const someone = await aPerson(client)
          const sessions = [someone.tokens, await aSession(client, someone), await aSession(client, someone)]
          return { someone, sessions, before: await operatorsRedis().hgetall(keyOf(someone)) }
        },
        ask: ({ someone }) => client.logoutAll(someone.tokens.access_token),
        async look({ someone, sessions, before }, answer) {
          if (answer.status === 503) await expectStatus(client.logoutAll(someone.tokens.access_token), 200, 401)
          await expectDead(sessions)
          await expectDeadForGood(someone, before, sessions)
        },
      }))

    it(`F08 of ${storeNames[store]} to a login leaves no session that a logout-all does not end`, () =>
      atEachCommand('F08 login', store, {
        prepare: () => aPerson(client),
        ask: (someone) => client.login({ email: someone.email, password }),
        async look(someone, answer) {
          if (answer.status === 200) expect(await works(answer.body as Tokens)).to.equal(true)
          if (store === 'postgres') {
            const { items } = (await client.sessions(someone.tokens.access_token)).body as { items: unknown[] }
            expect(items).to.have.length(answer.status === 200 ? 2 : 1)
          }
          await expectStatus(client.logoutAll(someone.tokens.access_token), 200)
          expect(await operatorsRedis().exists(keyOf(someone))).to.equal(0)
          if (answer.status === 200) await expectDead([answer.body as Tokens])
        },
      }))

    it(`F24 of ${storeNames[store]} to a registration leaves an account that works, or none`, () =>
      atEachCommand('F24 register', store, {
        prepare: async () => ({ email: uniqueEmail() }),
        ask: ({ email }) => client.register({ email, password }),
        async look({ email }, answer) {
          if (answer.status === 503) await expectStatus(client.register({ email, password }), 201, 409)
          expect(await logInStatus({ email }, password)).to.equal(200)
        },
      }))

    it(`F25 of ${storeNames[store]} to a reset leaves one password that works, and no old session with a new one`, () =>
      atEachCommand('F25 reset', store, {
        async prepare() {
          const someone = await aPerson(client)
          const sessions = [someone.tokens, await aSession(client, someone)]
          const before = await operatorsRedis().hgetall(keyOf(someone))
          return { someone, sessions, before, token: await readMails(smtp).aResetToken(client, someone) }
        },
        ask: ({ token }) => client.post('/v1/auth/reset-password', { body: { token, new_password: another } }),
        async look({ someone, sessions, before, token }, answer) {
          const isNew = (await logInStatus(someone, another)) === 200
          expect(await logInStatus(someone, password)).to.equal(isNew ? 401 : 200)
          if (answer.status === 204) expect(isNew).to.equal(true)
          if (isNew) {
            await expectDead(sessions)
            await expectDeadForGood(someone, before, sessions)
          }
          const body = { token, new_password: another }
          await expectStatus(client.post('/v1/auth/reset-password', { body }), isNew ? 400 : 204)
        },
      }))
  }

  it('F25 of PostgreSQL to a change of password leaves one that works, and no other session with a new one', () =>
    atEachCommand('F25 change of password', 'postgres', {
      async prepare() {
        const someone = await aPerson(client)
        const other = await aSession(client, someone)
        return { someone, other, before: await operatorsRedis().hgetall(keyOf(someone)) }
      },
      ask: ({ someone }) =>
        client.post('/v1/me/password', {
          token: someone.tokens.access_token,
          body: { current_password: password, new_password: another },
        }),
      async look({ someone, other, before }, answer) {
        const isNew = (await logInStatus(someone, another)) === 200
        expect(await logInStatus(someone, password)).to.equal(isNew ? 401 : 200)
        if (answer.status === 200) expect([isNew, await works(answer.body as Tokens)]).to.deep.equal([true, true])
        if (!isNew) return
        await expectDead([other])
        await expectDeadForGood(someone, before, [someone.tokens, other])
      },
    }))
})
