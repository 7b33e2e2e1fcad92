import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Knex } from 'knex'
import { createClient, expectProblem, type Answer, type ApiClient, type Tokens } from '../support/client.ts'
import { addressOfProcess, latchkey, startBundled, type ServiceProcess } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { answerMs, expectStatus, note, recoveryMs, times } from '../support/faults.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { plantResetToken } from '../support/reset-token.ts'
import { random, seed, some } from '../support/seed.ts'
import { cheapHashes, startService } from '../support/service.ts'
import { databaseUrl, keyPrefix, operatorsRedis, ownDatabase, redisUrl } from '../support/stores.ts'
import { aim, type Hit, type Shot } from '../support/volley.ts'
import { openWire, requestOf, type Wire, type WireAnswer } from '../support/wire.ts'

/** What is promised of a stop. */
const stopMs = 10_000

const newPassword = 'another sentence that nobody guesses'

async function statusOf(asked: Promise<Answer>): Promise<number> {
  return (await asked).status
}

/** Where a service process is reached, once it answers by its stores. */
async function readyUrl(running: ServiceProcess): Promise<string> {
  await eventually(() => expect(running.output()).to.include('migrations.done').and.include('redis.ready'), 30_000)
  const url = await addressOfProcess(running)
  const client = createClient(url)
  await eventually(() => expectStatus(client.protected(randomUUID()), 401), recoveryMs)
  return url
}

const children = new Set<ServiceProcess>()

async function start(...how: Parameters<typeof startBundled>): Promise<ServiceProcess> {
  const running = await startBundled(...how)
  children.add(running)
  void running.exitCode.then(() => children.delete(running))
  return running
}

after(async () => {
  for (const { process: child } of children) child.kill('SIGKILL')
  await Promise.all([...children].map(({ exitCode }) => exitCode))
})

/** Sends SIGTERM, and expects the process to end well and in time; returns in how many milliseconds it did. */
async function expectToStop(running: ServiceProcess): Promise<number> {
  const startedAt = performance.now()
  running.process.kill('SIGTERM')
  const code = await running.exitCode
  const tookMs = performance.now() - startedAt
  expect(code, running.output()).to.equal(0)
  expect(tookMs, 'milliseconds until it has ended').to.be.below(stopMs)
  return Math.round(tookMs)
}

describe('a process that is killed in the middle of its work', function () {
  this.timeout(240_000)

  /** Kills that go on beside each other, and processes that are started ahead of them. */
  const lanes = 3
  const ahead = 3
  const prefix = `${keyPrefix}k:`
  /** The stores are well here: only a busy machine would have anybody wait for them for as long as by default. */
  const patient = { DATABASE_TIMEOUT_MS: '20000', REDIS_TIMEOUT_MS: '10000' }
  const env = { ...cheapHashes, ...patient, KEY_PREFIX: prefix, DATABASE_POOL_MAX: '5' }

  let database: Awaited<ReturnType<typeof ownDatabase>>
  let knex: Knex
  /** Goes on while the others are killed, and tells what has become of their work. */
  let survivor: { url: string; client: ApiClient }
  const waiting: Promise<Victim>[] = []
  let started = 0
  const figures = { kills: 0, requests: 0, answered: 0, dangling: '' }

  interface Victim {
    name: string
    url: string
    running: ServiceProcess
    /** Between it and its stores. */
    proxies: Proxy[]
    /** Is called whenever something goes by, either way. */
    passing: { by: () => void }
  }

  /** Requests that are under way when the kill comes, and what must hold after it, whatever has become of them. */
  interface Act {
    /** To the one that is killed, unless another URL is named. */
    shots: (Omit<Shot, 'url'> & { url?: string })[]
    check: (hits: (Hit | null)[]) => Promise<void>
  }

  before(async () => {
    database = await ownDatabase()
    knex = connectPostgres(database.url)
    const running = await start({ ...env, DATABASE_URL: database.url })
    const url = await readyUrl(running)
    survivor = { url, client: createClient(url) }
  })
  after(async () => {
    await Promise.all(
      waiting.map(async (victim) => {
        const { running, proxies } = await victim
        running.process.kill('SIGKILL')
        await Promise.all([running.exitCode, ...proxies.map((proxy) => proxy.close())])
      }),
    )
    note(
      'F40 F41 F42',
      `${figures.kills} kills, ${figures.requests} requests under way, ${figures.answered} of them answered before; ` +
        `pointers that lead nowhere: ${figures.dangling}`,
    )
    await knex.destroy()
  })

  async function launch(): Promise<Victim> {
    const name = `victim-${++started}`
    const passing = { by: () => {} }
    const before = (url: string) => startProxy(addressOf(url), undefined, () => passing.by())
    const [postgres, redis] = await Promise.all([before(database.url), before(redisUrl())])
    const databaseAt = new URL(urlThrough(postgres, database.url))
    databaseAt.searchParams.set('application_name', name)
    const running = await start({ ...env, DATABASE_URL: databaseAt.href, REDIS_URL: urlThrough(redis, redisUrl()) })
    return { name, url: await readyUrl(running), running, proxies: [postgres, redis], passing }
  }

  function nextVictim(): Promise<Victim> {
    while (waiting.length <= ahead) waiting.push(launch())
    return waiting.shift()!
  }

  /** Waits until nothing that it has sent can take effect any more. */
  async function whollyGone({ name, running, proxies }: Victim): Promise<void> {
    await running.exitCode
    await eventually(() => expect(proxies.map((proxy) => proxy.connections())).to.deep.equal([0, 0]))
    await eventually(async () => {
      const { rows } = await knex.raw('select 1 from pg_stat_activity where application_name = ?', [name])
      expect(rows).to.have.length(0)
    })
    // Redis serves connections in the order in which something came on them, also what was closed since. Twice, as it may
    // have begun its round before the last of that came.
    for (let i = 0; i < 2; i++) await operatorsRedis().ping()
    await Promise.all(proxies.map((proxy) => proxy.close()))
  }

  /**
   * Kills a process in the middle of these acts: when so much has gone between it and the stores as chance has chosen,
   * so that every step is met as often as the next, however fast this machine is.
   */
  async function killDuring(acts: Act[], pieces: number): Promise<void> {
    const victim = await nextVictim()
    const shots = acts.flatMap((act) => act.shots.map((shot) => ({ url: victim.url, ...shot })))
    const { fire, hits } = await aim(shots)
    let left = pieces
    const isTime = new Promise<void>((resolve) => {
      victim.passing.by = () => {
        left -= 1
        if (left > 0) return
        victim.running.process.kill('SIGKILL')
        resolve()
      }
    })

    fire()
    await Promise.race([isTime, Promise.allSettled(hits)])
    victim.running.process.kill('SIGKILL')

    const told = await Promise.all(hits.map((hit) => hit.catch(() => null)))
    await whollyGone(victim)
    figures.kills += 1
    figures.requests += told.length
    figures.answered += told.filter((hit) => hit !== null).length
    for (const { shots: own, check } of acts) {
      const theirs = told.splice(0, own.length)
      try {
        await check(theirs)
      } catch (error) {
        const seen = JSON.stringify(own.map(({ path }, i) => [path, theirs[i]?.status ?? 'cut']))
        throw new Error(`seed ${seed}, ${seen}: ${(error as Error).message}`, { cause: error })
      }
    }
  }

  /** Kills so many processes, each at one of so many steps. */
  async function kill(count: number, steps: number, prepare: (chance: () => number) => Promise<Act[]>): Promise<void> {
    const before = { ...figures }
    let next = 0
    await times(lanes, async () => {
      for (let i = next++; i < count; i = next++) {
        const chance = random(`kill ${i} of ${count}`)
        const pieces = Math.ceil(chance() * steps)
        await killDuring(await prepare(chance), pieces)
      }
    })
    const answered = figures.answered - before.answered
    expect(answered, 'requests that were answered before a kill').to.be.above(0)
    expect(figures.requests - before.requests - answered, 'requests that a kill has cut').to.be.above(0)
  }

  /** The sessions that the service lists for somebody, and those in their set, which must be the same. */
  async function openSessionsOf(token: string, userId: string): Promise<string[]> {
    const { body } = await expectStatus(survivor.client.sessions(token), 200)
    const listed = (body.items as { id: string }[]).map(({ id }) => id)
    const fields = await operatorsRedis().hkeys(`${prefix}sessions:{${userId}}`)
    expect(fields.filter((field) => field !== 'user')).to.have.members(listed)
    return listed
  }

  async function expectDead(...pairs: Pick<Tokens, 'access_token' | 'refresh_token'>[]): Promise<void> {
    for (const { access_token, refresh_token } of pairs) {
      await expectStatus(survivor.client.me(access_token), 401)
      await expectStatus(survivor.client.refresh(refresh_token), 401)
    }
  }

  /** Logs in, ends everything, and expects that nothing of it goes on. */
  async function endAll(someone: Someone, ...pairs: Pick<Tokens, 'access_token' | 'refresh_token'>[]): Promise<void> {
    const last = await aSession(survivor.client, someone)
    await expectStatus(survivor.client.logoutAll(last.access_token), 200)
    await expectDead(last, ...pairs)
    expect(await operatorsRedis().exists(`${prefix}sessions:{${someone.id}}`), 'a set after logout-all').to.equal(0)
  }

  const settled = (hit: Hit | null, status: number): boolean => {
    if (hit) expect(hit.status, JSON.stringify(hit.body)).to.equal(status)
    return hit !== null
  }

  /** Two clients of one person refresh. Each goes on: with the pair it was given, or by trying again with the old one. */
  async function refreshing(): Promise<Act> {
    const someone = await aPerson(survivor.client)
    const pairs = [someone.tokens, await aSession(survivor.client, someone)]
    return {
      shots: pairs.map(({ refresh_token }) => ({ path: '/v1/auth/refresh', body: { refresh_token } })),
      async check(hits) {
        const now = await Promise.all(
          pairs.map(async ({ refresh_token }, i): Promise<Tokens> => {
            if (settled(hits[i]!, 200)) return hits[i]!.body
            return (await expectStatus(survivor.client.refresh(refresh_token), 200)).body
          }),
        )
        for (const { access_token } of now) await expectStatus(survivor.client.me(access_token), 200)
        const next = await Promise.all(
          now.map(async ({ refresh_token }) => (await expectStatus(survivor.client.refresh(refresh_token), 200)).body),
        )
        expect(await openSessionsOf(next[0].access_token, someone.id)).to.have.members(
          pairs.map(({ session }) => session.id),
        )
        await endAll(someone, ...next, ...now, ...pairs)
      },
    }
  }

  /** Logins: whoever was given tokens has a session, and none lies outside the set. */
  async function loggingIn(): Promise<Act> {
    const someone = await aPerson(survivor.client)
    const body = { email: someone.email, password }
    return {
      shots: [0, 1].map(() => ({ path: '/v1/auth/login', body })),
      async check(hits) {
        const told = hits.filter((hit) => settled(hit, 200)).map((hit) => hit!.body as Tokens)
        for (const { access_token } of told) await expectStatus(survivor.client.me(access_token), 200)
        const open = await openSessionsOf(someone.tokens.access_token, someone.id)
        expect(open).to.include.members([someone.tokens, ...told].map(({ session }) => session.id))
        expect(open.length).to.be.at.most(3)
        await endAll(someone, someone.tokens, ...told)
      },
    }
  }

  async function loggingOut(): Promise<Act> {
    const someone = await aPerson(survivor.client)
    const other = await aSession(survivor.client, someone)
    return {
      shots: [{ path: '/v1/auth/logout', token: someone.tokens.access_token }],
      async check([hit]) {
        if (!settled(hit!, 204)) {
          const { refresh_token } = someone.tokens
          await expectStatus(survivor.client.post('/v1/auth/logout', { body: { refresh_token } }), 204)
        }
        await expectDead(someone.tokens)
        expect(await openSessionsOf(other.access_token, someone.id)).to.deep.equal([other.session.id])
      },
    }
  }

  async function loggingOutEverywhere(): Promise<Act> {
    const someone = await aPerson(survivor.client)
    const pairs = [someone.tokens, await aSession(survivor.client, someone)]
    return {
      shots: [{ path: '/v1/auth/logout-all', token: someone.tokens.access_token }],
      async check([hit]) {
        if (!settled(hit!, 200)) {
          const [mine, other] = await Promise.all(
            pairs.map(({ access_token }) => statusOf(survivor.client.me(access_token))),
          )
          expect(mine, 'both sessions go, or none').to.equal(other)
          if (mine === 200) await expectStatus(survivor.client.logoutAll(pairs[1]!.access_token), 200)
        }
        await expectDead(...pairs)
        await endAll(someone)
      },
    }
  }

  async function registering(): Promise<Act> {
    const email = uniqueEmail()
    return {
      shots: [{ path: '/v1/auth/register', body: { email, password } }],
      async check([hit]) {
        const again = await expectStatus(survivor.client.register({ email, password }), 201, 409)
        if (settled(hit!, 201)) {
          expect(again.status).to.equal(409)
          await expectStatus(survivor.client.me(hit!.body.access_token), 200)
        }
        const tokens = (await expectStatus(survivor.client.login({ email, password }), 200)).body as Tokens
        const someone = { email, password, id: tokens.user.id, tokens }
        expect(await openSessionsOf(tokens.access_token, someone.id)).to.include(tokens.session.id)
        await endAll(someone, tokens)
      },
    }
  }

  /** Which of the two passwords works: one and only one. */
  async function workingPassword(email: string): Promise<string> {
    const [old, fresh] = await Promise.all(
      [password, newPassword].map((each) => statusOf(survivor.client.login({ email, password: each }))),
    )
    expect([old, fresh], 'logins with the old password, and the new one').to.have.members([200, 401])
    return old === 200 ? password : newPassword
  }

  /** A reset, and logins with the old password beside it, here and where nobody is killed. */
  async function resetting(chance: () => number): Promise<Act> {
    const someone = await aPerson(survivor.client)
    const pairs = [someone.tokens, await aSession(survivor.client, someone)]
    const token = await plantResetToken(knex, someone)
    const body = { token, new_password: newPassword }
    const login = { path: '/v1/auth/login', body: { email: someone.email, password } }
    const beside = chance() < 0.5
    return {
      shots: [{ path: '/v1/auth/reset-password', body }, login, ...(beside ? [{ ...login, url: survivor.url }] : [])],
      async check([reset, ...logins]) {
        const told = logins.filter((hit) => hit?.status === 200).map((hit) => hit!.body as Tokens)
        const isDone = settled(reset!, 204)
        const works = await workingPassword(someone.email)
        if (isDone) expect(works).to.equal(newPassword)
        if (works === newPassword) await expectDead(...pairs, ...told)
        const again = await survivor.client.post('/v1/auth/reset-password', { body })
        expect(again.status, 'the same link once more').to.equal(works === newPassword ? 400 : 204)
        await endAll({ ...someone, password: newPassword }, ...pairs, ...told)
      },
    }
  }

  async function changing(): Promise<Act> {
    const someone = await aPerson(survivor.client)
    const other = await aSession(survivor.client, someone)
    const body = { current_password: password, new_password: newPassword }
    return {
      shots: [{ path: '/v1/me/password', token: someone.tokens.access_token, body }],
      async check([hit]) {
        const works = await workingPassword(someone.email)
        if (settled(hit!, 200)) {
          expect(works).to.equal(newPassword)
          await expectStatus(survivor.client.me(hit!.body.access_token), 200)
          await expectStatus(survivor.client.me(someone.tokens.access_token), 401)
          await expectStatus(survivor.client.refresh(hit!.body.refresh_token), 200)
        }
        if (works === newPassword) await expectDead(other)
        await endAll({ ...someone, password: works }, someone.tokens, other)
      },
    }
  }

  it('F40 leaves every client its session, or lets it log in, and holds to what it has acknowledged', () =>
    kill(some(70), 90, async (chance) => [
      await refreshing(),
      ...(chance() < 0.5 ? [await loggingIn(), await loggingOutEverywhere()] : [await loggingOut()]),
    ]))

  it('F41 leaves no address that is taken and lets nobody in', () =>
    kill(some(50), 90, () => Promise.all([registering(), registering()])))

  it('F42 leaves exactly one password, and with the new one no session of the old', () =>
    kill(some(80), 120, async (chance) => [await resetting(chance), ...(chance() < 0.5 ? [await changing()] : [])]))

  it('leaves nothing in the stores that would have to be mended, or would stay for ever', async () => {
    const { out, errors } = await latchkey(['doctor', '--json'], { ...env, DATABASE_URL: database.url })
    const said = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { check: string; verdict: string; says: string })
    const about = (kind: string) => said.find(({ check }) => check === `sessions ${kind}`)
    for (const kind of ['ended', 'stranded', 'lasting']) expect(about(kind)?.says, `${kind} ${errors}`).to.equal('none')
    figures.dangling = about('dangling')?.says ?? ''
  })
})

describe('a process that is told to stop', function () {
  this.timeout(90_000)
  const env = { ...cheapHashes }

  /** What one client did until its connection ended, and what it was told. */
  interface Flow {
    tokens: Tokens
    /** Sessions that it has ended, and was told so. */
    ended: Tokens[]
    /** The request ids of its answers. */
    answers: string[]
    midway: number
    unanswered: number
    errors: string[]
    wasToldToClose: boolean
  }

  /** A client that asks one thing after the other on one connection until that is closed. */
  async function flowing(url: string, someone: Someone, toEnd: Tokens[], chance: () => number): Promise<Flow> {
    const wire = await openWire(url)
    const flow: Flow = {
      tokens: someone.tokens,
      ended: [],
      answers: [],
      midway: 0,
      unanswered: 0,
      errors: [],
      wasToldToClose: false,
    }
    while (!flow.wasToldToClose) {
      const { access_token: token, refresh_token } = flow.tokens
      const which = chance()
      const ending = which < 0.15 ? toEnd.pop() : undefined
      const answer = await wire.ask(
        ending
          ? requestOf('POST', '/v1/auth/logout', { token: ending.access_token })
          : which < 0.3
            ? requestOf('POST', '/v1/auth/refresh', { body: { refresh_token } })
            : requestOf('GET', ['/v1/me', '/v1/protected', '/v1/sessions'][Math.floor(chance() * 3)]!, { token }),
      )
      if (answer === 'midway' || answer === 'unanswered') {
        flow[answer] += 1
        if (wire.error() !== null) flow.errors.push(wire.error()!)
        break
      }
      flow.answers.push(answer.headers['x-request-id']!)
      expect(answer.status, answer.text).to.be.oneOf([200, 204])
      if (ending) flow.ended.push(ending)
      else if (which < 0.3) flow.tokens = JSON.parse(answer.text) as Tokens
      flow.wasToldToClose = answer.headers['connection'] === 'close'
    }
    await wire.closed
    expect(wire.rest(), 'bytes that belong to no answer').to.equal('')
    return flow
  }

  it('F43 breaks no answer off, holds to what it has acknowledged, and lets every client go on', async () => {
    const running = await start({ ...env, LOG_LEVEL: 'debug' })
    const url = await readyUrl(running)
    const client = createClient(url)
    const clients = await times(24, async () => {
      const someone = await aPerson(client)
      const toEnd: Tokens[] = []
      while (toEnd.length < 6) toEnd.push(await aSession(client, someone)) // all at once would be a storm of logins
      return { someone, toEnd }
    })
    const last = (await client.get('/health/live')).headers.get('x-request-id')
    await eventually(() => expect(running.output()).to.include(last))
    const loggedBefore = running.output().length
    const flows = clients.map(({ someone, toEnd }, i) => flowing(url, someone, toEnd, random(`client ${i}`)))
    await delay(200 + random('stop')() * 300)

    const tookMs = await expectToStop(running)

    const done = await Promise.all(flows)
    const sum = (count: (flow: Flow) => number) => done.reduce((total, flow) => total + count(flow), 0)
    const ended = done.flatMap((flow) => flow.ended)
    const figures = {
      seed,
      tookMs,
      answers: sum(({ answers }) => answers.length),
      ended: ended.length,
      toldToClose: sum(({ wasToldToClose }) => Number(wasToldToClose)),
      unanswered: sum(({ unanswered }) => unanswered),
      errors: done.flatMap(({ errors }) => errors),
    }
    note(
      'F43',
      `${figures.answers} answers, ${figures.toldToClose} of ${clients.length} clients told that it closes, ` +
        `${figures.unanswered} requests without an answer, none broken off; ended after ${tookMs} ms`,
    )
    expect(
      sum(({ midway }) => midway),
      'answers that were broken off',
    ).to.equal(0)
    const handled = [
      ...running
        .output()
        .slice(loggedBefore)
        .matchAll(/"request.done","request_id":"([^"]+)"/g),
    ]
    expect(
      handled.map(([, id]) => id!),
      'requests that were handled, and those whose answers have come',
    ).to.have.members(done.flatMap(({ answers }) => answers))
    expect(figures.answers).to.be.above(clients.length)
    expect(figures.ended).to.be.above(0)
    expect(figures.toldToClose, 'clients that were told before their connection was closed').to.be.above(0)
    const next = createClient(await readyUrl(await start(env)))
    for (const { access_token, refresh_token } of ended) {
      expectProblem(await next.me(access_token), 401, 'invalid-token', 'logged-out')
      await expectStatus(next.refresh(refresh_token), 401)
    }
    for (const { tokens } of done) await expectStatus(next.refresh(tokens.refresh_token), 200)
  })

  it('F43 answers the request that is on its way while it begins to stop, and says that it closes', async () => {
    const service = await startService()
    const wire = await openWire(service.url)
    await wire.ask(requestOf('GET', '/health/live'))

    const closed = service.close()
    const answer = await wire.ask(requestOf('GET', '/health/live'))

    expect(answer, 'the answer').to.be.an('object')
    expect((answer as WireAnswer).status).to.equal(200)
    expect((answer as WireAnswer).headers['connection']).to.equal('close')
    await closed
  })

  /** Clients of which nothing more comes, in every state that a connection may be in. */
  async function stuckClients(url: string, token: string): Promise<Wire[]> {
    const wires = await times(4, () => openWire(url))
    const [, head, body, reader] = wires as [Wire, Wire, Wire, Wire]
    head.socket.write('GET /v1/me HTTP/1.1\r\nHost: x\r\nAuth')
    body.socket.write(
      'POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"e',
    )
    reader.socket.pause()
    reader.socket.write(requestOf('GET', '/v1/me', { token }).repeat(2000))
    await fetch(`${url}/health/live`) // behind them, so they have arrived
    return wires
  }

  it('F43 ends in time with clients that are stuck, and with stores that are slow or silent', async () => {
    const proxies: Proxy[] = []
    async function stoppedWith(
      fault: { kind: 'delay'; eachWayMs: number } | { kind: 'swallow' } | null,
    ): Promise<number> {
      const [redis, postgres] = await Promise.all([redisUrl(), databaseUrl()].map((to) => startProxy(addressOf(to))))
      proxies.push(redis!, postgres!)
      const running = await start({
        ...env,
        REDIS_URL: urlThrough(redis!, redisUrl()),
        DATABASE_URL: urlThrough(postgres!, databaseUrl()),
      })
      const url = await readyUrl(running)
      const someone = await aPerson(createClient(url))
      const stuck = await stuckClients(url, someone.tokens.access_token)
      if (fault) for (const proxy of [redis!, postgres!]) proxy.begin(fault)
      const asked = await times(8, () => openWire(url))
      await Promise.all(asked.map((wire) => wire.ask(requestOf('GET', '/health/live'))))
      const answers = asked.map((wire, i) =>
        wire.ask(
          i % 2 === 0
            ? requestOf('GET', '/v1/me', { token: someone.tokens.access_token })
            : requestOf('POST', '/v1/auth/login', { body: { email: someone.email, password } }),
        ),
      )
      await fetch(`${url}/health/live`) // behind them, so they have arrived
      const tookMs = await expectToStop(running)
      const expected = fault?.kind === 'swallow' ? [503] : [200, 503]
      for (const answer of await Promise.all(answers))
        expect((answer as WireAnswer).status, JSON.stringify(answer)).to.be.oneOf(expected)
      for (const wire of stuck) wire.destroy()
      return tookMs
    }

    const [stuck, slow, silent] = await Promise.all([
      stoppedWith(null),
      stoppedWith({ kind: 'delay', eachWayMs: 50 }),
      stoppedWith({ kind: 'swallow' }),
    ])
    note('F43', `stuck clients: ended after ${stuck} ms, with slow stores ${slow} ms, with silent ones ${silent} ms`)
    await Promise.all(proxies.map((proxy) => proxy.close()))
  })
})

describe('a process that is started without', function () {
  this.timeout(60_000)

  const cases = { Redis: ['redis'], PostgreSQL: ['postgres'], 'both stores': ['redis', 'postgres'] } as const
  for (const [name, missing] of Object.entries(cases))
    it(`F44 ${name} is live and not ready, can be stopped, and becomes ready by itself`, async () => {
      const proxies = {
        redis: await startProxy(addressOf(redisUrl())),
        postgres: await startProxy(addressOf(databaseUrl())),
      }
      for (const store of missing) proxies[store].begin({ kind: 'refuse' })
      const env = {
        ...cheapHashes,
        REDIS_URL: urlThrough(proxies.redis, redisUrl()),
        DATABASE_URL: urlThrough(proxies.postgres, databaseUrl()),
      }
      const [going, stopped] = await Promise.all([start(env), start(env)])

      for (const running of [going, stopped]) {
        const client = createClient(await addressOfProcess(running))
        const startedAt = performance.now()
        await expectStatus(client.get('/health/live'), 200)
        await expectStatus(client.get('/health/ready'), 503)
        const answer = await client.register({ email: uniqueEmail(), password })
        expectProblem(answer, 503, 'unavailable')
        expect(Number(answer.headers.get('retry-after'))).to.be.at.least(1)
        expect(performance.now() - startedAt, 'milliseconds for all of them').to.be.below(answerMs)
      }
      await expectToStop(stopped)
      for (const store of missing) proxies[store].heal()

      const client = createClient(await addressOfProcess(going))
      await eventually(() => expectStatus(client.get('/health/ready'), 200), recoveryMs)
      await aPerson(client)
      await expectToStop(going)
      await Promise.all(Object.values(proxies).map((proxy) => proxy.close()))
    })
})

describe('a restart after SIGKILL', function () {
  this.timeout(60_000)

  it('F45 keeps sessions, and neither what has ended nor what was spent comes back', async () => {
    const database = await ownDatabase()
    const env = { ...cheapHashes, DATABASE_URL: database.url, SETTING_REFRESH_GRACE_SECONDS: '0' }
    const first = await start(env)
    const client = createClient(await readyUrl(first))
    const people = await times(5, () => aPerson(client))
    const [staying, out, everywhere, rotated, revoking] = people as [Someone, Someone, Someone, Someone, Someone]
    const others = await Promise.all([aSession(client, everywhere), aSession(client, revoking)])
    const pair = (await expectStatus(client.refresh(rotated.tokens.refresh_token), 200)).body as Tokens
    await Promise.all([
      expectStatus(client.logout(out.tokens.access_token), 204),
      expectStatus(client.logoutAll(everywhere.tokens.access_token), 200),
      expectStatus(
        client.call('DELETE', `/v1/sessions/${others[1].session.id}`, { token: revoking.tokens.access_token }),
        204,
      ),
    ])

    first.process.kill('SIGKILL')
    await first.exitCode
    const second = createClient(await readyUrl(await start(env)))

    for (const { access_token, refresh_token } of [staying.tokens, revoking.tokens, pair]) {
      await expectStatus(second.me(access_token), 200)
      if (refresh_token !== pair.refresh_token) await expectStatus(second.refresh(refresh_token), 200)
    }
    for (const { access_token, refresh_token } of [out.tokens, everywhere.tokens, ...others]) {
      await expectStatus(second.me(access_token), 401)
      await expectStatus(second.refresh(refresh_token), 401)
    }
    expectProblem(await second.me(rotated.tokens.access_token), 401, 'invalid-token', 'expired')
    expectProblem(await second.refresh(rotated.tokens.refresh_token), 401, 'invalid-refresh-token', 'reused')
    expectProblem(await second.me(pair.access_token), 401, 'invalid-token', 'reused')
  })
})
