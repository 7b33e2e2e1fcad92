import { once } from 'node:events'
import net from 'node:net'
import { expect } from 'chai'
import { metricDefinitions } from '../../src/metrics/index.ts'
import { expectProblem } from '../support/client.ts'
import { readDocument } from '../support/documentation.ts'
import { eventually } from '../support/eventually.ts'
import { readMails } from '../support/mailbox.ts'
import { growth, metricNames, scrape } from '../support/metrics.ts'
import { ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

const wrong = 'another horse battery staple'

describe('the internal listener', () => {
  let service: TestService
  before(async () => {
    service = await startService({ OPS_PORT: '0' })
  })
  after(() => service.close())

  it('serves the metrics, which the public one does not', async () => {
    const names = await metricNames(service.opsUrl)

    expect(names).to.include.members(Object.keys(metricDefinitions))
    expectProblem(await service.client.get('/metrics'), 404, 'not-found')
  })

  it('serves what the README says of Node.js and the process', async () => {
    const names = await metricNames(service.opsUrl)

    const named = [...readDocument('README.md').matchAll(/\b(?:nodejs|process)_\w+/g)].map(([name]) => name)
    expect(named.length).to.be.at.least(4)
    expect(named.filter((name) => !names.includes(name))).to.deep.equal([])
  })

  it('serves the health routes, and nothing else of the API', async () => {
    const ask = async (path: string, method = 'GET') => (await fetch(service.opsUrl + path, { method })).status

    expect(await ask('/health/live')).to.equal(200)
    await eventually(async () => expect(await ask('/health/ready')).to.equal(200))
    for (const path of ['/', '/version', '/v1/me', '/v1/protected', '/metrics/', '/Metrics'])
      expect(await ask(path), path).to.equal(404)
    expect(await ask('/v1/auth/login', 'POST')).to.equal(404)
    expect(await ask('/metrics', 'POST')).to.equal(405)
  })

  it('is not there unless it is asked for', async () => {
    const quiet = await startService()

    expect(quiet.opsUrl).to.equal(null)
    expectProblem(await quiet.client.get('/metrics'), 404, 'not-found')
    await quiet.close()
  })

  it('stops the start when its port is taken, and says which it was', async () => {
    const taken = net.createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as net.AddressInfo

    const error = await startService({ OPS_PORT: String(port) }).catch((problem: Error) => problem)

    expect(error).to.be.an('error')
    expect((error as Error).message).to.match(/^the internal listener \(OPS_HOST, OPS_PORT\): .*EADDRINUSE/)
    taken.close()
  })

  it('is the last to close, and tells until then how the stop goes on', async () => {
    const stopped = await startService({ OPS_PORT: '0' })
    const slow = net.connect(Number(new URL(stopped.url).port), '127.0.0.1')
    await once(slow, 'connect')
    slow.write(
      'POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{',
    )
    await stopped.client.get('/health/live')

    const closing = stopped.close()
    const answers = (url: string) => fetch(`${url}/health/live`).catch(() => null)
    await eventually(async () => expect(await answers(stopped.url)).to.equal(null))
    expect((await scrape(stopped.opsUrl)).get('process_start_time_seconds')).to.be.greaterThan(0)
    slow.write('}')
    await closing

    expect(await answers(stopped.opsUrl!)).to.equal(null)
  })

  it('closes within ten seconds, with clients at both listeners that never come to an end', async () => {
    const stopped = await startService({ OPS_PORT: '0' })
    for (const url of [stopped.url, stopped.opsUrl!]) {
      const slow = net.connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined)
      await once(slow, 'connect')
      slow.write('GET /health/live HTTP/1.1\r\nHost')
    }
    for (const url of [stopped.url, stopped.opsUrl!]) await fetch(`${url}/health/live`)

    const startedAt = performance.now()
    await stopped.close()

    expect(performance.now() - startedAt).to.be.lessThan(10_000)
  }).timeout(20_000)
})

describe('the metrics', () => {
  let redis: OwnRedis
  let postgres: OwnPostgres
  let smtp: SmtpSink
  let service: TestService
  before(async function () {
    this.timeout(60_000)
    ;[redis, postgres, smtp] = await Promise.all([ownRedis(), ownPostgres(), startSmtp()])
    service = await startService({
      ...smtp.env,
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
      OPS_PORT: '0',
      LOG_LEVEL: 'silent',
      SETTING_WRONG_PASSWORDS_MAX: '3',
    })
    await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200))
  })
  after(async () => {
    await service.close()
    await Promise.all([redis.discard(), postgres.discard(), smtp.stop()])
  })

  /** What series with this beginning have grown by while something was done. */
  async function grown(start: string, doing: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = await scrape(service.opsUrl)
    await doing()
    return growth(before, await scrape(service.opsUrl), start)
  }

  it('are there with zero before anything has happened', async () => {
    const now = await scrape(service.opsUrl)

    expect(now.get('latchkey_logins_total{outcome="wrong-password"}')).to.equal(0)
    expect(now.get('latchkey_sessions_ended_total{reason="reused"}')).to.equal(0)
    expect(now.get('latchkey_registrations_total')).to.equal(0)
    expect(now.get('latchkey_mails_oldest_queued_seconds')).to.equal(0)
  })

  it('count registrations, and logins by what became of them', async () => {
    const { client } = service

    const change = await grown('latchkey_', async () => {
      const { email } = await aPerson(client)
      await client.login({ email, password })
      for (let i = 0; i < 4; i++) await client.login({ email, password: wrong })
      await client.login({ email: uniqueEmail(), password })
      await client.login({ email, password: 7 })
    })

    expect(change).to.include({
      latchkey_registrations_total: 1,
      'latchkey_logins_total{outcome="succeeded"}': 1,
      'latchkey_logins_total{outcome="wrong-password"}': 3,
      'latchkey_logins_total{outcome="too-many-attempts"}': 1,
      'latchkey_logins_total{outcome="unknown-account"}': 1,
      'latchkey_limits_reached_total{rule="wrong-passwords"}': 1,
      'latchkey_log_events_total{event="limit.reached"}': 1,
    })
    expect(Object.keys(change).filter((series) => series.startsWith('latchkey_logins'))).to.have.length(4)
  })

  it('count refreshes by what became of them', async () => {
    const { client, clock } = service
    const someone = await aPerson(client)
    const ended = await aSession(client, someone)
    const late = await aSession(client, someone)

    const change = await grown('latchkey_refreshes_total', async () => {
      const first = someone.tokens.refresh_token
      const next = (await client.refresh(first)).body.refresh_token
      await client.refresh(first) // a retry
      await client.refresh(next)
      await client.refresh(first) // reuse
      await client.refresh(next) // of a session that has ended for it
      await client.refresh('3f0e0f2c-7a4b-4c7e-9c58-0a8f4a1b2c3d')
      await client.logout(ended.access_token)
      await client.refresh(ended.refresh_token)
      clock.pass({ days: 7 })
      await client.refresh(late.refresh_token)
      await client.post('/v1/auth/refresh', { body: {} })
    })

    expect(change).to.deep.equal({
      'latchkey_refreshes_total{outcome="rotated"}': 2,
      'latchkey_refreshes_total{outcome="replayed"}': 1,
      'latchkey_refreshes_total{outcome="reused"}': 2,
      'latchkey_refreshes_total{outcome="unknown"}': 1,
      'latchkey_refreshes_total{outcome="ended"}': 1,
      'latchkey_refreshes_total{outcome="expired"}': 1,
    })
  })

  it('count endings by reason, and of several at once each', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const [one, two, three] = [
      await aSession(client, someone),
      await aSession(client, someone),
      await aSession(client, someone),
    ]

    const change = await grown('latchkey_sessions_ended_total', async () => {
      await client.logout(one.access_token)
      await client.call('DELETE', `/v1/sessions/${two.session.id}`, { token: three.access_token })
      await client.logoutAll(three.access_token)
    })

    expect(change).to.deep.equal({
      'latchkey_sessions_ended_total{reason="logged-out"}': 1,
      'latchkey_sessions_ended_total{reason="revoked"}': 1,
      'latchkey_sessions_ended_total{reason="logged-out-everywhere"}': 2,
    })
  })

  it('count endings that follow from a new password or from deleting the account', async () => {
    const { client } = service
    const someone = await aPerson(client)
    const here = await aSession(client, someone)
    const next = 'a quite different sentence'
    const resetToken = await readMails(smtp).aResetToken(client, someone)
    const toReset = await aPerson(client)
    const resetTokenOfOther = await readMails(smtp).aResetToken(client, toReset)
    const reset = (token: string) => client.post('/v1/auth/reset-password', { body: { token, new_password: next } })

    const change = await grown('latchkey_sessions_ended_total', async () => {
      const token = here.access_token
      const changed = await client.post('/v1/me/password', {
        token,
        body: { current_password: password, new_password: next },
      })
      expect(changed.status).to.equal(200)
      expectProblem(await reset(resetToken), 400, 'invalid-reset-token')
      expect((await reset(resetTokenOfOther)).status).to.equal(204)
      const { access_token } = changed.body as { access_token: string }
      await client.call('DELETE', '/v1/me', { token: access_token, body: { current_password: next } })
    })

    expect(change).to.deep.equal({
      'latchkey_sessions_ended_total{reason="password-changed"}': 1,
      'latchkey_sessions_ended_total{reason="password-reset"}': 1,
      'latchkey_sessions_ended_total{reason="revoked"}': 1,
    })
  })

  it('count requests by route pattern, never by path', async () => {
    const { client } = service
    const { tokens } = await aPerson(client)

    const change = await grown('latchkey_http_request_duration_seconds_count', async () => {
      await client.call('GET', `/v1/sessions/${tokens.session.id}`, { token: tokens.access_token })
      await client.get(`/v1/sessions/${tokens.session.id}`)
      await client.get('/nothing/here')
      await client.get('/nothing/there?secret=1')
      await client.call('PUT', '/v1/auth/login', { body: {} })
    })

    const name = 'latchkey_http_request_duration_seconds_count'
    expect(change).to.deep.equal({
      [`${name}{method="GET",route="/v1/sessions/:id",status="2xx"}`]: 1,
      [`${name}{method="GET",route="/v1/sessions/:id",status="4xx"}`]: 1,
      [`${name}{method="GET",route="none",status="4xx"}`]: 2,
      [`${name}{method="PUT",route="none",status="4xx"}`]: 1,
    })
  })

  it('time what the stores are asked, and how long passwords wait', async () => {
    const { client } = service
    const { email, tokens } = await aPerson(client)

    const checks = await grown('latchkey_', async () => client.protected(tokens.access_token))
    const logins = await grown('latchkey_', async () =>
      Promise.all(Array.from({ length: 8 }, () => client.login({ email, password }))),
    )
    const refresh = await grown('latchkey_', async () => client.refresh(tokens.refresh_token))

    expect(checks['latchkey_redis_command_duration_seconds_count{command="evalsha"}']).to.be.greaterThan(0)
    expect(logins['latchkey_postgres_query_duration_seconds_count{kind="select"}']).to.be.at.least(24)
    expect(refresh).to.not.have.property('latchkey_postgres_query_duration_seconds_count{kind="other"}')
    expect(logins['latchkey_password_hash_wait_seconds_count']).to.equal(8)
    expect(logins['latchkey_password_hash_wait_seconds_sum']).to.be.greaterThan(0)
  })

  it('tell of the queue of mails, and of what became of them', async () => {
    const before = await scrape(service.opsUrl)
    const changed = async (series: string) => growth(before, await scrape(service.opsUrl), series)[series]
    const now = async (series: string) => (await scrape(service.opsUrl)).get(series)

    smtp.behave('451')
    await aPerson(service.client)
    await eventually(async () => {
      expect(await changed('latchkey_mails_total{outcome="retried"}')).to.be.at.least(1)
      expect(await now('latchkey_mails_queued')).to.be.at.least(1)
      expect(await now('latchkey_mails_oldest_queued_seconds')).to.be.greaterThan(0)
    }, 15_000)

    smtp.behave('well')
    await eventually(async () => {
      expect(await now('latchkey_mails_queued')).to.equal(0)
      expect(await now('latchkey_mails_oldest_queued_seconds')).to.equal(0)
      expect(await changed('latchkey_mails_total{outcome="sent"}')).to.be.at.least(1)
    }, 40_000)
  }).timeout(90_000)

  it('do without what a store that is away would tell, and say which it is', async () => {
    const asked = [
      'latchkey_open_sessions',
      'latchkey_open_sessions_standard_error',
      'latchkey_mails_queued',
      'latchkey_mails_failed',
      'latchkey_mails_oldest_queued_seconds',
    ]
    const up = await scrape(service.opsUrl)
    for (const series of asked) expect(up.get(series), series).to.be.a('number')

    redis.pause()
    postgres.pause()
    let longestMs = 0
    await eventually(async () => {
      const startedAt = performance.now()
      const stalled = await scrape(service.opsUrl)
      longestMs = Math.max(longestMs, performance.now() - startedAt)
      expect(stalled.get('latchkey_store_up{store="redis"}')).to.equal(0)
      expect(stalled.get('latchkey_store_up{store="postgres"}')).to.equal(0)
      for (const series of asked) expect(stalled.get(series), series).to.equal(undefined)
      expect(stalled.get('latchkey_registrations_total')).to.be.greaterThan(0)
    }, 15_000)
    redis.resume()
    postgres.resume()

    expect(longestMs).to.be.lessThan(3000)
    await eventually(async () => {
      const again = await scrape(service.opsUrl)
      expect(again.get('latchkey_store_up{store="redis"}')).to.equal(1)
      expect(again.get('latchkey_store_up{store="postgres"}')).to.equal(1)
      for (const series of asked) expect(again.get(series), series).to.be.a('number')
    }, 15_000)
  }).timeout(60_000)
})
