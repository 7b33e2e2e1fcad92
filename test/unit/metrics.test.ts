import { expect } from 'chai'
import { Histogram, Registry } from 'prom-client'
import { createMetrics, createTally, metricDefinitions } from '../../src/metrics/index.ts'
import { kept } from '../../src/metrics/kept.ts'
import type { LogEvent, LogFields } from '../../src/platform/log.ts'
import { endReasons } from '../../src/sessions/session.ts'
import type { RuleName } from '../../src/throttle/index.ts'

describe('the metrics of a process', () => {
  it('begin with every reason of an ending and every rule of a limit', () => {
    const rules: Record<RuleName, true> = {
      'wrong-passwords': true,
      logins: true,
      registrations: true,
      'wrong-tokens': true,
      'mail-requests': true,
      mails: true,
    }

    expect(metricDefinitions.latchkey_sessions_ended_total.labels.reason).to.deep.equal(endReasons)
    expect(metricDefinitions.latchkey_limits_reached_total.labels.rule).to.deep.equal(Object.keys(rules))
  })

  it('count what the log is told, and pass it on as it was', async () => {
    const metrics = createMetrics()
    const told: [LogEvent, LogFields | undefined][] = []
    const log = metrics.counting((event, fields) => told.push([event, fields]))

    log('login.failed', { reason: 'wrong-password', user_id: 'ada' })
    log('sessions.ended', { reason: 'logged-out-everywhere', count: 3 })
    log('mail.failed', { reason: '550' })

    const text = await metrics.text()
    expect(text).to.include('\nlatchkey_logins_total{outcome="wrong-password"} 1\n')
    expect(text).to.include('\nlatchkey_sessions_ended_total{reason="logged-out-everywhere"} 3\n')
    expect(text).to.include('\nlatchkey_mails_total{outcome="failed"} 1\n')
    expect(text).to.include('\nlatchkey_log_events_total{event="mail.failed"} 1\n')
    expect(told).to.deep.equal([
      ['login.failed', { reason: 'wrong-password', user_id: 'ada' }],
      ['sessions.ended', { reason: 'logged-out-everywhere', count: 3 }],
      ['mail.failed', { reason: '550' }],
    ])
  })

  it('tell how long requests took as a histogram of prom-client does', async () => {
    const name = 'latchkey_http_request_duration_seconds'
    const { help, labels, buckets } = metricDefinitions[name]
    const registry = new Registry()
    const theirs = new Histogram({
      name,
      help,
      labelNames: Object.keys(labels),
      buckets: [...buckets],
      registers: [registry],
    })
    const ours = createMetrics()
    const log = ours.counting(() => undefined)

    for (const [method, route, status, duration_ms] of [
      ['GET', '/forward-auth', 200, 0.4],
      ['GET', '/forward-auth', 200, 1],
      ['GET', '/forward-auth', 200, 2.5001],
      ['GET', '/forward-auth', 401, 5000],
      ['GET', '/v1/users/"a\\b"', 204, 5001],
      ['POST', '/forward-auth', 200, 0],
      ['POST', '/forward-auth', 503, 3],
    ] as const) {
      log('request.done', { method, route, status, duration_ms })
      theirs.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, duration_ms / 1000)
    }

    // One series after another, each in the order in which it is told.
    const seriesOf = (line: string) => /\{(?:le="[^"]*",)?(.*)\}/.exec(line)?.[1] ?? ''
    const linesOf = (text: string) =>
      text
        .split('\n')
        .filter((line) => line.includes(name))
        .toSorted((one, other) => seriesOf(one).localeCompare(seriesOf(other)))
    expect(linesOf(await ours.text())).to.deep.equal(linesOf(await registry.metrics()))
  })

  it('leave out what nobody can tell yet', async () => {
    const text = await createMetrics().text()

    expect(text).to.include('# TYPE latchkey_open_sessions gauge\n')
    expect(text).to.not.match(/^latchkey_open_sessions /m)
    expect(text).to.include('latchkey_store_up{store="redis"} 0\n')
  })
})

describe('an answer that is kept', () => {
  it('is asked for once, however many want it at a time', async () => {
    let asked = 0
    const answer = kept(async () => (asked += 1), 60_000)

    expect(await Promise.all([answer(), answer(), answer()])).to.deep.equal([1, 1, 1])
    expect(await answer()).to.equal(1)
  })

  it('is null when it fails, and is then asked for anew', async () => {
    let asked = 0
    const answer = kept(async () => {
      asked += 1
      if (asked === 1) throw new Error('away')
      return asked
    }, 60_000)

    expect(await answer()).to.equal(null)
    expect(await answer()).to.equal(2)
  })

  it('is null when it does not come in time, and nobody asks a second time meanwhile', async () => {
    let asked = 0
    let arrive = (_answer: string) => {}
    const answer = kept(() => {
      asked += 1
      return new Promise<string>((resolve) => (arrive = resolve))
    }, 60_000)

    expect(await Promise.all([answer(), answer()])).to.deep.equal([null, null])
    expect(asked).to.equal(1)
    const late = answer()
    arrive('late')
    expect(await late).to.equal('late')
  })
})

describe('the tally of several processes', () => {
  const saying = async (act: (metrics: ReturnType<typeof createMetrics>) => void) => {
    const metrics = createMetrics()
    act(metrics)
    return metrics.figures()
  }
  const registered = (count: number) =>
    saying((metrics) => {
      const log = metrics.counting(() => undefined)
      for (let i = 0; i < count; i++) {
        log('account.registered')
        log('request.done', { method: 'POST', route: '/v1/auth/register', status: 201, duration_ms: 1 })
      }
      metrics.hashWaited(3)
    })
  const ofShared = (open: number, up: boolean) =>
    saying((metrics) =>
      metrics.watch({
        hashing: () => ({ running: 1, waiting: 2 }),
        openSessions: async () => ({ open, standardError: 0 }),
        mailQueue: async () => ({ queued: open, failed: 0, oldestQueuedSeconds: 0 }),
        readiness: async () => ({ redis: up ? 'ok' : 'unavailable', postgres: 'ok', migrations: 'ok', mail: 'ok' }),
      }),
    )

  it('adds what each has counted, with what those who are gone had counted', async () => {
    const tally = createTally()
    tally.note(1, await registered(3))
    tally.note(2, await registered(4))
    tally.leave(1)
    tally.note(3, await registered(1))
    tally.leave(3)
    tally.leave(4)

    const text = await tally.text(await registered(10))

    expect(text).to.include('\nlatchkey_registrations_total 18\n')
    expect(text).to.match(/^latchkey_http_request_duration_seconds_count\{.*"2xx".*\} 18$/m)
    expect(text).to.match(/^latchkey_http_request_duration_seconds_bucket\{.*le="0.001".*\} 18$/m)
    expect(text).to.match(/^latchkey_http_request_duration_seconds_bucket\{.*le="\+Inf".*\} 18$/m)
    expect(text).to.include('\nlatchkey_password_hash_wait_seconds_bucket{le="4"} 4\n')
    expect(text).to.include('\nlatchkey_password_hash_wait_seconds_count 4\n')
  })

  it('adds what is of each, and takes once what is of all', async () => {
    const tally = createTally()
    tally.note(1, await ofShared(50, true))
    tally.note(2, await ofShared(51, false))

    const text = await tally.text(await registered(0))

    expect(text).to.include('\nlatchkey_password_hashes_waiting 4\n')
    expect(text).to.include('\nlatchkey_open_sessions 50\n')
    expect(text).to.include('\nlatchkey_mails_queued 50\n')
    expect(text).to.include('\nlatchkey_store_up{store="redis"} 0\n')
    expect(text).to.include('\nlatchkey_store_up{store="postgres"} 1\n')
    expect(text).to.match(/^process_start_time_seconds \d+$/m)
  })

  it('keeps of one that says nothing what it had counted, and nothing that may have changed', async () => {
    const tally = createTally()
    tally.note(1, [...(await registered(2)), ...(await ofShared(7, true))])
    tally.note(1, null)

    const text = await tally.text(await registered(0))

    expect(text).to.include('\nlatchkey_registrations_total 2\n')
    expect(text).to.not.match(/^latchkey_open_sessions /m)
  })
})
