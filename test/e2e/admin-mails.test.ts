import { expect } from 'chai'
import { firstAdmin } from '../support/admins.ts'
import { expectProblem, type ApiClient } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { readMails, subjects, tokenIn } from '../support/mailbox.ts'
import { aPerson, password, uniqueEmail, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'
import { ownDatabase } from '../support/stores.ts'

const choose = /^Choose a password/

describe('the mails that admins cause', function () {
  this.timeout(30_000)
  let smtp: SmtpSink
  let database: Awaited<ReturnType<typeof ownDatabase>>
  let service: TestService
  let client: ApiClient
  let admin: Someone
  before(async () => {
    smtp = await startSmtp()
    database = await ownDatabase()
    service = await startService({
      ...smtp.env,
      DATABASE_URL: database.url,
      REQUIRE_VERIFIED_EMAIL: 'false',
      SETTING_MAILS_PER_PERSON_MAX: '1',
    })
    client = service.client
    await eventually(async () => expect((await client.get('/health/ready')).status).to.equal(200), 20_000)
    admin = await firstAdmin(client, { DATABASE_URL: database.url })
  })
  after(async () => {
    await service.close()
    await smtp.stop()
    await database.drop()
  })

  const asAdmin = (method: string, path: string, body?: unknown) =>
    client.call(method, `/v1/admin${path}`, {
      token: admin.tokens.access_token,
      ...(body !== undefined && { body }),
    })
  const reset = (token: string, text: string) =>
    client.post('/v1/auth/reset-password', { body: { token, new_password: text } })

  it('let the owner of a new account choose its password, which confirms the address', async () => {
    const email = uniqueEmail()
    const { body } = await asAdmin('POST', '/users', { email })
    const token = tokenIn(await readMails(smtp).mailTo(email, choose))

    expect((await reset(token, password)).status).to.equal(204)

    const login = await client.login({ email, password })
    expect(login.status).to.equal(200)
    expect(login.body.user).to.include({ id: body.id, email_verified: true })
    expectProblem(await reset(token, 'a quite different sentence'), 400, 'invalid-reset-token')
    expect(smtp.mailsTo(email).filter(({ subject }) => choose.test(subject))).to.have.length(1)
  })

  it('have links that work for 24 hours for a new account, and for 30 minutes for a forgotten password', async () => {
    const [fresh, late] = [uniqueEmail(), uniqueEmail()]
    for (const email of [fresh, late]) await asAdmin('POST', '/users', { email })
    const tokens = [
      tokenIn(await readMails(smtp).mailTo(fresh, choose)),
      tokenIn(await readMails(smtp).mailTo(late, choose)),
    ]
    const someone = await aPerson(client)
    await asAdmin('POST', `/users/${someone.id}/password-reset`)
    const resetToken = tokenIn(await readMails(smtp).mailTo(someone.email, subjects.reset))

    service.clock.pass({ minutes: 31 })
    expectProblem(await reset(resetToken, 'a quite different sentence'), 400, 'invalid-reset-token')
    service.clock.pass({ hours: 23 })
    expect((await reset(tokens[0]!, password)).status).to.equal(204)
    service.clock.pass({ hours: 1 })
    expectProblem(await reset(tokens[1]!, password), 400, 'invalid-reset-token')

    admin.tokens = (await client.login({ email: admin.email, password })).body
  })

  it('reach a person who has got as many as anybody can ask for, and do not change the password by themselves', async () => {
    const someone = await aPerson(client)
    const ask = () => client.post('/v1/auth/forgot-password', { body: { email: someone.email } })
    for (let i = 0; i < 3; i++) expect((await ask()).status).to.equal(202)

    const answer = await asAdmin('POST', `/users/${someone.id}/password-reset`)

    expect(answer.status).to.equal(202)
    const token = tokenIn(await readMails(smtp).mailTo(someone.email, subjects.reset, 2))
    expect(smtp.mailsTo(someone.email).filter(({ subject }) => subjects.reset.test(subject))).to.have.length(2)
    expect((await client.login({ email: someone.email, password })).status).to.equal(200)
    expect((await client.me(someone.tokens.access_token)).status).to.equal(200)
    expect((await reset(token, 'a quite different sentence')).status).to.equal(204)
    expectProblem(await client.me(someone.tokens.access_token), 401, 'invalid-token', 'password-reset')
  })

  it('do not reach a disabled account, and what was sent before is void', async () => {
    const email = uniqueEmail()
    const { id } = (await asAdmin('POST', '/users', { email })).body
    const token = tokenIn(await readMails(smtp).mailTo(email, choose))
    await asAdmin('POST', `/users/${id}/disable`)
    await asAdmin('POST', `/users/${id}/password-reset`)
    // When somebody else's later mail has come, one to them would have come, too.
    const other = await aPerson(client)
    await asAdmin('POST', `/users/${other.id}/password-reset`)
    await readMails(smtp).mailTo(other.email, subjects.reset)

    expect(smtp.mailsTo(email)).to.have.length(1)
    expectProblem(await reset(token, password), 400, 'invalid-reset-token')
  })
})
