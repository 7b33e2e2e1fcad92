import { expect } from 'chai'
import type { Answer, ApiClient, Tokens } from '../support/client.ts'
import { latchkey } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { msOf, note } from '../support/faults.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { aPerson, password, uniqueEmail, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

/** Nobody may wait for a mail server. */
const answerMs = 2000
/** Two waits and a poll: the longest that a mail takes once the mail server is back. */
const aMinute = 60_000

describe('a mail server in trouble', function () {
  this.timeout(90_000)
  let smtp: SmtpSink
  let postgres: OwnPostgres
  let service: TestService
  let client: ApiClient
  before(async () => {
    smtp = await startSmtp()
    postgres = await ownPostgres()
    service = await startService({ ...smtp.env, DATABASE_URL: postgres.url })
    client = service.client
    await eventually(async () => expect((await client.get('/health/ready')).status).to.equal(200), 20_000)
  })
  after(async () => {
    await service.close()
    await smtp.stop()
    await postgres.discard()
  })

  const forgot = (email: string) => client.post('/v1/auth/forgot-password', { body: { email } })
  const mailSays = (state: string, withinMs = 20_000) =>
    eventually(async () => {
      const { status, body } = await client.get('/health/ready')
      expect({ status, mail: body.checks.mail }).to.deep.equal({ status: 200, mail: state })
    }, withinMs)
  const logged = (event: string, userId: string) =>
    service.logged.filter((line) => line['event'] === event && line['user_id'] === userId)
  const sent = (userId: string, count: number) =>
    eventually(() => expect(logged('mail.sent', userId)).to.have.length(count), aMinute)

  /** Somebody whose mail of the registration has come. */
  async function anOldHand(): Promise<Someone> {
    const person = await aPerson(client)
    await sent(person.id, 1)
    return person
  }

  interface Mailed {
    /** Whose mails wait, one each. */
    waiting: { id: string; email: string; subject: RegExp }[]
    unknownEmail: string
    /** Until the slowest answer. */
    slowestMs: number
  }

  /** What people do meanwhile, each of which queues a mail: nobody may notice anything of the mail server. */
  async function goOn([forgetful, careful]: [Someone, Someone]): Promise<Mailed> {
    const unknownEmail = uniqueEmail()
    let slowestMs = 0
    const timed = async (asked: Promise<Answer>) => {
      slowestMs = Math.max(slowestMs, await msOf(() => asked))
      return asked
    }
    const [known, unknown] = [await timed(forgot(forgetful.email)), await timed(forgot(unknownEmail))]
    expect(known.status, known.text).to.equal(202)
    expect({ status: unknown.status, text: unknown.text }).to.deep.equal({ status: known.status, text: known.text })

    const email = uniqueEmail()
    const registered = await timed(client.register({ email, password }))
    expect(registered.status, registered.text).to.equal(201)

    const token = careful.tokens.access_token
    const body = { current_password: password, new_password: 'a quite different sentence' }
    const changed = await timed(client.post('/v1/me/password', { token, body }))
    expect(changed.status, changed.text).to.equal(200)
    expect(slowestMs, 'milliseconds until the slowest answer').to.be.below(answerMs)
    return {
      unknownEmail,
      slowestMs,
      waiting: [
        { ...forgetful, subject: /^Reset your password/ },
        { ...careful, subject: /password .*changed/i },
        { id: (registered.body as Tokens).user.id, email, subject: /^Confirm your e-mail/ },
      ],
    }
  }

  /** The mails that have come of those that waited, once all are settled; nobody sends a settled mail again. */
  async function copiesOf(row: string, { waiting, unknownEmail, slowestMs }: Mailed) {
    const before = (subject: RegExp) => (subject.source.startsWith('^Confirm') ? 0 : 1)
    const waitedMs = await msOf(async () => {
      for (const { id, subject } of waiting) await sent(id, before(subject) + 1)
    })
    note(row, `the slowest answer after ${slowestMs} ms; all mails sent ${waitedMs} ms after the end of it`)
    expect(smtp.mailsTo(unknownEmail)).to.deep.equal([])
    return waiting.map(({ email, subject }) => smtp.mailsTo(email).filter((mail) => subject.test(mail.subject)))
  }

  it('F30 that is down delays mails and nothing else, and each comes once when it is back', async () => {
    const people: [Someone, Someone] = [await anOldHand(), await anOldHand()]
    await smtp.close()
    const mailed = await goOn(people)
    await mailSays('degraded')

    await smtp.listen()

    for (const copies of await copiesOf('F30 mail server down', mailed)) expect(copies).to.have.length(1)
    await mailSays('ok')
  })

  for (const [row, behaviour] of [
    ['F31', 'slow'],
    ['F32', 'silent'],
  ] as const)
    it(`${row} that is ${behaviour} to greet keeps no request waiting, and each mail comes once`, async () => {
      const people: [Someone, Someone] = [await anOldHand(), await anOldHand()]
      smtp.behave(behaviour)
      const first = await aPerson(client)
      await eventually(() => expect(smtp.connections().open).to.equal(1))
      const { total, open } = smtp.connections()

      const mailed = await goOn(people)

      const now = smtp.connections()
      expect(now.total - now.open, 'connections that have ended').to.equal(total - open)
      expect(smtp.mailsTo(first.email)).to.deep.equal([])
      await mailSays('degraded')
      smtp.behave('well')
      for (const copies of await copiesOf(`${row} mail server ${behaviour} to greet`, mailed))
        expect(copies).to.have.length(1)
      await sent(first.id, 1)
      expect(smtp.mailsTo(first.email)).to.have.length(1)
      await mailSays('ok')
    })

  it('F35 that takes a mail and never says so keeps no request waiting, and each mail comes', async () => {
    const people: [Someone, Someone] = [await anOldHand(), await anOldHand()]
    smtp.behave('mute')
    const first = await aPerson(client)
    await eventually(() => expect(smtp.mailsTo(first.email)).to.have.length(1))
    const { total, open } = smtp.connections()

    const mailed = await goOn(people)

    const now = smtp.connections()
    expect(now.total - now.open, 'connections that have ended').to.equal(total - open)
    await mailSays('degraded')
    smtp.behave('well')
    const all = [
      ...(await copiesOf('F35 mail server that takes a mail and says nothing', mailed)),
      smtp.mailsTo(first.email),
    ]
    for (const copies of all) {
      expect(copies.length).to.be.at.least(1)
      expect(new Set(copies.map(({ messageId }) => messageId)).size).to.equal(1)
    }
    await sent(first.id, 1)
    expect(smtp.mailsTo(first.email).length, 'copies of the mail that was taken').to.be.at.least(2)
    await mailSays('ok')
  })

  it('F35 that hangs up after a mail is told of it again, under the same Message-ID', async () => {
    const people: [Someone, Someone] = [await anOldHand(), await anOldHand()]
    smtp.behave('cut')
    const mailed = await goOn(people)
    await eventually(() => expect(smtp.mailsTo(people[0].email).length).to.be.above(1))
    await mailSays('degraded')

    smtp.behave('well')

    const all = await copiesOf('F35 mail server that hangs up after a mail', mailed)
    expect(all[0]!.length, 'copies of the first').to.be.at.least(2)
    for (const copies of all) {
      expect(copies.length).to.be.at.least(1)
      expect(new Set(copies.map(({ messageId }) => messageId)).size).to.equal(1)
    }
    await mailSays('ok')
  })

  it('F34 that says "later" is asked later, and each mail comes once', async () => {
    const people: [Someone, Someone] = [await anOldHand(), await anOldHand()]
    smtp.behave('451')
    const mailed = await goOn(people)
    for (const { id } of mailed.waiting)
      await eventually(() => expect(logged('mail.retried', id)[0]).to.include({ reason: '451 4.2.2 at RCPT TO' }))
    await mailSays('ok') // it is there, and talks

    smtp.behave('well')

    for (const copies of await copiesOf('F34 mail server that says later', mailed)) expect(copies).to.have.length(1)
  })

  it('F33 that refuses a mail for good is not asked again, until an operator tries once more', async () => {
    const people: [Someone, Someone] = [await anOldHand(), await anOldHand()]
    smtp.behave('550')
    const mailed = await goOn(people)
    for (const { id } of mailed.waiting)
      await eventually(() => expect(logged('mail.failed', id)[0]).to.include({ reason: '550 5.1.1 at RCPT TO' }))
    await mailSays('ok')
    const env = { DATABASE_URL: postgres.url }
    const { out } = await latchkey(['mail', 'list', '--status', 'failed', '--json'], env)
    const failed = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; address: string; last_error: string; attempts: number })
    expect(failed.map(({ address }) => address)).to.have.members(mailed.waiting.map(({ email }) => email))
    for (const mail of failed) expect(mail).to.include({ last_error: '550 5.1.1 at RCPT TO', attempts: 1 })

    smtp.behave('well')
    const retries = await Promise.all(failed.map(({ id }) => latchkey(['mail', 'retry', id], env)))

    expect(retries.map(({ code }) => code)).to.deep.equal([0, 0, 0])
    for (const copies of await copiesOf('F33 mail server that refuses', mailed)) expect(copies).to.have.length(1)
  })

  it('F32 gets three connections at most, whatever waits', async () => {
    await anOldHand()
    await eventually(() => expect(smtp.connections().open).to.equal(0))
    smtp.behave('silent')
    const people = await Promise.all(Array.from({ length: 40 }, () => aPerson(client)))
    await mailSays('degraded')
    const { mostAtOnce } = smtp.connections()

    smtp.behave('well')

    for (const { id } of people) await sent(id, 1)
    for (const { email } of people) expect(smtp.mailsTo(email)).to.have.length(1)
    expect({ silent: mostAtOnce, after: smtp.connections().mostAtOnce }).to.deep.equal({ silent: 3, after: 3 })
  })
})
