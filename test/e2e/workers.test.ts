import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { isAlive, markOf } from '../../dev/lock.mjs'
import { createClient, type ApiClient } from '../support/client.ts'
import { linesOf, startBundled, startProcess, urlOf, type ServiceProcess } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { scrape } from '../support/metrics.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { ownDatabase } from '../support/stores.ts'

const size = 3

/** What one request on a connection of its own came to; an error before the answer began is no answer. */
type Outcome = { status: number; body: string } | { status: null; error: string }

async function ask(url: string, path: string, token?: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const request = http.get(url + path, {
      agent: false,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    })
    request.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => resolve({ status: null, error: code }))
    request.on('response', (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('error', ({ message }) => resolve({ status: 0, body: `cut: ${message}` }))
      response.on('end', () => resolve({ status: response.statusCode!, body }))
    })
  })
}

/** Asks from so many clients at once, each again and again on new connections, until it is told to stop. */
function load(url: string, path: string, token: string, clients = 8) {
  const outcomes: Outcome[] = []
  const end = new AbortController()
  const over = end.signal
  const running = Promise.all(
    Array.from({ length: clients }, async () => {
      while (!over.aborted) outcomes.push(await ask(url, path, token))
    }),
  )
  return {
    outcomes,
    async stop(): Promise<void> {
      end.abort()
      await running
    },
  }
}

const times = (count: number) => Array.from({ length: count })
const statusesOf = (outcomes: Outcome[]) => [...new Set(outcomes.map(({ status }) => status))]

describe('several processes behind one port', function () {
  this.timeout(60_000)
  const started: ServiceProcess[] = []
  const start = async (env: Record<string, string> = {}) => {
    const running = await startBundled({ WEB_CONCURRENCY: String(size), OPS_PORT: '0', LOG_LEVEL: 'debug', ...env })
    started.push(running)
    return running
  }
  const events = (of: ServiceProcess, event: string) => linesOf(of).filter((line) => line['event'] === event)
  /** Which processes have answered such requests so far, and how many each. */
  const answeredBy = (of: ServiceProcess, route: string) => {
    const counts = new Map<number, number>()
    for (const line of events(of, 'request.done'))
      if (line['route'] === route) counts.set(line['pid'] as number, (counts.get(line['pid'] as number) ?? 0) + 1)
    return counts
  }
  const workersOf = (of: ServiceProcess) => events(of, 'service.started').map(({ pid }) => pid as number)
  const readyAt = async (opsUrl: string) => (await fetch(`${opsUrl}/health/ready`)).status

  let service: ServiceProcess
  let url: string
  let opsUrl: string
  let client: ApiClient
  let redis: OwnRedis
  let drop: () => Promise<void>
  before(async () => {
    const own = await ownDatabase()
    drop = own.drop
    redis = await ownRedis()
    service = await start({ DATABASE_URL: own.url, REDIS_URL: redis.url })
    opsUrl = await urlOf(service, 'ops.started')
    url = await urlOf(service)
    client = createClient(url)
  })
  after(async () => {
    for (const { process: child } of started) child.kill('SIGKILL')
    await Promise.all(started.map(({ exitCode }) => exitCode))
    await Promise.all([drop(), redis.discard()])
  })

  it('count together, and tell once what is shared', async () => {
    const someone = await aPerson(client)
    for (const _ of times(5)) await aSession(client, someone)
    await Promise.all(times(40).map(() => ask(url, '/v1/sessions', someone.tokens.access_token)))
    await Promise.all(times(4).map(() => ask(url, '/v1/sessions', 'none')))
    for (const _ of times(2)) await client.post('/v1/auth/forgot-password', { body: { email: someone.email } })

    const told = await scrape(opsUrl)

    const requests = 'latchkey_http_request_duration_seconds_count{method="GET",route="/v1/sessions"'
    expect(told.get(`${requests},status="2xx"}`)).to.equal(40)
    expect(told.get(`${requests},status="4xx"}`)).to.equal(4)
    expect(told.get('latchkey_logins_total{outcome="succeeded"}')).to.equal(5)
    expect(told.get('latchkey_registrations_total')).to.equal(1)
    expect(told.get('latchkey_store_up{store="redis"}')).to.equal(1)
    // An estimate from draws, with a standard error of a third of a session here: the sum of three would be 18.
    expect(told.get('latchkey_open_sessions')).to.be.closeTo(6, 2)
    expect(told.get('latchkey_mails_queued'), 'two links, and one to confirm the address').to.equal(3)
  })

  it('share the connections evenly, and the first process answers none', async () => {
    const answers: Outcome[] = []
    for (const _ of times(30)) answers.push(await ask(url, '/version'))

    expect(statusesOf(answers)).to.deep.equal([200])
    const counts = await eventually(() => {
      const found = answeredBy(service, '/version')
      expect([...found.values()].reduce((sum, count) => sum + count, 0)).to.equal(30)
      return found
    })
    expect([...counts.keys()])
      .to.have.members(workersOf(service))
      .and.not.include(service.process.pid)
    expect(Math.min(...counts.values()), String([...counts.values()])).to.be.at.least(5)
  })

  it('all know of an ending that one of them has confirmed', async () => {
    const { tokens } = await aPerson(client)
    const everywhere = () => Promise.all(times(2 * size).map(() => ask(url, '/v1/me', tokens.access_token)))
    expect(statusesOf(await everywhere())).to.deep.equal([200])

    expect((await client.logout(tokens.access_token)).status).to.equal(204)

    expect(statusesOf(await everywhere())).to.deep.equal([401])
    expect([...answeredBy(service, '/v1/me').keys()]).to.have.members(workersOf(service))
  })

  it('are replaced one by one when each is told to stop, and no client sees it', async () => {
    const { tokens } = await aPerson(client)
    const old = workersOf(service)
    const clients = load(url, '/v1/me', tokens.access_token)

    for (const [i, pid] of old.entries()) {
      process.kill(pid, 'SIGTERM')
      await eventually(async () => {
        expect(workersOf(service)).to.have.length(size + i + 1)
        expect(await readyAt(opsUrl)).to.equal(200)
      }, 20_000)
    }
    await clients.stop()

    expect(clients.outcomes.length).to.be.greaterThan(100)
    expect(statusesOf(clients.outcomes)).to.deep.equal([200])
    expect(events(service, 'worker.died').map(({ worker, reason }) => ({ worker, reason }))).to.deep.equal(
      old.map((worker) => ({ worker, reason: 'exit code 0' })),
    )
  })

  it('go on when one is killed under load: it is told and replaced, and nothing that was counted is lost', async () => {
    const { tokens } = await aPerson(client)
    const victim = events(service, 'account.registered').at(-1)!['pid'] as number
    const counted = (await scrape(opsUrl)).get('latchkey_registrations_total')
    const deaths = events(service, 'worker.died').length
    const begun = workersOf(service).length
    const clients = load(url, '/v1/me', tokens.access_token)
    await eventually(() => expect(clients.outcomes.length).to.be.greaterThan(50))

    process.kill(victim, 'SIGKILL')
    await eventually(async () => {
      expect(events(service, 'worker.died')).to.have.length(deaths + 1)
      const [replacement] = workersOf(service).slice(begun)
      expect(answeredBy(service, '/v1/me').get(replacement!), 'answers of the replacement').to.be.greaterThan(0)
      expect(await readyAt(opsUrl)).to.equal(200)
    }, 20_000)
    await clients.stop()

    expect(events(service, 'worker.died').at(-1)).to.include({ worker: victim, reason: 'SIGKILL', level: 'error' })
    const told = await scrape(opsUrl)
    expect(told.get('latchkey_registrations_total')).to.equal(counted)
    expect(told.get('latchkey_log_events_total{event="worker.died"}')).to.equal(deaths + 1)
    const lost = clients.outcomes.filter(({ status }) => status !== 200)
    expect(
      lost.every(({ status }) => status === null || status === 0),
      JSON.stringify(lost),
    ).to.equal(true)
    expect(lost.length, 'what eight clients had under way').to.be.at.most(8)
  })

  it('are not ready while one of them hangs, and let no client hang with it once it is killed', async () => {
    const counter = 'latchkey_registrations_total'
    const counted = (await scrape(opsUrl)).get(counter)!
    const hanging = workersOf(service).at(-1)!
    process.kill(hanging, 'SIGSTOP')
    const asked = Promise.all(times(2 * size).map(() => ask(url, '/version')))

    const [readiness, told] = await Promise.all([readyAt(opsUrl), scrape(opsUrl)])
    expect(readiness).to.equal(503)
    expect(told.get(counter), 'with what it counted before').to.equal(counted)
    process.kill(hanging, 'SIGKILL')

    const answers = await asked
    expect(answers.filter(({ status }) => status !== 200)).to.deep.equal([{ status: null, error: 'ECONNRESET' }])
    await eventually(async () => {
      expect(workersOf(service).at(-1)).to.not.equal(hanging)
      expect(await readyAt(opsUrl)).to.equal(200)
    }, 20_000)
  })

  it('keep a growing pause when what replaces one of them dies as well', async () => {
    const deaths = events(service, 'worker.died').length
    for (const i of times(3).keys()) {
      process.kill(workersOf(service).at(-1)!, 'SIGKILL')
      const begun = workersOf(service).length
      await eventually(() => {
        expect(events(service, 'worker.died')).to.have.length(deaths + i + 1)
        expect(workersOf(service)).to.have.length(begun + 1)
      }, 20_000)
    }

    const died = events(service, 'worker.died').slice(deaths)
    const saidMs = died.map((line) => line['duration_ms'] as number)
    expect(saidMs).to.deep.equal([1, 2, 4].map((factor) => factor * saidMs[0]!))
    const begun = events(service, 'service.started').slice(-died.length)
    const pausesMs = died.map(({ time }, i) => Date.parse(begun[i]!['time'] as string) - Date.parse(time as string))
    expect(
      pausesMs.every((pauseMs, i) => pauseMs >= saidMs[i]!),
      String(pausesMs),
    ).to.equal(true)
  })

  it('finish what is under way on each of them when the first gets SIGTERM, and end with 0', async () => {
    const stopped = await start()
    await urlOf(stopped, 'ops.started')
    const at = new URL(await urlOf(stopped))
    const { tokens } = await aPerson(createClient(at.origin))
    const clients = load(at.origin, '/v1/me', tokens.access_token)
    const body = JSON.stringify({ email: 'nobody@example.com', password })
    const slow = await Promise.all(
      times(2 * size).map(async () => {
        const socket = net.connect(Number(at.port), at.hostname)
        await once(socket, 'connect')
        socket.write(
          `POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
        )
        return socket
      }),
    )
    // The heads must have been read before the signal; those that were sent later have been answered by then.
    await Promise.all(times(4 * size).map(() => ask(at.origin, '/version')))

    const signalledAt = performance.now()
    stopped.process.kill('SIGTERM')
    await eventually(() => expect(events(stopped, 'service.stopping')).to.have.length(size))
    await eventually(() => expect(clients.outcomes.at(-1)).to.include({ error: 'ECONNREFUSED' }))
    for (const socket of slow) socket.write(body.slice(9))
    const answers = await Promise.all(
      slow.map(async (socket) => {
        let answer = ''
        for await (const chunk of socket as AsyncIterable<Buffer>) answer += chunk.toString()
        return answer.slice(0, 12)
      }),
    )

    expect(answers).to.deep.equal(times(2 * size).map(() => 'HTTP/1.1 401'))
    expect(await stopped.exitCode).to.equal(0)
    expect(performance.now() - signalledAt).to.be.lessThan(10_000)
    await clients.stop()
    // Whoever came in the very moment of closing got no answer, but nobody got half of one.
    const lost = clients.outcomes.filter(({ status }) => status !== 200)
    expect(statusesOf(lost)).to.deep.equal([null])
    expect(workersOf(stopped).filter((pid) => markOf(pid) !== undefined)).to.deep.equal([])
    expect(events(stopped, 'service.stopped')).to.have.length(size)
    expect(events(stopped, 'worker.died')).to.have.length(0)
  })

  it('end within ten seconds even if one of them hangs', async () => {
    const stopped = await start()
    await urlOf(stopped, 'ops.started')
    process.kill(workersOf(stopped)[0]!, 'SIGSTOP')

    const signalledAt = performance.now()
    stopped.process.kill('SIGTERM')

    expect(await stopped.exitCode).to.equal(0)
    expect(performance.now() - signalledAt).to.be.lessThan(10_000)
    expect(workersOf(stopped).filter((pid) => markOf(pid) !== undefined)).to.deep.equal([])
  })

  it('do not outlive the first when that is killed', async () => {
    const killed = await start()
    await urlOf(killed, 'ops.started')
    const marks = workersOf(killed).map((pid) => markOf(pid)!)
    expect(marks.filter(isAlive)).to.have.length(size)

    killed.process.kill('SIGKILL')

    await eventually(() => expect(marks.filter(isAlive)).to.deep.equal([]))
  })

  it('are all there before they are called ready', async () => {
    const slow = await start()
    const said: { status: number; begun: number }[] = []
    await eventually(async () => {
      const [{ address } = {}] = events(slow, 'ops.started')
      const status = await readyAt(address as string)
      said.push({ status, begun: workersOf(slow).length })
      expect(status).to.equal(200)
    }, 20_000)

    expect(said[0]).to.deep.equal({ status: 503, begun: 0 })
    expect(said.at(-1)).to.deep.equal({ status: 200, begun: size })
    slow.process.kill('SIGTERM')
    expect(await slow.exitCode).to.equal(0)
  })

  it('say once that a port is taken, and end with 1', async () => {
    const taken = net.createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as net.AddressInfo

    for (const name of ['PORT', 'OPS_PORT']) {
      const running = await start({ [name]: String(port) })
      expect(await running.exitCode, name).to.equal(1)
      expect(running.output().match(/could not start/g), running.output()).to.have.length(1)
      expect(running.output()).to.include('EADDRINUSE').and.include(String(port))
    }
    taken.close()
  })

  it('say once what is wrong with the configuration', async () => {
    const running = await start({ PORT: 'http' })

    expect(await running.exitCode).to.equal(1)
    expect(running.output().match(/PORT must be/g)).to.have.length(1)
  })

  it('are one process and no more unless more are asked for', async () => {
    const alone = await start({ WEB_CONCURRENCY: '' })
    const at = await urlOf(alone)
    await ask(at, '/version')

    await eventually(() => expect([...answeredBy(alone, '/version').keys()]).to.deep.equal([alone.process.pid]))
    expect(new Set(linesOf(alone).map(({ pid }) => pid)).size).to.equal(1)
  })

  it('serve by the command line as well', async () => {
    const running = startProcess({ WEB_CONCURRENCY: '2' }, 'cli/main', ['serve'])
    started.push(running)
    const at = await urlOf(running)
    await eventually(() => expect(workersOf(running)).to.have.length(2), 20_000)
    expect((await ask(at, '/version')).status).to.equal(200)

    running.process.kill('SIGTERM')
    await delay(0)

    expect(await running.exitCode).to.equal(0)
  })
})
