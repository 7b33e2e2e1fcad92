import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { ApiClient, Tokens } from '../support/client.ts'
import { basicOf } from '../support/command-line.ts'
import { movableClock } from '../support/clock.ts'
import { eventually } from '../support/eventually.ts'
import { expectStatus, note, untilReadyIs } from '../support/faults.ts'
import { readMails } from '../support/mailbox.ts'
import { ownPostgres, ownRedis, type OwnPostgres, type OwnRedis } from '../support/own-stores.ts'
import { aPerson, aSession, password } from '../support/people.ts'
import { gateway, introspect } from '../support/requests.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

const accessLifeSeconds = 900
const another = 'a quite different sentence'

for (const minutes of [5, -5])
  describe(`F46 an instance whose clock is ${Math.abs(minutes)} minutes ${minutes > 0 ? 'ahead' : 'behind'}`, function () {
    this.timeout(30_000)

    let redis: OwnRedis
    let postgres: OwnPostgres
    let smtp: SmtpSink
    let services: TestService[]
    /** The one whose clock is right, and the other. */
    let right: ApiClient
    let wrong: ApiClient
    let authorization: string
    before(async () => {
      ;[redis, postgres, smtp] = await Promise.all([ownRedis(), ownPostgres(), startSmtp()])
      const env = { ...smtp.env, REDIS_URL: redis.url, DATABASE_URL: postgres.url }
      const clock = movableClock(Date.now() + minutes * 60_000)
      services = [await startService(env), await startService(env, { clock })]
      ;[right, wrong] = services.map(({ client }) => client) as [ApiClient, ApiClient]
      await Promise.all([untilReadyIs(200, right), untilReadyIs(200, wrong)])
      const admin = await aPerson(right)
      await postgres.database('users').where({ id: admin.id }).update({ role: 'admin' })
      const made = await right.post('/v1/admin/service-clients', {
        token: admin.tokens.access_token,
        body: { name: 'orders' },
      })
      authorization = basicOf(made.body.id as string, made.body.secret as string)
      await eventually(async () =>
        expect((await introspect(wrong, { authorization }, admin.tokens)).status).to.equal(200),
      )
    })
    after(async () => {
      await Promise.all(services.map((service) => service.close()))
      await smtp.stop()
      await postgres.discard()
      await redis.discard()
    })

    async function expectAlive(tokens: Tokens): Promise<void> {
      expect(tokens['expires_in']).to.be.within(1, accessLifeSeconds)
      for (const at of [right, wrong]) {
        await expectStatus(at.me(tokens.access_token), 200)
        await expectStatus(gateway(at, tokens), 200)
        const { body } = await introspect(at, { authorization }, tokens)
        expect(body.active).to.equal(true)
        expect(body.exp - body.iat).to.equal(accessLifeSeconds)
      }
    }

    async function expectDead(tokens: Tokens): Promise<void> {
      for (const at of [right, wrong]) {
        await expectStatus(at.me(tokens.access_token), 401)
        await expectStatus(gateway(at, tokens), 401)
        expect((await introspect(at, { authorization }, tokens)).body).to.deep.equal({ active: false })
        await expectStatus(at.refresh(tokens.refresh_token), 401)
      }
    }

    it('gives and takes tokens like the other, over logins and refreshes', async () => {
      for (const [here, there] of [
        [right, wrong],
        [wrong, right],
      ] as const) {
        const someone = await aPerson(here)
        await expectAlive(someone.tokens)
        const fresh = (await expectStatus(there.refresh(someone.tokens.refresh_token), 200)).body as Tokens
        await expectAlive(fresh)
        await expectAlive((await expectStatus(here.refresh(fresh.refresh_token), 200)).body as Tokens)
        await expectAlive(await aSession(there, someone))
      }
      const operator = redis.operator()
      for (const key of await operator.keys('*')) expect(await operator.pttl(key), key).to.be.above(0)
      note(`F46 clock ${minutes} minutes off`, 'tokens of either instance work at both')
    })

    it('ends at both what either ends, and both let in again', async () => {
      for (const [here, there] of [
        [right, wrong],
        [wrong, right],
      ] as const) {
        const someone = await aPerson(here)
        const other = await aSession(there, someone)
        await expectStatus(there.logout(someone.tokens.access_token), 204)
        await expectDead(someone.tokens)
        await expectStatus(here.logoutAll(other.access_token), 200)
        await expectDead(other)
        await expectAlive(await aSession(there, someone))
        await expectAlive(await aSession(here, someone))
      }
    })

    it('sends and takes the links of mails like the other, and knows the new password', async () => {
      for (const [here, there] of [
        [right, wrong],
        [wrong, right],
      ] as const) {
        const someone = await aPerson(here)
        const token = await readMails(smtp).aResetToken(here, someone)
        await expectStatus(there.post('/v1/auth/reset-password', { body: { token, new_password: another } }), 204)
        await expectDead(someone.tokens)
        await expectStatus(here.login({ email: someone.email, password }), 401)
        const pair = (await expectStatus(here.login({ email: someone.email, password: another }), 200)).body as Tokens
        const body = { current_password: another, new_password: password }
        const changed = await expectStatus(there.post('/v1/me/password', { token: pair.access_token, body }), 200)
        for (const at of [right, wrong]) await expectStatus(at.me(pair.access_token), 401)
        await expectAlive(changed.body as Tokens)
      }
    })

    it('tells of a person what was changed last, wherever that was', async () => {
      const { tokens } = await aPerson(right)
      for (const at of [wrong, right, wrong, right]) {
        const username = `u.${randomUUID().slice(0, 8)}`
        await expectStatus(at.call('PATCH', '/v1/me', { token: tokens.access_token, body: { username } }), 200)
        for (const asked of [right, wrong])
          expect((await gateway(asked, tokens)).headers.get('x-auth-username')).to.equal(username)
      }
    })
  })
