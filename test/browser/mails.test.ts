import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { migrationSource } from '../../migrations/index.ts'
import { createMail, mailKinds, type MailKind, type Mails } from '../../src/mail/index.ts'
import { createLog } from '../../src/platform/log.ts'
import { migrate } from '../../src/platform/migrate.ts'
import { startBrowser, type TestBrowser, type View } from '../support/browser.ts'
import { movableClock } from '../support/clock.ts'
import { eventually } from '../support/eventually.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { password } from '../support/people.ts'
import { expectSameAsBefore } from '../support/screenshots.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type Received, type SmtpSink } from '../support/smtp.ts'
import { withDatabase } from '../support/stores.ts'

const subjects: Record<MailKind, RegExp> = {
  'verify-email': /^Confirm your e-mail address/,
  'reset-password': /^Reset your password/,
  'set-password': /^Choose a password/,
  'email-taken': /^You already have an account/,
  'confirm-new-email': /^Confirm your new e-mail address/,
  'email-changed': /^Your e-mail address .* was changed/,
  'password-changed': /^Your password .* was changed/,
  'password-reset': /^Your password .* was reset/,
  'refresh-token-reused': /^You were signed out of a device/,
  'new-device': /^New sign-in/,
}

const views: Record<string, View> = {
  'on a desk in light': { widthPx: 720, colorScheme: 'light' },
  'on a desk in dark': { widthPx: 720, colorScheme: 'dark' },
  'on a phone in light': { widthPx: 360, colorScheme: 'light' },
  'on a phone in dark': { widthPx: 360, colorScheme: 'dark' },
}

/** What people and strangers may call a device, and must not get any further with. */
const hostileNames = {
  markup: '</div></td><img src=x><script>alert(1)</script><a href="https://evil.example/">here</a>',
  'words read from right to left': '\u05D0\u05D1\u05D2 (laptop) 1, 2 \u05D3!',
  'one very long word': 'W'.repeat(100),
  'a tower of accents': `Z${'\u030D\u0333'.repeat(49)}`,
}

const fingertipPx = 44
const at = Date.parse('2026-11-21T04:31:00Z')
const guest = '018f0000-0000-7000-8000-000000000001'
const newPassword = 'a quite different sentence'
const ada = 'ada@example.com'
const adaMoved = 'ada.lovelace@example.com'
/** As long as addresses get, but for the one character that smtp-server does not take. */
const longAddress = `${'a'.repeat(64)}@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(56)}.com`

describe('a mail in a browser', function () {
  this.timeout(40_000)
  let browser: TestBrowser
  let smtp: SmtpSink
  let postgres: OwnPostgres
  let service: TestService
  let knex: Knex
  let room: Mails
  let sent: Record<MailKind, Received>
  const ofStrangers: Record<string, Received> = {}

  before(async function () {
    this.timeout(300_000) // a fresh machine has to fetch Chromium first
    browser = await startBrowser()
    smtp = await startSmtp()
    postgres = await ownPostgres()
    const env = { ...smtp.env, DATABASE_URL: postgres.url, REQUIRE_VERIFIED_EMAIL: 'true' }
    service = await startService(env, { clock: movableClock(at) })
    await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200), 20_000)
    await postgres.operator.raw('create database room')
    const url = withDatabase(postgres.url, 'room')
    await migrate(url, migrationSource)
    knex = knexModule({ client: 'pg', connection: url, pool: { min: 0, max: 3 } })
    room = createMail({
      knex,
      databaseUrl: url,
      databaseTimeoutMs: 1500,
      smtp: { url: smtp.url },
      from: { name: 'Latchkey', address: 'latchkey@mail.example' },
      links: { 'set-password': async () => ({ url: `https://app.example/set-password?token=${'0'.repeat(43)}` }) },
      chores: [],
      log: createLog('error', { write() {} }),
    })
    room.start()

    sent = await everyKind()
    for (const [what, deviceName] of Object.entries(hostileNames))
      ofStrangers[`a device that is called ${what}`] = await loginFrom(what, deviceName)
    // The service refuses such a name; one that got into the queue all the same must do no harm either.
    const turned = { kind: 'new-device' as const, userId: guest, address: 'turned@example.com' }
    await room.queue(knex, { ...turned, facts: { deviceName: '\u202Egnp.exe\u2066 laptop \u200F!' } })
    ofStrangers['a device that turns the reading direction'] = await mail('new-device', turned.address)
    ofStrangers['an address of 253 characters'] = await moveTo(longAddress)
  })
  after(async () => {
    await browser?.close()
    await room?.stop()
    await knex?.destroy()
    await service?.close()
    await smtp?.stop()
    await postgres?.discard()
  })

  const mail = (kind: MailKind, address: string): Promise<Received> =>
    eventually(() => {
      const found = smtp.mailsTo(address).find(({ subject }) => subjects[kind].test(subject))
      expect(found, `${kind} to ${address}`).to.not.equal(undefined)
      return found!
    }, 10_000)
  const tokenIn = ({ text }: Received) => /\?token=([\w-]{43})\s/.exec(text)![1]!

  async function answered(status: number, answer: Promise<{ status: number; text: string; body: unknown }>) {
    const { status: actual, text, body } = await answer
    expect(actual, text).to.equal(status)
    return body as { access_token: string; refresh_token: string }
  }

  /** Lets one person live through all that a mail tells of. */
  async function everyKind(): Promise<Record<MailKind, Received>> {
    const { client } = service
    const logIn = (agent: string, secret = password) =>
      answered(
        200,
        client.login({ email: ada, password: secret, device_name: 'Ada’s laptop' }, { 'user-agent': agent }),
      )
    await answered(202, client.register({ email: ada, password }))
    const verifyEmail = await mail('verify-email', ada)
    await answered(200, client.post('/v1/auth/verify-email', { body: { token: tokenIn(verifyEmail) } }))
    await answered(202, client.register({ email: ada, password: newPassword }))

    const { refresh_token: spent } = await logIn('Ferret/1.0')
    await answered(200, client.refresh(spent))
    service.clock.pass({ seconds: 31 })
    await answered(401, client.refresh(spent))

    const { access_token: token } = await logIn('Ferret/1.0')
    const change = { current_password: password, new_password: newPassword }
    await answered(200, client.post('/v1/me/password', { token, body: change }))
    await answered(202, client.post('/v1/auth/forgot-password', { body: { email: ada } }))
    const resetPassword = await mail('reset-password', ada)
    const reset = { token: tokenIn(resetPassword), new_password: password }
    await answered(204, client.post('/v1/auth/reset-password', { body: reset }))
    const emailChanged = await moveTo(adaMoved)

    const invited = 'invited@example.com'
    const facts = { at: new Date(at).toISOString() }
    await room.queue(knex, {
      kind: 'set-password',
      userId: guest,
      address: invited,
      facts,
    })

    return {
      'verify-email': verifyEmail,
      'reset-password': resetPassword,
      'set-password': await mail('set-password', invited),
      'email-taken': await mail('email-taken', ada),
      'confirm-new-email': await mail('confirm-new-email', adaMoved),
      'email-changed': emailChanged,
      'password-changed': await mail('password-changed', ada),
      'password-reset': await mail('password-reset', ada),
      'refresh-token-reused': await mail('refresh-token-reused', ada),
      'new-device': await mail('new-device', ada),
    }
  }

  /** Gives somebody another address, and takes the mail to their old one. */
  async function moveTo(address: string): Promise<Received> {
    const { client } = service
    const old = address === adaMoved ? ada : adaMoved
    const { access_token: token } = await answered(200, client.login({ email: old, password }))
    const body = { email: address, current_password: password }
    await answered(200, client.call('PATCH', '/v1/me', { token, body }))
    const confirm = { token: tokenIn(await mail('confirm-new-email', address)) }
    await answered(200, client.post('/v1/auth/verify-email', { body: confirm }))
    return mail('email-changed', old)
  }

  /** Logs in from a new device, and takes the notice of it. */
  async function loginFrom(agent: string, deviceName: string): Promise<Received> {
    const notices = () => smtp.mailsTo(adaMoved).filter(({ subject }) => subjects['new-device'].test(subject))
    const before = notices().length
    const body = { email: adaMoved, password, device_name: deviceName }
    await answered(200, service.client.login(body, { 'user-agent': agent }))
    return eventually(() => {
      expect(notices()).to.have.length(before + 1)
      return notices().at(-1)!
    }, 10_000)
  }

  /** Shows a mail with its token replaced, which is different every time. */
  const show = ({ html }: Received, view: View) =>
    browser.show(html.replaceAll(/(?<=\?token=)[\w-]{43}/g, '0123456789'.repeat(4).padEnd(43, 'x')), view)

  async function expectReadable(): Promise<void> {
    const { texts, contentWidthPx, widthPx } = await browser.measure()
    expect(texts.length).to.be.greaterThan(4)
    expect(texts.filter(({ isReadable }) => !isReadable)).to.deep.equal([])
    expect(contentWidthPx).to.equal(widthPx)
  }

  for (const kind of mailKinds)
    describe(kind, () => {
      it('loads nothing, runs nothing, and leads where its text part leads', async () => {
        expect(await show(sent[kind], views['on a desk in light']!)).to.deep.equal([])

        const { tags, handlers, links } = await browser.measure()
        expect(tags.filter((tag) => /^(?:script|img|iframe|object|embed|form|link|svg)$/.test(tag))).to.deep.equal([])
        expect(handlers).to.deep.equal([])
        const inText = /^https:\/\/\S+$/m.exec(sent[kind].text)?.[0].replace(/(?<=\?token=).*/, '')
        const inHtml = links.map(({ href }) => href?.replace(/(?<=\?token=).*/, ''))
        expect(inHtml).to.deep.equal(inText === undefined ? [] : [inText, inText])
      })

      for (const [where, view] of Object.entries(views)) {
        it(`is readable ${where}, and its button is as high as a fingertip`, async () => {
          await show(sent[kind], view)

          await expectReadable()
          const { canvas, links } = await browser.measure()
          expect(canvas === '255,255,255', canvas).to.equal(view.colorScheme === 'light')
          if (links[0]) expect(links[0].heightPx).to.be.at.least(fingertipPx)
        })
      }

      // Width and colours do not depend on each other: these two show all four.
      for (const where of ['on a desk in light', 'on a phone in dark'])
        it(`looks as it did ${where}`, async () => {
          await show(sent[kind], views[where]!)

          expectSameAsBefore(`${kind}, ${where}`.replaceAll(/\W+/g, '-'), await browser.picture())
        })
    })

  for (const [where, view] of Object.entries(views))
    it(`stays in shape ${where}, whatever a device or an address is called`, async () => {
      const plain = await tagsOf(sent['new-device'], view)
      for (const [what, received] of Object.entries(ofStrangers)) {
        expect(await show(received, view), what).to.deep.equal([])
        await expectReadable()
        const { tags, links } = await browser.measure()
        expect(links, what).to.deep.equal([])
        if (what.startsWith('a device')) expect(tags, what).to.deep.equal(plain)
      }
    })

  async function tagsOf(received: Received, view: View): Promise<string[]> {
    await show(received, view)
    return (await browser.measure()).tags
  }
})
