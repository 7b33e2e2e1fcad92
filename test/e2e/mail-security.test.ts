import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { createClient, type ApiClient } from '../support/client.ts'
import { startProcess, urlOf, type ServiceProcess } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { aPerson } from '../support/people.ts'
import { closeServices, startService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { withDatabase } from '../support/stores.ts'

const aMinute = 60_000

describe('a mail server that asks for a login or TLS', function () {
  this.timeout(90_000)
  const login = { user: 'latchkey@mail.example', pass: `p@ss:${randomUUID()}` }
  const wrong = { ...login, pass: `wrong:${randomUUID()}` }
  let folder: string
  let certificate: { key: string; cert: string }
  let trusting: Record<string, string>
  let postgres: OwnPostgres
  let database: Record<string, string>
  let databases = 0
  const sinks: SmtpSink[] = []
  const processes: ServiceProcess[] = []

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-tls-'))
    certificate = selfSigned(folder)
    trusting = { NODE_EXTRA_CA_CERTS: path.join(folder, 'cert.pem') }
    postgres = await ownPostgres()
  })
  beforeEach(async () => {
    const name = `latchkey_${++databases}`
    await postgres.operator.raw('create database ??', [name])
    database = { DATABASE_URL: withDatabase(postgres.url, name) }
  })
  afterEach(async () => {
    await closeServices()
    for (const { process: child, exitCode } of processes.splice(0)) {
      child.kill('SIGKILL')
      await exitCode
    }
    await Promise.all(sinks.splice(0).map((sink) => sink.stop()))
  })
  after(async () => {
    await postgres.discard()
    fs.rmSync(folder, { recursive: true })
  })

  async function aSink(demands: Parameters<typeof startSmtp>[0]): Promise<SmtpSink> {
    const sink = await startSmtp(demands)
    sinks.push(sink)
    return sink
  }

  /** The variables of a service that logs in there. */
  function envFor({ env }: SmtpSink, { user, pass }: typeof login, query = ''): Record<string, string> {
    const url = new URL(env.SMTP_URL)
    url.username = encodeURIComponent(user)
    url.password = encodeURIComponent(pass)
    return { ...env, ...database, SMTP_URL: url.href + query }
  }

  async function start(env: Record<string, string>) {
    const running = startProcess(env)
    processes.push(running)
    return { running, client: createClient(await urlOf(running)) }
  }

  async function startHere(env: Record<string, string>) {
    const { client, logged } = await startService(env)
    await eventually(async () => expect((await client.get('/health/ready')).status).to.equal(200), 20_000)
    return { client, logged }
  }

  const mailSays = (client: ApiClient, state: string) =>
    eventually(async () => {
      const { status, body } = await client.get('/health/ready')
      expect({ status, mail: body.checks.mail }).to.deep.equal({ status: 200, mail: state })
    }, 15_000)

  /** Why the mail to somebody did not go, the first time. */
  const reasonOf = (userId: string, logged: Record<string, unknown>[]) =>
    logged.find(({ user_id, event }) => user_id === userId && event === 'mail.retried')?.['reason']

  const arrived = (sink: SmtpSink, email: string) =>
    eventually(() => expect(sink.mailsTo(email)).to.have.length(1), aMinute)

  /** Neither the password, in any of the forms in which a login sends it, nor a word of a mail. */
  function expectNothingInTheClear(sink: SmtpSink, { user, pass }: typeof login): void {
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const wire = sink.overheard()
    for (const secret of [pass, base64(pass), base64(`\0${user}\0${pass}`), 'token=', 'Subject:'])
      expect(wire).to.not.include(secret)
  }

  for (const from of ['start', 'STARTTLS'] as const)
    it(`gets a mail by TLS (${from}) from a service with the right password`, async () => {
      const sink = await aSink({ tls: { ...certificate, from }, login })
      const { client } = await start({ ...envFor(sink, login), ...trusting })
      const { email } = await aPerson(client)

      await arrived(sink, email)
      expectNothingInTheClear(sink, login)
      await mailSays(client, 'ok')
    })

  it('gets the mails that waited for the right password', async () => {
    const sink = await aSink({ tls: { ...certificate, from: 'STARTTLS' }, login })
    const first = await start({ ...envFor(sink, wrong), ...trusting })
    const { email } = await aPerson(first.client)
    await mailSays(first.client, 'degraded')
    await eventually(() => expect(first.running.output()).to.include('"reason":"535 5.7.8 at AUTH PLAIN"'))
    for (const secret of [wrong.pass, wrong.user, email]) expect(first.running.output()).to.not.include(secret)
    first.running.process.kill('SIGTERM')
    expect(await first.running.exitCode).to.equal(0)

    const second = await start({ ...envFor(sink, login), ...trusting })

    await arrived(sink, email)
    await mailSays(second.client, 'ok')
  })

  for (const from of ['start', 'STARTTLS'] as const)
    it(`gets nothing, in the clear or not, while nobody trusts its certificate (${from})`, async () => {
      const sink = await aSink({ tls: { ...certificate, from }, login })
      const { client, logged } = await startHere(envFor(sink, login))
      const { id } = await aPerson(client)

      await mailSays(client, 'degraded')
      await eventually(() => expect(reasonOf(id, logged)).to.equal('DEPTH_ZERO_SELF_SIGNED_CERT'))
      expect(sink.received).to.deep.equal([])
      expectNothingInTheClear(sink, login)
    })

  it('gets no password without TLS, unless its operator says so', async () => {
    const sink = await aSink({ login })
    const { client, logged } = await startHere(envFor(sink, login))
    const { id, email } = await aPerson(client)
    await mailSays(client, 'degraded')
    await eventually(() => expect(reasonOf(id, logged)).to.match(/^5\d\d [\d. ]*at STARTTLS$/))
    expectNothingInTheClear(sink, login)
    await closeServices()

    await startHere(envFor(sink, login, '?requireTLS=false'))

    await arrived(sink, email)
  })

  it('that a service does not log in to gets the mails when it does', async () => {
    const sink = await aSink({ login })
    const { client, logged } = await startHere({ ...sink.env, ...database })
    const { id, email } = await aPerson(client)
    await mailSays(client, 'degraded')
    await eventually(() => expect(reasonOf(id, logged)).to.match(/^530 [\d. ]*at MAIL FROM$/))
    await closeServices()

    await startHere(envFor(sink, login, '?requireTLS=false'))

    await arrived(sink, email)
  })
})

/** A key and a certificate of its own for 127.0.0.1, also written to a folder. */
function selfSigned(folder: string): { key: string; cert: string } {
  const [keyFile, certFile] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name)) as [string, string]
  const subject = ['-subj', '/CN=mail.example', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', certFile], { stdio: 'pipe' })
  return { key: fs.readFileSync(keyFile, 'utf8'), cert: fs.readFileSync(certFile, 'utf8') }
}
