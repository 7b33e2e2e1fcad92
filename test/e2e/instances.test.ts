import http from 'node:http'
import { expect } from 'chai'
import { migrationSource } from '../../migrations/index.ts'
import { provide } from '../../dev/provide.ts'
import { createClient, type ApiClient } from '../support/client.ts'
import {
  aServiceClient,
  addressOfProcess,
  linesOf,
  startBundled,
  urlOf,
  type ServiceProcess,
} from '../support/command-line.ts'
import { blocksOf, readDocument } from '../support/documentation.ts'
import { eventually } from '../support/eventually.ts'
import { loopback, send, startNginx, type Gateway } from '../support/gateways.ts'
import { readMails } from '../support/mailbox.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { ownDatabase } from '../support/stores.ts'

/** The recipe as docs/operating.md prints it; only the addresses are ours. */
function recipe(addresses: string[]): string {
  const [block, ...others] = blocksOf(readDocument('docs/operating.md')).filter(({ language }) => language === 'nginx')
  expect(others).to.deep.equal([])
  const printed = ['127.0.0.1:3001', '127.0.0.1:3002', '127.0.0.1:3003']
  let { text } = block!
  for (const [i, address] of [...printed.entries(), ['listen', 'listen 8080;'] as const]) {
    expect(text).to.include(address)
    text = text.replaceAll(address, i === 'listen' ? 'listen LISTEN;' : addresses[i]!)
  }
  return text
}

interface Outcome {
  status: number
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

/** What many clients do at once, and what they were told; every client goes on as docs/operating.md says. */
function startLoad(url: string, people: Someone[]) {
  const end = new AbortController()
  const counts: Record<string, number> = {}
  const wrongs: string[] = []
  const live: string[] = []
  const ended: string[] = []

  async function ask(
    kind: string,
    path: string,
    { token, body }: { token?: string; body?: unknown } = {},
  ): Promise<Outcome> {
    const method = kind === 'check' ? 'GET' : 'POST'
    const sent = body === undefined ? '' : JSON.stringify(body)
    const outcome = await new Promise<Outcome>((resolve) => {
      const request = http.request(url + path, {
        agent: false,
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(sent !== '' && { 'content-type': 'application/json' }),
          'content-length': Buffer.byteLength(sent),
        },
      })
      request.on('error', (error) => resolve({ status: 0, body: error.message }))
      request.on('response', (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('error', (error) => resolve({ status: 0, body: error.message }))
        response.on('end', () => {
          const isJson = String(response.headers['content-type']).includes('json')
          resolve({ status: response.statusCode!, body: isJson ? JSON.parse(text) : text })
        })
      })
      request.end(sent)
    })
    const name = `${kind} ${outcome.status}`
    counts[name] = (counts[name] ?? 0) + 1
    return outcome
  }

  const wrong = (what: string, { status, body }: Outcome) => wrongs.push(`${what}: ${status} ${JSON.stringify(body)}`)
  const logIn = async ({ email }: Someone) => {
    let answer: Outcome
    do answer = await ask('login', '/v1/auth/login', { body: { email, password } })
    while (answer.status === 502)
    if (answer.status !== 200) wrong('a login', answer)
    return answer.body
  }

  async function goOn(person: Someone): Promise<void> {
    let held = await logIn(person)
    while (!end.signal.aborted && wrongs.length === 0) {
      const check = await ask('check', '/v1/me', { token: held.access_token })
      if (check.status !== 200) wrong('a check', check)
      const refresh = await ask('refresh', '/v1/auth/refresh', { body: { refresh_token: held.refresh_token } })
      if (refresh.status !== 200) wrong('a refresh', refresh)
      held = refresh.body
      const other = await logIn(person)
      let logout: Outcome
      do logout = await ask('logout', '/v1/auth/logout', { token: other.access_token })
      while (logout.status === 502)
      if (logout.status !== 204 && !(logout.status === 401 && logout.body.reason === 'logged-out'))
        wrong('a logout', logout)
      ended.push(other.access_token)
    }
    live.push(held.access_token)
  }

  const running = Promise.all(people.map(goOn))
  return {
    counts,
    wrongs,
    live,
    ended,
    done: () => Object.values(counts).reduce((sum, count) => sum + count, 0),
    async stop(): Promise<void> {
      end.abort()
      await running
    },
  }
}

describe('several instances behind nginx', function () {
  this.timeout(60_000)
  let smtp: SmtpSink
  let drop: () => Promise<void>
  let env: Record<string, string>
  const started: ServiceProcess[] = []
  const start = async (more: Record<string, string> = {}) => {
    const instance = await startBundled({ ...env, ...more })
    started.push(instance)
    return instance
  }
  let instances: ServiceProcess[]
  let urls: string[]
  let addresses: string[]
  let nginx: Gateway
  let client: ApiClient

  before('a fresh machine fetches nginx first', async function () {
    this.timeout(120_000)
    await provide('nginx')
  })
  before(async () => {
    smtp = await startSmtp()
    const own = await ownDatabase()
    drop = own.drop
    env = {
      ...smtp.env,
      DATABASE_URL: own.url,
      LOG_LEVEL: 'debug',
      TRUSTED_PROXIES: loopback.listen.replace(/[[\]]/g, ''),
      SETTING_SESSIONS_PER_USER_MAX: '1000',
    }
  })
  after(async () => {
    for (const { process: child } of started) child.kill('SIGKILL')
    await Promise.all(started.map(({ exitCode }) => exitCode))
    await nginx.stop()
    await Promise.all([drop(), smtp.stop()])
  })

  /** How many requests of clients an instance has answered so far. */
  const answered = (instance: ServiceProcess) =>
    linesOf(instance).filter(({ event, route }) => event === 'request.done' && !String(route).startsWith('/health'))
      .length
  /** Asked of each instance itself, without the balancer. */
  const everywhere = async (token: string) =>
    Promise.all(urls.map(async (url) => (await createClient(url).me(token)).status))

  it('start together on an empty database: one migrates, and all become ready', async () => {
    const five = await Promise.all(Array.from({ length: 5 }, () => start()))
    await Promise.all(five.map((instance) => urlOf(instance)))

    const ran = five.map((instance) => linesOf(instance).find(({ event }) => event === 'migrations.done')!['count'])
    expect(ran.toSorted((a, b) => Number(a) - Number(b))).to.deep.equal([
      0,
      0,
      0,
      0,
      (await migrationSource.getMigrations([])).length,
    ])

    instances = five.slice(0, 3)
    for (const { process: child, exitCode } of five.slice(3)) {
      child.kill('SIGTERM')
      expect(await exitCode).to.equal(0)
    }
    urls = await Promise.all(instances.map((instance) => addressOfProcess(instance)))
    addresses = urls.map((url) => new URL(url).host)
    nginx = await startNginx(recipe(addresses))
    client = createClient(nginx.url)
  })

  it('carry every flow, whichever of them a request gets to', async () => {
    const before = instances.map(answered)
    const someone = await aPerson(client)
    expect((await client.me(someone.tokens.access_token)).body.email).to.equal(someone.email)
    const phone = await aSession(client, someone)
    const refreshed = (await client.refresh(phone.refresh_token)).body
    expect((await client.refresh(phone.refresh_token)).body.access_token).to.equal(refreshed.access_token)
    const sessions = (await client.sessions(refreshed.access_token)).body.items as { id: string }[]
    expect(sessions).to.have.length(2)
    const { authorization } = await aServiceClient({ DATABASE_URL: env['DATABASE_URL']! })
    const introspected = async (token: string) =>
      (await client.post('/oauth/introspect', { form: { token }, headers: { authorization } })).body.active as boolean
    await eventually(async () => expect(await introspected(refreshed.access_token)).to.equal(true))

    const changed = await client.call('POST', '/v1/me/password', {
      token: refreshed.access_token,
      body: { current_password: password, new_password: `${password} 2` },
    })
    expect(changed.status, changed.text).to.equal(200)
    for (const { access_token: token } of [someone.tokens, refreshed])
      expect(await everywhere(token)).to.deep.equal([401, 401, 401])
    expect(await introspected(someone.tokens.access_token)).to.equal(false)

    const token = await readMails(smtp).aResetToken(client, someone)
    const reset = await client.post('/v1/auth/reset-password', { body: { token, new_password: `${password} 3` } })
    expect(reset.status, reset.text).to.equal(204)
    expect(await everywhere(changed.body.access_token as string)).to.deep.equal([401, 401, 401])
    const renewed = { ...someone, password: `${password} 3` }
    const [one, two] = [await aSession(client, renewed), await aSession(client, renewed)]
    expect((await client.logoutAll(one.access_token)).body).to.deep.equal({ revoked: 2 })
    expect(await everywhere(two.access_token)).to.deep.equal([401, 401, 401])

    const shares = instances.map((instance, i) => answered(instance) - before[i]!)
    expect(Math.min(...shares), String(shares)).to.be.at.least(3)
  })

  it('see the address of the client, not that of nginx, and believe nothing that the client says of it', async () => {
    const { email } = await aPerson(client)
    const body = JSON.stringify({ email, password })
    for (const said of ['203.0.113.9', '']) {
      const answer = await send(`${nginx.url}/v1/auth/login`, {
        method: 'POST',
        headers: [
          ['Content-Type', 'application/json'],
          ['Content-Length', String(body.length)],
          ...(said === '' ? [] : [['X-Forwarded-For', said] as [string, string]]),
        ],
        body,
      })
      expect(answer.status, answer.text).to.equal(200)
      expect(JSON.parse(answer.text).session.ip).to.equal(loopback.client)
    }
  })

  /** Load on the balancer while something is done to an instance, and for a while after it. */
  async function underLoad(deed: () => Promise<void>) {
    const people = await Promise.all(Array.from({ length: 6 }, () => aPerson(client)))
    const load = startLoad(nginx.url, people)
    const more = async (count: number) => {
      const from = load.done()
      await eventually(() => {
        expect(load.wrongs).to.deep.equal([])
        expect(load.done() - from).to.be.at.least(count)
      }, 20_000)
    }
    await more(60)
    await deed()
    await more(120)
    await load.stop()
    expect(load.wrongs).to.deep.equal([])
    // Those who go on do so, and those who were signed out are, on every instance that is up.
    for (const token of load.live)
      expect(await everywhere(token)).to.satisfy((all: number[]) => all.every((status) => status === 200))
    for (const token of load.ended.slice(-30))
      expect(await everywhere(token)).to.satisfy((all: number[]) => all.every((status) => status === 401))
    return load
  }

  const usual = ['login 200', 'check 200', 'refresh 200', 'logout 204']

  /** What was lost of the calls that nobody but the client may repeat; of the others nothing is. */
  function lostOf(counts: Record<string, number>): number {
    const { 'login 502': logins = 0, 'logout 502': logouts = 0, 'logout 401': repeated = 0, ...rest } = counts
    expect(Object.keys(rest)).to.have.members(usual)
    expect(repeated).to.be.at.most(logouts)
    return logins + logouts
  }

  /** Ends an instance by a deed that is done under load, starts it again, and waits until it serves. */
  async function replaceUnderLoad(index: number, deed: (instance: ServiceProcess) => Promise<void>) {
    const [url] = urls.splice(index, 1)
    const { counts } = await underLoad(async () => {
      await deed(instances[index]!)
      await instances[index]!.exitCode
    })
    instances[index] = await start({ PORT: new URL(url!).port })
    urls.splice(index, 0, await urlOf(instances[index]))
    nginx.reload(recipe(addresses))
    const before = answered(instances[index])
    await eventually(async () => {
      await client.get('/version')
      expect(answered(instances[index]!) - before).to.be.greaterThan(0)
    }, 20_000)
    return counts
  }

  it('lose no request when one of them is taken out, stopped, started and put in again under load', async () => {
    const counts = await replaceUnderLoad(0, async (instance) => {
      nginx.reload(recipe(addresses).replace(`server ${addresses[0]};`, `server ${addresses[0]} down;`))
      await eventually(async () => {
        const before = answered(instance)
        await Promise.all(Array.from({ length: 9 }, () => client.get('/version')))
        expect(answered(instance) - before).to.equal(0)
      })
      instance.process.kill('SIGTERM')
      expect(await instance.exitCode).to.equal(0)
    })

    expect(Object.keys(counts)).to.have.members(usual)
  })

  it('lose at most what was on its way when one of them is stopped under load without a word to nginx', async () => {
    const counts = await replaceUnderLoad(1, async ({ process: child, exitCode }) => {
      child.kill('SIGTERM')
      expect(await exitCode).to.equal(0)
    })

    expect(lostOf(counts), 'of six clients').to.be.at.most(6)
  })

  it('cost the writing calls under way when one of them is killed under load, and no reading one nor a refresh', async () => {
    const counts = await replaceUnderLoad(2, async ({ process: child }) => {
      child.kill('SIGKILL')
    })

    expect(lostOf(counts), 'of six clients').to.be.at.most(6)
  })
})
