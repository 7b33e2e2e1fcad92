import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { routes, type Route } from '../../src/http/index.ts'
import { firstAdmin } from '../support/admins.ts'
import { createClient, mustBeDeclared, type ApiClient } from '../support/client.ts'
import { addressOfProcess, aServiceClient, startBundled, type ServiceProcess } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { msOf, note, times } from '../support/faults.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { createRandomRequests, type RandomRequest } from '../support/random-requests.ts'
import { random, seed, some } from '../support/seed.ts'
import { cheapHashes } from '../support/service.ts'
import { keyPrefix, ownDatabase } from '../support/stores.ts'
import { openWire, requestOf, type Exchange, type Wire } from '../support/wire.ts'

const run = promisify(execFile)

interface Running {
  process: ServiceProcess
  url: string
  client: ApiClient
  env: Record<string, string>
}

const started: Running[] = []

/** A service in a process of its own, with a database and keys of its own, ready to answer. */
async function start(env: Record<string, string> = {}, how: { openFilesMax?: number } = {}): Promise<Running> {
  const database = await ownDatabase()
  const all = {
    ...cheapHashes,
    KEY_PREFIX: `${keyPrefix}${randomUUID().slice(0, 4)}:`,
    DATABASE_URL: database.url,
    ...env,
  }
  const child = await startBundled(all, how)
  const url = await addressOfProcess(child)
  const client = createClient(url)
  const service = { process: child, url, client, env: all }
  started.push(service)
  await eventually(async () => expect((await client.protected(randomUUID())).status).to.equal(401), 20_000)
  return service
}

/** The memory that a process has in use, in MiB. */
async function memoryOf({ process: child }: Running): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(child.process.pid)])
  return Math.round(Number(stdout) / 1024)
}

/** The slowest but five in a hundred. */
const p95 = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * 0.95) - 1]!

/** Connects, and does not mind being cut off. */
async function connect(url: string, options: { allowHalfOpen?: boolean } = {}): Promise<net.Socket> {
  const { hostname, port } = new URL(url)
  const socket = net.connect({ port: Number(port), host: hostname, ...options })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

const statusOf = (exchange: Exchange) => (typeof exchange === 'string' ? exchange : exchange.status)

/** Done when a connection is closed, in peace or not. */
const closeOf = (socket: net.Socket): Promise<void> =>
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()))

const statusesIn = (received: string) =>
  [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

/** Sends bytes and reads until the service closes the connection, or has said nothing for a moment after an answer. */
async function statusesTo(url: string, bytes: Buffer | string): Promise<{ statuses: number[]; isClosed: boolean }> {
  const socket = await connect(url)
  let received = ''
  let isClosed = false
  const closed = closeOf(socket).then(() => (isClosed = true))
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
  socket.write(bytes)
  await Promise.race([closed, eventually(() => expect(received).to.include('\r\n\r\n'), 10_000).then(() => delay(100))])
  socket.destroy()
  return { statuses: statusesIn(received), isClosed }
}

const loginHead = 'POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'

describe('a service among bad clients', function () {
  this.timeout(90_000)
  const chance = random('clients')

  let service: Running
  before(async () => {
    service = await start()
  })
  after(async () => {
    for (const { process: child } of started) child.process.kill('SIGKILL')
    await Promise.all(started.map(({ process: child }) => child.exitCode))
  })

  /** Expects that the process goes on and has met no defect of its own. */
  async function expectSound({ client, process: child }: Running = service): Promise<void> {
    expect((await client.get('/health/live')).status).to.equal(200)
    expect(child.output()).to.not.include('request.failed')
  }

  /** What is promised, the five seconds between two looks at all connections, and one for a machine at work. */
  const slowHeadersMs = 15_000 + 6_000
  const slowRequestMs = 30_000 + 6_000

  interface Slow {
    kind: string
    closedAfterMs: number
    statuses: number[]
  }

  let besieged: Running
  const closings: Promise<Slow>[] = []

  /** A client that says how it begins, then a little again and again, until it is cut off. */
  async function begin(kind: string, first: string, more: string, everyMs: number): Promise<{ closed: Promise<Slow> }> {
    const socket = await connect(besieged.url)
    const beganAt = performance.now()
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.write(first)
    const timer = setInterval(() => socket.writable && !socket.writableNeedDrain && socket.write(more), everyMs)
    const closed = closeOf(socket).then(() => {
      clearInterval(timer)
      return { kind, closedAfterMs: Math.round(performance.now() - beganAt), statuses: statusesIn(received) }
    })
    return { closed }
  }

  // They take half a minute to be cut off, so the other tests run meanwhile; the last one looks at them.
  before(async () => {
    ;[service, besieged] = await Promise.all([start(), start()])
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    const kinds: [count: number, ...Parameters<typeof begin>][] = [
      [300, 'headers', 'GET /v1/me HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n', 2500],
      [30, 'silence', '', '', 2500],
      [30, 'body', `${loginHead}Content-Length: 1000\r\n\r\n{`, ' ', 2500],
      [30, 'chunks', `${loginHead}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n', 2500],
      [5, 'endless body', `${loginHead}Transfer-Encoding: chunked\r\n\r\n`, chunk, 50],
    ]
    for (const [count, ...how] of kinds)
      for (const { closed } of await times(count, () => begin(...how))) closings.push(closed)
  })

  it('F50 F51 answers at once while 300 send their headers slowly, and others their bodies', async () => {
    const { tokens } = await aPerson(besieged.client)
    const took: number[] = []
    for (let i = 0; i < 20; i++)
      took.push(await msOf(async () => expect((await besieged.client.me(tokens.access_token)).status).to.equal(200)))
    note('F50 F51', `me in ${Math.max(...took)} ms at most beside ${closings.length} slow clients`)
    expect(Math.max(...took), 'milliseconds of the slowest').to.be.below(1500)
  })

  /** Asks on a connection of its own. */
  async function expectAnswered({ url }: Running, { tokens }: Someone, statuses = [200]): Promise<void> {
    const wire = await openWire(url)
    const answer = await wire.ask(requestOf('GET', '/v1/me', { token: tokens.access_token }))
    expect(statusOf(answer)).to.be.oneOf(statuses)
    wire.destroy()
  }

  it('F52 keeps 10,000 idle connections, answers beside them, and uses their memory again', async () => {
    const limit = Number((await run('/bin/sh', ['-c', 'ulimit -n'])).stdout) || 100_000
    const count = Math.min(10_000, limit - 1000)
    if (count < 10_000) console.log(`      (ulimit -n is ${limit}: ${count} connections in place of 10,000)`)
    const someone = await aPerson(service.client)
    const before = await memoryOf(service)
    const peaks: number[] = []
    for (let round = 0; round < 2; round++) {
      const wires: Wire[] = []
      while (wires.length < count)
        wires.push(
          ...(await times(Math.min(250, count - wires.length), async () => {
            const wire = await openWire(service.url)
            expect(await wire.ask(requestOf('GET', '/health/live'))).to.include({ status: 200 })
            return wire
          })),
        )
      const peak = await memoryOf(service)
      peaks.push(peak)
      const meMs = await msOf(() => expectAnswered(service, someone))
      const loginMs = await msOf(() => aSession(service.client, someone))
      note(
        'F52',
        `${count} connections: ${before} MiB before, ${peak} MiB (${Math.round(((peak - before) * 1024) / count)} KiB each); ` +
          `me in ${meMs} ms, login in ${loginMs} ms`,
      )
      for (const ms of [meMs, loginMs]) expect(ms, 'milliseconds').to.be.below(2000)
      expect(wires.filter((wire) => wire.isOver()).length, 'connections that were closed').to.equal(0)
      for (const wire of wires) wire.destroy()
      await Promise.all(wires.map(({ closed }) => closed))
    }
    expect(peaks[1], 'MiB in the second round').to.be.below(peaks[0]! + 60)
    await expectSound()
  })

  it('F52 outlives more connections than it may have files open, and is well when they are gone', async () => {
    const narrow = await start({}, { openFilesMax: 128 })
    const someone = await aPerson(narrow.client)
    const standing = await openWire(narrow.url)
    const me = requestOf('GET', '/v1/me', { token: someone.tokens.access_token })
    expect(await standing.ask(me)).to.include({ status: 200 })
    const { hostname, port } = new URL(narrow.url)
    const flood = Array.from({ length: 400 }, () => net.connect(Number(port), hostname))
    for (const socket of flood) socket.on('error', () => undefined)
    await eventually(() => expect(flood.filter(({ connecting }) => connecting)).to.have.length(0))

    const took = await msOf(async () => expect(await standing.ask(me)).to.include({ status: 200 }))
    expect(took, 'milliseconds').to.be.below(2000)
    for (const socket of flood) socket.destroy()

    await eventually(() => expectAnswered(narrow, someone), 15_000)
    await aSession(narrow.client, someone)
    await expectSound(narrow)
  })

  /** What readers of HTTP understand in more ways than one, or not at all; behind each of it a request may hide. */
  const shapes: Record<string, string> = {
    'a length and chunks': `${loginHead}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunks and a length': `${loginHead}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    'two lengths': `${loginHead}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `,
    'one length twice': `${loginHead}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
    'two lengths in one': `${loginHead}Content-Length: 2, 2\r\n\r\n{}`,
    'a length with a sign': `${loginHead}Content-Length: +2\r\n\r\n{}`,
    'a negative length': `${loginHead}Content-Length: -2\r\n\r\n{}`,
    'a length in hexadecimal': `${loginHead}Content-Length: 0x2\r\n\r\n{}`,
    'an endless length': `${loginHead}Content-Length: 99999999999999999999\r\n\r\n{}`,
    'a space before the colon': `${loginHead}Content-Length : 2\r\n\r\n{}`,
    'a folded header': `${loginHead}X-A: b\r\n Content-Length: 2\r\n\r\n`,
    'a folded Transfer-Encoding': `${loginHead}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
    'bare line feeds': `${loginHead.replaceAll('\r\n', '\n')}Content-Length: 2\n\n{}`,
    'a bare carriage return': `${loginHead}X-A: b\rContent-Length: 2\r\n\r\n`,
    'a zero byte in a header': `${loginHead}X-A: b\0c\r\nContent-Length: 2\r\n\r\n{}`,
    'a header without a name': `${loginHead}: b\r\nContent-Length: 2\r\n\r\n{}`,
    'a coding that is none': `${loginHead}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    'a coding after chunks': `${loginHead}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    'a coding with a tab': `${loginHead}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
    'a chunk that is too long to be': `${loginHead}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n`,
    'a chunk that does not end': `${loginHead}Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n`,
    'chunks with bare line feeds': `${loginHead}Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n`,
    'another version': 'GET /version HTTP/9.9\r\nHost: x\r\n\r\n',
    'no version': 'GET /version\r\n\r\n',
    'no method': ' /version HTTP/1.1\r\nHost: x\r\n\r\n',
    'a space in the path': 'GET /ver sion HTTP/1.1\r\nHost: x\r\n\r\n',
    'a preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
    'another protocol': 'EHLO mail.example\r\n',
    'bytes of chance': Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 97 + 131) % 256)).toString('latin1'),
  }

  it('F53 closes the connection on what is no request, or more than one, and reads nothing behind it', async () => {
    const hidden = 'GET /version HTTP/1.1\r\nHost: x\r\n\r\n'
    const seen = await Promise.all(
      Object.entries(shapes).map(async ([name, bytes]) => [
        name,
        await statusesTo(service.url, Buffer.from(bytes + hidden, 'latin1')),
      ]),
    )
    expect(Object.fromEntries(seen)).to.deep.equal(
      Object.fromEntries(Object.keys(shapes).map((name) => [name, { statuses: [400], isClosed: true }])),
    )
    await expectSound()
  })

  it('F53 goes on when TLS is spoken to it, or half of a connection is closed', async () => {
    const { hostname, port } = new URL(service.url)
    const secure = tls.connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
    const [refused] = (await once(secure, 'error')) as [NodeJS.ErrnoException]
    expect(refused.code).to.be.a('string')

    const half = await connect(service.url, { allowHalfOpen: true })
    half.end(requestOf('GET', '/version', { headers: { Connection: 'close' } }))
    let answer = ''
    for await (const chunk of half as AsyncIterable<Buffer>) answer += chunk.toString()
    expect(statusesIn(answer)).to.deep.equal([200])

    const gone = await times(200, async (i) => {
      const socket = await connect(service.url)
      const request = requestOf('POST', '/v1/auth/login', { body: { email: uniqueEmail(), password } })
      socket.write(request.slice(0, 1 + ((i * 7) % request.length)))
      if (i % 2 === 0) socket.end()
      else socket.resetAndDestroy()
      return socket
    })
    await Promise.all(gone.map((socket) => closeOf(socket.resume())))
    await expectSound()
  })

  it('F53 refuses floods in headers and bodies while they come, and keeps nothing of them', async () => {
    const before = await memoryOf(service)
    const json = (text: string) => `${loginHead}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
    const inBytes = (head: string, body: Buffer) =>
      Buffer.concat([Buffer.from(`${loginHead}${head}Content-Length: ${body.length}\r\n\r\n`), body])
    const floods: [name: string, bytes: Buffer | string, status: number][] = [
      ['a header', `GET /version HTTP/1.1\r\nHost: x\r\nX-A: ${'x'.repeat(10_000_000)}\r\n\r\n`, 431],
      ['headers', `GET /version HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(500_000)}\r\n`, 431],
      ['a URL', `GET /${'x'.repeat(10_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414],
      ['a body', json(`"${'x'.repeat(10_000_000)}"`), 413],
      ['a length alone', `${loginHead}Content-Length: 10000000000\r\n\r\n{`, 413],
      ['a gzip bomb', inBytes('Content-Encoding: gzip\r\n', gzipSync(Buffer.alloc(50_000_000, ' '))), 415],
      ['deep JSON', json(`{"email":${'['.repeat(30_000)}${']'.repeat(30_000)}}`), 400],
      ['deeper objects', json(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), 400],
      ['many members', json(`{${Array.from({ length: 6000 }, (_, i) => `"${i}":1`).join(',')}}`), 400],
      ['a long number', json(`{"email":${'9'.repeat(60_000)}}`), 400],
      ['one member many times', json(`{${'"a":1,'.repeat(10_000)}"a":1}`), 400],
      ['escapes', json(`{"email":"${'\\u0000'.repeat(10_000)}"}`), 400],
      ['bad UTF-8', inBytes('', Buffer.from([0x22, 0xc0, 0xaf, 0x22])), 400],
    ]
    // Of one that is megabytes long the answer may be lost: its sender is cut off while it still sends.
    const told: Record<string, number> = {}
    await Promise.all(
      floods.flatMap(([name, bytes, status]) =>
        Array.from({ length: 4 }, async () => {
          const { statuses } = await statusesTo(service.url, bytes)
          expect(statuses, name).to.deep.equal(bytes.length > 65_536 && statuses.length === 0 ? [] : [status])
          told[name] = (told[name] ?? 0) + statuses.length
        }),
      ),
    )
    const peak = await memoryOf(service)
    note('F53', `floods: ${before} MiB before, ${peak} MiB while they came; told of four each: ${JSON.stringify(told)}`)
    expect(peak, 'MiB').to.be.below(before + 150)
    await expectSound()
  })

  it('F53 holds back thousands of requests whose answers nobody reads, and answers them in order when they are', async () => {
    const someone = await aPerson(service.client)
    const checked = requestOf('GET', '/v1/protected', { token: someone.tokens.access_token })
    const live = requestOf('GET', '/health/live')
    const nowhere = requestOf('GET', '/nowhere')
    const before = await memoryOf(service)
    const wires = await times(5, () => openWire(service.url))
    const answers = wires.map((wire, which) => {
      const good = which === 0 ? checked : live
      wire.socket.pause()
      return Array.from({ length: 1000 }, (_, i) => wire.ask(i % 7 === 0 ? nowhere : good))
    })
    const meBesideMs = await msOf(() => expectAnswered(service, someone, [200, 503]))
    const peak = await memoryOf(service)
    for (const { socket } of wires) socket.resume()

    for (const [which, each] of answers.entries()) {
      const statuses = (await Promise.all(each)).map(statusOf)
      const good = which === 0 ? [200, 503] : [200]
      for (const [i, status] of statuses.entries())
        expect(status, `answer ${i}`).to.be.oneOf(i % 7 === 0 ? [404] : good)
    }
    note('F53', `5,000 requests unread: ${before} MiB before, ${peak} MiB; me beside them in ${meBesideMs} ms`)
    expect(peak, 'MiB').to.be.below(before + 150)
    for (const wire of wires) wire.destroy()
  })

  it('F61 grows by less than 150 MiB with 3,000 wrong tokens and 300 unknown logins', async () => {
    const before = await memoryOf(service)
    await times(20, async () => {
      for (let i = 0; i < 150; i++) {
        const token = randomUUID()
        const asked = i % 3 === 0 ? service.client.refresh(token) : service.client.me(token)
        expect((await asked).status).to.equal(401)
      }
    })
    await times(20, async () => {
      for (let i = 0; i < 15; i++)
        expect((await service.client.login({ email: uniqueEmail(), password })).status).to.equal(401)
    })
    const peak = await memoryOf(service)
    note('F61', `${before} MiB before, ${peak} MiB after`)
    expect(peak, 'MiB').to.be.below(before + 150)
  })

  it('F54 answers live and me in a second while 200 log in at once at the full cost of a hash', async () => {
    const costly = await start({
      ARGON2_MEMORY_KIB: '',
      ARGON2_TIME_COST: '',
      HASHES_WAITING_MAX: '',
      SETTING_SESSIONS_PER_USER_MAX: '1000', // the one that is watched is the longest unused
    })
    const someone = await aPerson(costly.client)
    const lanes = await times(2, () => openWire(costly.url))
    const took: Record<'live' | 'me', number[]> = { live: [], me: [] }
    const over = new AbortController()
    const logins = times(200, () => costly.client.login({ email: someone.email, password })).finally(() => over.abort())
    const checks = lanes.map(async (wire, i) => {
      const [kind, request] =
        i === 0
          ? (['live', requestOf('GET', '/health/live')] as const)
          : (['me', requestOf('GET', '/v1/me', { token: someone.tokens.access_token })] as const)
      while (!over.signal.aborted)
        took[kind].push(await msOf(async () => expect(await wire.ask(request)).to.include({ status: 200 })))
    })
    const statuses = (await logins).map(({ status }) => status)
    await Promise.all(checks)

    expect(statuses.filter((status) => ![200, 429, 503].includes(status))).to.deep.equal([])
    expect(statuses).to.include(200)
    const refused = statuses.filter((status) => status !== 200).length
    note('F54', `${refused} of 200 refused; p95 of live ${p95(took.live)} ms, of me ${p95(took.me)} ms`)
    expect(p95(took.live), 'milliseconds').to.be.below(1000)
    expect(p95(took.me), 'milliseconds').to.be.below(1500)
  })

  describe('asked at random', () => {
    const perRoute = some(400)
    const batch = 40
    const lanesPerRoute = 16

    let admin: Someone
    let bystander: Someone
    let credentials: string
    const counts: Record<string, number> = {}
    before(async () => {
      ;[{ authorization: credentials }, bystander] = await Promise.all([
        aServiceClient(service.env),
        aPerson(service.client),
      ])
      admin = await firstAdmin(service.client, service.env)
    })

    async function exchange(requests: RandomRequest[]): Promise<void> {
      let wire = await openWire(service.url)
      for (const { method, path, bytes } of requests) {
        if (wire.isOver()) wire = await openWire(service.url)
        const answer: Exchange = await wire.ask(bytes)
        const sent = () => `seed ${seed}: ${bytes.toString('latin1').slice(0, 600)}`
        if (typeof answer === 'string') throw new Error(`${answer}, ${wire.error()}, to ${sent()}`)
        counts[answer.status] = (counts[answer.status] ?? 0) + 1
        expect(answer.status, `${answer.text} to ${sent()}`).to.be.below(500)
        if (method !== 'HEAD' && !(method === 'OPTIONS' && answer.status === 204))
          try {
            mustBeDeclared(method, path, {
              ...answer,
              headers: new Headers(answer.headers),
              body: answer.text === '' ? null : JSON.parse(answer.text),
            })
          } catch (error) {
            throw new Error(`${(error as Error).message}: ${answer.status} ${answer.text} to ${sent()}`, {
              cause: error,
            })
          }
        if (answer.headers['connection'] === 'close') await wire.closed
      }
      wire.destroy()
    }

    async function ask(route: Route): Promise<void> {
      let person = await aPerson(service.client)
      const isForAdmins = route.auth === 'admin'
      for (let done = 0; done < perRoute; done += batch) {
        // Some requests come true: then the person has another password, or is gone.
        if ((await service.client.login({ email: person.email, password })).status !== 200)
          person = await aPerson(service.client)
        const tokens = await aSession(service.client, isForAdmins ? admin : person)
        const next = createRandomRequests(
          route,
          {
            person,
            accessToken: () => tokens.access_token,
            refreshToken: () => tokens.refresh_token,
            credentials,
            ids: [person.id, person.tokens.session.id],
          },
          chance,
        )
        const requests = Array.from({ length: batch }, next)
        await times(lanesPerRoute, (lane) => exchange(requests.filter((_, i) => i % lanesPerRoute === lane)))
      }
    }

    it(`F53 answers 400 requests to each of ${routes.length} routes as it has declared, and stays as it is`, async function () {
      this.timeout(180_000)
      const before = await memoryOf(service)
      for (const route of routes) await ask(route)
      const after = await memoryOf(service)
      note(
        'F53',
        `${perRoute * routes.length} random requests: ${JSON.stringify(counts)}; ${before} MiB before, ${after} MiB after`,
      )
      expect(after, 'MiB').to.be.below(before + 200)
      expect(counts[200] ?? 0, 'requests that were right').to.be.above(routes.length)
      expect((await service.client.me(bystander.tokens.access_token)).status).to.equal(200)
      await aSession(service.client, bystander)
      await expectSound()
    })
  })

  describe('after half a minute', () => {
    it('F50 F51 has cut off all who were slow in the promised time', async () => {
      const all = await Promise.all(closings)
      const figures: Record<string, { count: number; closedAfterMs: number; statuses: number[] }> = {}
      for (const { kind, closedAfterMs, statuses } of all) {
        const figure = (figures[kind] ??= { count: 0, closedAfterMs: 0, statuses: [] })
        figure.count += 1
        figure.closedAfterMs = Math.max(figure.closedAfterMs, closedAfterMs)
        figure.statuses = [...new Set([...figure.statuses, ...statuses])]
      }
      note('F50 F51', `slow clients: ${JSON.stringify(figures)}`)
      for (const { kind, closedAfterMs, statuses } of all) {
        expect(closedAfterMs, `milliseconds of ${kind}`).to.be.below(
          ['headers', 'silence'].includes(kind) ? slowHeadersMs : slowRequestMs,
        )
        expect(statuses[0], kind).to.equal(kind === 'endless body' ? 413 : 408)
      }
      await expectSound(besieged)
    })
  })
})
