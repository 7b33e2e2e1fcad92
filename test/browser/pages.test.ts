import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { firstAdmin } from '../support/admins.ts'
import type { Json } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { subjects } from '../support/mailbox.ts'
import { ownRedis } from '../support/own-stores.ts'
import { expectAccessible, startPageBrowser, type PageBrowser } from '../support/page-browser.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { sendRaw } from '../support/raw.ts'
import { expectSameAsBefore } from '../support/screenshots.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

const newPassword = 'a quite different sentence'
const frontend = 'https://app.example'
const phone = { width: 390, height: 844 }
const desk = { width: 1280, height: 800 }
const views = {
  'on a desk in light': { viewport: desk, colorScheme: 'light' },
  'on a desk in dark': { viewport: desk, colorScheme: 'dark' },
  'on a phone in light': { viewport: phone, colorScheme: 'light' },
  'on a phone in dark': { viewport: phone, colorScheme: 'dark' },
} as const

describe('a page for people', function () {
  this.timeout(60_000)
  let browser: PageBrowser
  let smtp: SmtpSink
  let service: TestService
  before(async function () {
    this.timeout(300_000) // a fresh machine has to fetch Chromium first
    ;[browser, smtp] = await Promise.all([startPageBrowser(), startSmtp()])
    service = await startService({ ...smtp.env, PUBLIC_URL: frontend, FRONTEND_URL: frontend })
    await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200), 20_000)
  })
  after(async () => {
    await browser?.close()
    await service?.close()
    await smtp?.stop()
  })

  /** The link of the latest mail of a kind, as this service is reached. */
  async function linkTo({ email }: Someone, subject: RegExp, count = 1): Promise<string> {
    const mail = await eventually(() => {
      const mails = smtp.mailsTo(email).filter((one) => subject.test(one.subject))
      expect(mails.length, `${subject} to ${email}`).to.be.at.least(count)
      return mails.at(-1)!
    }, 10_000)
    return /https:\/\/app\.example\S+/.exec(mail.text)![0].replace(frontend, service.url)
  }

  async function resetLinkOf(person: Someone): Promise<string> {
    await service.client.post('/v1/auth/forgot-password', { body: { email: person.email } })
    return linkTo(person, subjects.reset)
  }

  const statusOfLogin = async ({ email }: Someone, typed: string) =>
    (await service.client.login({ email, password: typed })).status

  describe('behind the link of a mail', () => {
    it('lets somebody choose a new password, without JavaScript', async () => {
      const person = await aPerson(service.client)
      const link = await resetLinkOf(person)
      const { page, requested, close } = await browser.visit(link, { javaScriptEnabled: false })

      await page.getByLabel('New password').fill(newPassword)
      await page.getByRole('button', { name: 'Change the password' }).click()
      await page.getByRole('status').waitFor()

      expect(await page.getByRole('status').innerText()).to.match(/^Your password was changed/)
      expect(await statusOfLogin(person, newPassword)).to.equal(200)
      expect(await statusOfLogin(person, password)).to.equal(401)
      expect((await service.client.me(person.tokens.access_token)).status).to.equal(401)
      expect(page.url()).to.equal(`${service.url}/reset-password`)
      expect(
        requested.every((url) => url.startsWith(`${service.url}/reset-password`)),
        requested.join(),
      ).to.equal(true)
      await close()
    })

    it('says what is wrong with a password, and takes the next one', async () => {
      const person = await aPerson(service.client)
      const { page, close } = await browser.visit(await resetLinkOf(person), { javaScriptEnabled: false })

      await page.getByLabel('New password').fill('short')
      await page.getByRole('button').click()
      await page.getByRole('alert').waitFor()
      expect(await page.getByRole('alert').innerText()).to.match(/^The password must have at least/)
      expect(await page.getByLabel('New password').getAttribute('aria-invalid')).to.equal('true')

      await page.getByLabel('New password').fill(newPassword)
      await page.getByRole('button').click()
      await page.getByRole('status').waitFor()
      expect(await statusOfLogin(person, newPassword)).to.equal(200)
      await close()
    })

    it('confirms an address at the press of its button, without JavaScript', async () => {
      const person = await aPerson(service.client)
      const { page, close } = await browser.visit(await linkTo(person, subjects.verify), { javaScriptEnabled: false })
      expect((await service.client.me(person.tokens.access_token)).body.email_verified).to.equal(false)

      await page.getByRole('button', { name: 'Confirm the address' }).click()
      await page.getByRole('status').waitFor()

      expect((await service.client.me(person.tokens.access_token)).body.email_verified).to.equal(true)
      await close()
    })

    it('spends nothing when it is opened, however often, and says so of a link that is spent', async () => {
      const person = await aPerson(service.client)
      const link = await resetLinkOf(person)
      for (let opened = 0; opened < 3; opened++) expect((await fetch(link)).status).to.equal(200)
      expect((await fetch(link, { method: 'HEAD' })).status).to.equal(200)
      const token = new URL(link).searchParams.get('token')!
      const send = () =>
        fetch(`${service.url}/reset-password`, {
          method: 'POST',
          body: new URLSearchParams({ token, new_password: newPassword }),
        })

      expect((await send()).status).to.equal(200)

      const again = await send()
      expect(again.status).to.equal(400)
      expect(await again.text()).to.include('This link cannot be used')
      expect((await fetch(`${service.url}/reset-password`)).status).to.equal(400)
    })

    it('keeps the token to itself: no referrer, no log, no other site, no frame', async () => {
      const person = await aPerson(service.client)
      const link = await resetLinkOf(person)
      const token = new URL(link).searchParams.get('token')!

      const answer = await fetch(link)

      const { headers } = answer
      expect(headers.get('referrer-policy')).to.equal('no-referrer')
      expect(headers.get('cache-control')).to.equal('no-store')
      const policy = headers.get('content-security-policy')!
      expect(policy).to.match(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'/)
      expect(policy).to.include("frame-ancestors 'none'").and.include("base-uri 'none'")
      expect(await answer.text()).to.not.match(/<script|<img|<link|https?:/)
      expect(JSON.stringify(service.logged)).to.not.include(token)
    })

    it('takes no form that another site has sent', async () => {
      const person = await aPerson(service.client)
      const token = new URL(await resetLinkOf(person)).searchParams.get('token')!
      for (const site of ['cross-site', 'same-site'])
        expect(
          (
            await fetch(`${service.url}/reset-password`, {
              method: 'POST',
              headers: { 'Sec-Fetch-Site': site },
              body: new URLSearchParams({ token, new_password: newPassword }),
            })
          ).status,
        ).to.equal(403)
      expect(await statusOfLogin(person, password)).to.equal(200)
    })

    it('tells the log and the reader of a store that is away', async () => {
      const redis = await ownRedis()
      const alone = await startService({ REDIS_URL: redis.url, PUBLIC_URL: frontend, FRONTEND_URL: frontend })
      await alone.migrated
      await redis.kill()

      const body = new URLSearchParams({ token: 'a'.repeat(43) })
      const answer = await fetch(`${alone.url}/verify-email`, { method: 'POST', body })

      expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '2'])
      expect(await answer.text()).to.include('try again in a moment')
      const requestId = answer.headers.get('x-request-id')
      const told = alone.logged.filter(({ request_id }) => request_id === requestId)
      expect(told.map(({ event }) => event)).to.include('store.failed')
      await alone.close()
      await redis.discard()
    })

    it('shows what stands in its address as text', async () => {
      const hostile = `"><img src=x onerror=alert(1)><b a='`
      const text = await (await fetch(`${service.url}/reset-password?token=${encodeURIComponent(hostile)}`)).text()

      expect(text).to.include('value="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&lt;b a=&#39;"')
    })

    it('is not there where a front end has its own', async () => {
      const other = await startService({ FRONTEND_URL: 'https://front.example', PUBLIC_URL: frontend })
      for (const path of ['/reset-password?token=a', '/verify-email?token=a'])
        expect((await other.client.get(path)).status).to.equal(404)
    })
  })

  for (const [view, options] of Object.entries(views))
    describe(view, () => {
      const pages: Record<string, (person: Someone) => Promise<string>> = {
        'reset-password': async () => `${service.url}/reset-password?token=${'a'.repeat(43)}`,
        'verify-email': async () => `${service.url}/verify-email?token=${'a'.repeat(43)}`,
        problem: async () => `${service.url}/problems/invalid-refresh-token`,
        problems: async () => `${service.url}/problems`,
      }
      for (const [name, urlFor] of Object.entries(pages))
        it(`is readable, works by keyboard and looks as it did: ${name}`, async () => {
          const { page, complaints, close } = await browser.visit(await urlFor(await aPerson(service.client)), options)

          await expectAccessible(page)

          expect(complaints).to.deep.equal([])
          const { width } = options.viewport
          expect(await page.evaluate<number>('document.documentElement.scrollWidth')).to.be.at.most(width)
          expectSameAsBefore(`page ${name} ${view}`, await page.screenshot({ animations: 'disabled', caret: 'hide' }))
          await close()
        })
    })

  describe('with the description of the API', () => {
    /** What was answered, without the button that stands before it. */
    const jsonIn = (text: string): Json => JSON.parse(text.slice(text.indexOf('{')))
    const block = (page: Page, id: string) => page.locator(`[id$="-${id}"]`)

    it('takes a login, the token it gave, and a call with it', async () => {
      const person = await aPerson(service.client)
      const { page, requested, complaints, close } = await browser.visit(`${service.url}/docs`, { viewport: desk })

      await block(page, 'login').locator('.opblock-summary-control').click()
      const body = block(page, 'login').locator('textarea.body-param__text')
      await body.fill(JSON.stringify({ email: person.email, password }))
      await block(page, 'login').getByRole('button', { name: 'Execute' }).click()
      const answered = block(page, 'login').locator('.live-responses-table .highlight-code').first()
      await answered.waitFor()
      const { access_token: token } = jsonIn(await answered.innerText())

      await page.locator('.auth-wrapper .authorize').click()
      await page.locator('.modal-ux input[type="text"]').first().fill(token)
      await page.locator('.modal-ux .auth-container').first().getByRole('button', { name: 'Apply credentials' }).click()
      await page.locator('.modal-ux .close-modal').click()
      await block(page, 'showMe').locator('.opblock-summary-control').click()
      await block(page, 'showMe').getByRole('button', { name: 'Execute' }).click()
      const me = block(page, 'showMe').locator('.live-responses-table .highlight-code').first()
      await me.waitFor()

      expect(jsonIn(await me.innerText()).email).to.equal(person.email)
      expect(
        await block(page, 'showMe').locator('.live-responses-table .response-col_status').last().innerText(),
      ).to.match(/^200/)
      expect(
        requested.every((url) => url.startsWith(service.url) || url.startsWith('data:')),
        requested.join(),
      ).to.equal(true)
      expect(complaints).to.deep.equal([])
      await close()
    })

    for (const [view, options] of Object.entries(views))
      it(`fits the screen, and is drawn, ${view}`, async () => {
        const { page, complaints, close } = await browser.visit(`${service.url}/docs`, options)

        await block(page, 'login').waitFor()

        expect(await page.evaluate<number>('document.documentElement.scrollWidth')).to.be.at.most(
          options.viewport.width,
        )
        expect(await page.locator('.opblock').count()).to.be.greaterThan(40)
        expect(complaints).to.deep.equal([])
        expectSameAsBefore(`page docs ${view}`, await page.screenshot({ animations: 'disabled' }))
        await close()
      })
  })

  it('is not found under the names that every object has', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty'])
      for (const folder of ['docs', 'problems'])
        expect((await sendRaw(service.url, `GET /${folder}/${name} HTTP/1.1\r\nHost: a\r\n\r\n`)).status).to.equal(404)
  })

  it('is made for whoever follows the type of a problem', async () => {
    const admin = await firstAdmin(service.client, smtp.env)
    const { body } = await service.client.post('/v1/auth/refresh', {
      body: { refresh_token: admin.tokens.access_token },
    })

    const answer = await fetch(new URL(body.type as string, service.url))

    expect(answer.status).to.equal(200)
    expect(await answer.text()).to.include('<code>invalid-refresh-token</code>')
    expect((await service.client.get('/problems/no-such-code')).status).to.equal(404)
    expect((await aSession(service.client, admin)).access_token).to.be.a('string')
  })
})
