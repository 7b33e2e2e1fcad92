import { expect } from 'chai'
import { expectProblem, pointersOf, type ApiClient } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { readMails, subjects, tokenIn } from '../support/mailbox.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { ownPostgres, ownRedis, type OwnPostgres } from '../support/own-stores.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { operatorsRedis, keyPrefix } from '../support/stores.ts'
import { volley } from '../support/volley.ts'

const newPassword = 'a quite different sentence'

describe('passwords and addresses', function () {
  this.timeout(40_000)
  let smtp: SmtpSink
  let postgres: OwnPostgres
  let env: Record<string, string>
  let service: TestService
  let client: ApiClient
  before(async () => {
    smtp = await startSmtp()
    // A database of its own: in the shared one wait the mails of everybody whom the other tests register.
    postgres = await ownPostgres()
    env = { ...smtp.env, DATABASE_URL: postgres.url }
    service = await startService(env)
    await untilReady(service)
    client = service.client
  })
  after(async () => {
    await service.close()
    await smtp.stop()
    await postgres.discard()
  })

  const untilReady = ({ client: asked }: TestService) =>
    eventually(async () => expect((await asked.get('/health/ready')).status).to.equal(200), 20_000)

  const { reset: resetSubject, verify: verifySubject } = subjects
  const mailTo = (address: string, subject: RegExp, count?: number) => readMails(smtp).mailTo(address, subject, count)
  const aResetToken = (someone: Someone, count?: number) => readMails(smtp).aResetToken(client, someone, count)
  const forgot = (email: string) => client.post('/v1/auth/forgot-password', { body: { email } })
  const reset = (token: unknown, new_password: string) =>
    client.post('/v1/auth/reset-password', { body: { token, new_password } })
  const verify = (token: unknown) => client.post('/v1/auth/verify-email', { body: { token } })

  const logInStatus = async (someone: { email: string }, with_: string) =>
    (await client.login({ email: someone.email, password: with_ })).status

  describe('a forgotten password', () => {
    it('is told to the log when the link is asked for, with the account if there is one and never the address', async () => {
      const someone = await aPerson(client)
      const nobody = uniqueEmail()
      const before = service.logged.length

      await forgot(someone.email)
      await forgot(nobody)

      const since = service.logged.slice(before)
      const asked = since.filter(({ event }) => event === 'password.reset_requested')
      expect(asked.map(({ user_id }) => user_id)).to.deep.equal([someone.id, undefined])
      for (const address of [someone.email, nobody]) expect(JSON.stringify(since)).to.not.include(address)
    })

    it('is replaced by the link in the mail, which ends every session and logs nobody in', async () => {
      const someone = await aPerson(client)
      const other = await aSession(client, someone)
      const token = await aResetToken(someone)

      const answer = await reset(token, newPassword)

      expect(answer.status).to.equal(204)
      for (const { access_token, refresh_token } of [someone.tokens, other]) {
        expectProblem(await client.me(access_token), 401, 'invalid-token', 'password-reset')
        expectProblem(await client.refresh(refresh_token), 401, 'invalid-refresh-token', 'ended')
      }
      expect(await logInStatus(someone, password)).to.equal(401)
      expect(await logInStatus(someone, newPassword)).to.equal(200)
      const notice = await mailTo(someone.email, /password .*(was|has been) (reset|changed)/i)
      expect(notice.text + notice.html)
        .to.not.include(token)
        .and.not.include(newPassword)
    })

    it('is asked for with one answer for all, and no mail to those who have no account', async () => {
      const { email } = await aPerson(client)
      const stranger = uniqueEmail()

      const [known, unknown] = [await forgot(email.toUpperCase()), await forgot(stranger)]

      expect([known.status, unknown.status]).to.deep.equal([202, 202])
      expect(unknown.body).to.deep.equal(known.body)
      await mailTo(email, resetSubject)
      expect(smtp.mailsTo(stranger)).to.deep.equal([])
    })

    it('is asked for with exactly one address', async () => {
      for (const email of ['nobody', ['a@example.com'], null, 'a@example.com,b@example.com']) {
        const answer = await client.post('/v1/auth/forgot-password', { body: { email } })
        expectProblem(answer, 400, 'validation-failed')
        expect(pointersOf(answer)).to.deep.equal(['/email'])
      }
    })

    it('has one link that works: the newest, once, for half an hour', async () => {
      const someone = await aPerson(client)
      const first = await aResetToken(someone)
      service.clock.pass({ seconds: 1 })
      const second = await aResetToken(someone, 2)
      expectProblem(await reset(first, newPassword), 400, 'invalid-reset-token')
      expect((await reset(second, newPassword)).status).to.equal(204)
      expectProblem(await reset(second, 'yet another sentence'), 400, 'invalid-reset-token')

      service.clock.pass({ seconds: 1 })
      const third = await aResetToken(someone, 3)
      service.clock.pass({ minutes: 30 })
      expectProblem(await reset(third, 'yet another sentence'), 400, 'invalid-reset-token')
      expect(await logInStatus(someone, newPassword)).to.equal(200)
    })

    it('keeps its link when the new password is refused', async () => {
      const someone = await aPerson(client)
      const token = await aResetToken(someone)

      const refused = await reset(token, 'short')

      expectProblem(refused, 400, 'password-refused')
      expect(pointersOf(refused)).to.deep.equal(['/new_password'])
      expect((await reset(token, newPassword)).status).to.equal(204)
    })

    it('is not replaced by a token of any other kind', async () => {
      const someone = await aPerson(client)
      const verification = tokenIn(await mailTo(someone.email, verifySubject))
      const { access_token, refresh_token } = someone.tokens

      for (const token of [verification, access_token, refresh_token, '', 'x', '__proto__', 'a'.repeat(43)])
        expectProblem(await reset(token, newPassword), 400, 'invalid-reset-token')
      for (const token of [{}, ['x'], null, { $gt: '' }])
        expectProblem(await reset(token, newPassword), 400, 'validation-failed')
      expectProblem(await verify(await aResetToken(someone)), 400, 'invalid-token-link')
      expect(await logInStatus(someone, password)).to.equal(200)
    })

    it('F56 is replaced once when 200 use one link at one instant', async () => {
      const someone = await aPerson(client)
      const token = await aResetToken(someone)

      const hits = await volley(
        Array.from({ length: 200 }, (_, i) => ({
          url: service.url,
          path: '/v1/auth/reset-password',
          body: { token, new_password: `sentence number ${i} of them` },
        })),
      )

      const won = hits.flatMap(({ status }, i) => (status === 204 ? [i] : []))
      expect(won).to.have.length(1)
      expect(hits.filter(({ status }) => ![204, 400, 503].includes(status))).to.deep.equal([])
      expect(await logInStatus(someone, `sentence number ${won[0]} of them`)).to.equal(200)
      expect(await logInStatus(someone, password)).to.equal(401)
    })

    it('F59 leaves no session of a login with the old password that runs meanwhile', async () => {
      for (let round = 0; round < 8; round++) {
        const someone = await aPerson(client)
        const token = await aResetToken(someone)
        const old = { email: someone.email, password }
        const [answer, ...logins] = await volley([
          { url: service.url, path: '/v1/auth/reset-password', body: { token, new_password: newPassword } },
          ...Array.from({ length: 4 }, () => ({ url: service.url, path: '/v1/auth/login', body: old })),
        ])
        expect(answer!.status).to.equal(204)
        for (const { status, body } of logins)
          if (status === 200) expect((await client.me(body.access_token)).status).to.equal(401)
      }
    })

    it('sends one person five mails an hour, and does not tell', async () => {
      const someone = await aPerson(client)
      for (let i = 0; i < 8; i++) expect((await forgot(someone.email)).status).to.equal(202)

      await mailTo(someone.email, resetSubject, 5)
      const flag = await aPerson(client)
      await aResetToken(flag)
      expect(smtp.mailsTo(someone.email).filter(({ subject }) => resetSubject.test(subject))).to.have.length(5)
    })

    it('stays as it is, and keeps its link, when Redis cannot end the sessions', async () => {
      const redis = await ownRedis()
      const apart = await startService({ ...env, REDIS_URL: redis.url })
      await untilReady(apart)
      const someone = await aPerson(apart.client)
      await apart.client.post('/v1/auth/forgot-password', { body: { email: someone.email } })
      const token = tokenIn(await mailTo(someone.email, resetSubject))
      const body = { token, new_password: newPassword }

      await redis.kill()
      expectProblem(await apart.client.post('/v1/auth/reset-password', { body }), 503, 'unavailable')
      await redis.start()
      await eventually(async () =>
        expect((await apart.client.login({ email: someone.email, password })).status).to.equal(200),
      )
      expect((await apart.client.post('/v1/auth/reset-password', { body })).status).to.equal(204)

      await apart.close()
      await redis.discard()
    })
  })

  describe('a password change', () => {
    const change = (token: string, current_password: unknown, new_password: unknown) =>
      client.post('/v1/me/password', { token, body: { current_password, new_password } })

    it('gives this session a new pair, ends all others, and tells the owner', async () => {
      const someone = await aPerson(client)
      const other = await aSession(client, someone)
      const resetToken = await aResetToken(someone)

      const answer = await change(someone.tokens.access_token, password, newPassword)

      expect(answer.status, answer.text).to.equal(200)
      expect(answer.body.session.id).to.equal(someone.tokens.session.id)
      expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'expired')
      expectProblem(await client.me(other.access_token), 401, 'invalid-token', 'password-changed')
      expect((await client.me(answer.body.access_token)).status).to.equal(200)
      expect((await client.refresh(answer.body.refresh_token)).status).to.equal(200)
      expect(await logInStatus(someone, password)).to.equal(401)
      expectProblem(await reset(resetToken, 'yet another sentence'), 400, 'invalid-reset-token')
      await mailTo(someone.email, /password .*changed/i)
    })

    it('needs the current password, and a new one that is allowed', async () => {
      const someone = await aPerson(client)
      const token = someone.tokens.access_token

      expectProblem(await change(token, 'not the password', newPassword), 403, 'wrong-password')
      const short = await change(token, password, 'short')
      expectProblem(short, 400, 'password-refused')
      expect(pointersOf(short)).to.deep.equal(['/new_password'])
      for (const wrong of [null, [password], '', undefined])
        expect((await change(token, wrong, newPassword)).status).to.be.oneOf([400, 403])
      expect(await logInStatus(someone, password)).to.equal(200)
    })

    it('F60 of two that name the same current password succeeds once', async () => {
      for (let round = 0; round < 5; round++) {
        const someone = await aPerson(client)
        const sessions = [someone.tokens, await aSession(client, someone)]
        const hits = await volley(
          sessions.map(({ access_token }, i) => ({
            url: service.url,
            path: '/v1/me/password',
            token: access_token,
            body: { current_password: password, new_password: `sentence number ${i} of them` },
          })),
        )
        const won = hits.flatMap(({ status }, i) => (status === 200 ? [i] : []))
        expect(won, JSON.stringify(hits.map(({ status, body }) => [status, body?.code]))).to.have.length(1)
        expect(await logInStatus(someone, `sentence number ${won[0]} of them`)).to.equal(200)
        expect(await logInStatus(someone, `sentence number ${1 - won[0]!} of them`)).to.equal(401)
      }
    })

    it('counts its wrong guesses with those at the login', async () => {
      const someone = await aPerson(client)
      for (let i = 0; i < 5; i++) {
        await change(someone.tokens.access_token, `guess ${i} of some`, newPassword)
        await client.login({ email: someone.email, password: `guess ${i} of some` })
      }

      const refused = await change(someone.tokens.access_token, password, newPassword)

      expectProblem(refused, 429, 'too-many-attempts')
      expect(Number(refused.headers.get('retry-after'))).to.be.within(1, 900)
      expect((await client.refresh(someone.tokens.refresh_token)).status).to.equal(200)
    })
  })

  describe('an address', () => {
    it('is confirmed by the link in the mail, once', async () => {
      const someone = await aPerson(client)
      const token = tokenIn(await mailTo(someone.email, verifySubject))

      const answer = await verify(token)

      expect(answer.status).to.equal(200)
      expect(answer.body).to.include({ email: someone.email, email_verified: true })
      expect((await client.me(someone.tokens.access_token)).body.email_verified).to.equal(true)
      const card = await operatorsRedis().hget(`${keyPrefix}sessions:{${someone.id}}`, 'user')
      expect(JSON.parse(card!).verified).to.equal(true)
      expectProblem(await verify(token), 400, 'invalid-token-link')
    })

    it('gets another link on request, unless it is confirmed or has no account', async () => {
      const someone = await aPerson(client)
      const resend = (email: string) => client.post('/v1/auth/resend-verification', { body: { email } })
      await mailTo(someone.email, verifySubject)
      service.clock.pass({ seconds: 1 })

      const known = await resend(someone.email)
      const token = tokenIn(await mailTo(someone.email, verifySubject, 2))
      expect((await verify(token)).status).to.equal(200)
      const confirmed = await resend(someone.email)
      const unknown = await resend(uniqueEmail())

      for (const answer of [known, confirmed, unknown]) expect(answer.status).to.equal(202)
      expect(confirmed.body).to.deep.equal(known.body)
      expect(unknown.body).to.deep.equal(known.body)
      await aResetToken(await aPerson(client))
      expect(smtp.mailsTo(someone.email)).to.have.length(2)
    })

    const changeEmail = (someone: Someone, email: string, current_password?: string) =>
      client.call('PATCH', '/v1/me', {
        token: someone.tokens.access_token,
        body: { email, ...(current_password !== undefined && { current_password }) },
      })

    it('changes when the new one confirms; the old one is told, sessions stay, links are void', async () => {
      const someone = await aPerson(client)
      const resetToken = await aResetToken(someone)
      const email = uniqueEmail()

      const pending = await changeEmail(someone, email.toUpperCase(), password)
      expect(pending.body).to.include({ email: someone.email, pending_email: email })
      expect(await logInStatus(someone, password)).to.equal(200)
      const answer = await verify(tokenIn(await mailTo(email, /./)))

      expect(answer.body).to.include({ email, email_verified: true, pending_email: null })
      expect(await logInStatus({ email }, password)).to.equal(200)
      expect(await logInStatus(someone, password)).to.equal(401)
      expect((await client.me(someone.tokens.access_token)).body.email).to.equal(email)
      expectProblem(await reset(resetToken, newPassword), 400, 'invalid-reset-token')
      await mailTo(someone.email, /changed/i)
    })

    it('changes by the password only, and to one that is free only', async () => {
      const someone = await aPerson(client)
      const other = await aPerson(client)

      const without = await changeEmail(someone, uniqueEmail())
      expectProblem(without, 400, 'validation-failed')
      expect(pointersOf(without)).to.deep.equal(['/current_password'])
      expectProblem(await changeEmail(someone, uniqueEmail(), 'not the password'), 403, 'wrong-password')
      expectProblem(await changeEmail(someone, other.email, password), 409, 'email-taken')
      expect((await client.me(someone.tokens.access_token)).body.pending_email).to.equal(null)
    })

    it('is never confirmed by the link of another one that was wanted at the same time', async () => {
      const someone = await aPerson(client)
      const [first, second] = [uniqueEmail(), uniqueEmail()]
      await Promise.all([changeEmail(someone, first, password), changeEmail(someone, second, password)])
      const { pending_email: pending } = (await client.me(someone.tokens.access_token)).body
      const other = pending === first ? second : first

      expect((await verify(tokenIn(await mailTo(pending, /./)))).body).to.include({ email: pending })

      for (const mail of smtp.mailsTo(other)) expectProblem(await verify(tokenIn(mail)), 400, 'invalid-token-link')
      expect((await client.me(someone.tokens.access_token)).body.email).to.equal(pending)
    })
  })

  describe('a notice', () => {
    it('tells the owner once when a spent refresh token comes back', async () => {
      const someone = await aPerson(client)
      await client.refresh(someone.tokens.refresh_token)
      service.clock.pass({ seconds: 31 })

      for (let i = 0; i < 3; i++) expect((await client.refresh(someone.tokens.refresh_token)).status).to.equal(401)

      await mailTo(someone.email, /sign(ed)?[ -](in|out)|session|token/i)
      await aResetToken(await aPerson(client))
      expect(smtp.mailsTo(someone.email).filter(({ subject }) => !verifySubject.test(subject))).to.have.length(1)
    })

    it('tells the owner of a login from a new device, once, unless they switched it off', async () => {
      const someone = await aPerson(client)
      const from = (agent: string) => client.login({ email: someone.email, password }, { 'user-agent': agent })
      const notices = () => smtp.mailsTo(someone.email).filter(({ subject }) => !verifySubject.test(subject))

      await from('Ferret/1.0')
      await mailTo(someone.email, /new|device/i)
      await from('Ferret/1.0')
      const body = { sign_in_notices: false }
      const changed = await client.call('PATCH', '/v1/me', { token: someone.tokens.access_token, body })
      expect(changed.body.sign_in_notices).to.equal(false)
      await from('Weasel/2.0')

      await aResetToken(await aPerson(client))
      expect(notices()).to.have.length(1)
    })
  })

  describe('an account', () => {
    it('is deleted by its password, with everything that belongs to it', async () => {
      const someone = await aPerson(client)
      const other = await aSession(client, someone)
      const remove = (current_password: string) =>
        client.call('DELETE', '/v1/me', { token: someone.tokens.access_token, body: { current_password } })
      expectProblem(await remove('not the password'), 403, 'wrong-password')

      expect((await remove(password)).status).to.equal(204)

      for (const { access_token, refresh_token } of [someone.tokens, other]) {
        expect((await client.me(access_token)).status).to.equal(401)
        expect((await client.refresh(refresh_token)).status).to.equal(401)
      }
      expect(await logInStatus(someone, password)).to.equal(401)
      expect((await client.register({ email: someone.email, password })).status).to.equal(201)
    })
  })

  describe('where addresses must be confirmed', () => {
    let strict: TestService
    before(async () => {
      strict = await startService({ ...env, REQUIRE_VERIFIED_EMAIL: 'true' })
      await untilReady(strict)
    })
    after(() => strict.close())

    it('registering tells nobody whether an address is taken, but its owner', async () => {
      const email = uniqueEmail()
      const first = await strict.client.register({ email, password })
      const second = await strict.client.register({ email, password: newPassword })

      expect([first.status, second.status]).to.deep.equal([202, 202])
      expect(second.body).to.deep.equal(first.body)
      await mailTo(email, verifySubject)
      await mailTo(email, /already have an account/)
      expect((await strict.client.login({ email, password: newPassword })).status).to.equal(401)
    })

    it('nobody logs in before, and only the right password learns why', async () => {
      const email = uniqueEmail()
      await strict.client.register({ email, password })

      expectProblem(await strict.client.login({ email, password: newPassword }), 401, 'invalid-credentials')
      expectProblem(await strict.client.login({ email, password }), 403, 'email-unverified')
      await verify(tokenIn(await mailTo(email, verifySubject)))
      expect((await strict.client.login({ email, password })).status).to.equal(200)
    })
  })
})
