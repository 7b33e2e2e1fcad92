import { expect } from 'chai'
import { consequences, type AccountEvent } from '../../src/accounts/consequences.ts'
import { firstAdmin } from '../support/admins.ts'
import { expectProblem, type Answer, type ApiClient, type Tokens } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { readMails, subjects, tokenIn } from '../support/mailbox.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-stores.ts'
import { aPerson, aSession, password, uniqueEmail, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'
import { startSmtp, type SmtpSink } from '../support/smtp.ts'

/** Somebody with two sessions, and with a link of each kind in their mails. */
interface Scene {
  someone: Someone
  other: Tokens
  resetToken: string
  verificationToken: string
}

/** What is left of a scene after an event; `newPair` is what this session was given by it. */
interface Left {
  thisSession: { access: Answer; refresh: Answer }
  newPair: { access: Answer; sessionId: string } | null
  otherSession: { access: Answer; refresh: Answer }
  notices: string[]
  verification: Answer
  reset: Answer
}

describe('what ends what', function () {
  this.timeout(40_000)
  let smtp: SmtpSink
  let postgres: OwnPostgres
  let service: TestService
  let capped: TestService
  let client: ApiClient
  let admin: Someone
  before(async () => {
    smtp = await startSmtp()
    postgres = await ownPostgres()
    const env = { ...smtp.env, DATABASE_URL: postgres.url }
    service = await startService(env)
    client = service.client
    capped = await startService({ ...env, SETTING_SESSIONS_PER_USER_MAX: '2' }, { clock: service.clock })
    for (const { client: asked } of [service, capped])
      await eventually(async () => expect((await asked.get('/health/ready')).status).to.equal(200), 20_000)
    admin = await firstAdmin(client, { DATABASE_URL: postgres.url })
  })
  after(async () => {
    await service.close()
    await capped.close()
    await smtp.stop()
    await postgres.discard()
  })

  const asAdmin = () => ({ token: admin.tokens.access_token })
  const reset = (token: string) =>
    client.post('/v1/auth/reset-password', { body: { token, new_password: 'a quite different sentence' } })
  const verify = (token: string) => client.post('/v1/auth/verify-email', { body: { token } })

  /** How each event is made to happen; what is returned are the tokens of this session, where they are not those it had. */
  const doors: Record<AccountEvent, (scene: Scene) => Promise<{ became?: Tokens; newPair?: Tokens } | void>> = {
    async logout({ someone: { tokens } }) {
      expect((await client.logout(tokens.access_token)).status).to.equal(204)
    },
    async 'logout-all'({ someone: { tokens } }) {
      expect((await client.logoutAll(tokens.access_token)).body).to.deep.equal({ revoked: 2 })
    },
    async 'revoke-one'({ someone: { tokens } }) {
      const path = `/v1/sessions/${tokens.session.id}`
      expect((await client.call('DELETE', path, { token: tokens.access_token })).status).to.equal(204)
    },
    async 'revoke-others'({ someone: { tokens } }) {
      const answer = await client.post('/v1/sessions/revoke-others', { token: tokens.access_token })
      expect(answer.body).to.deep.equal({ revoked: 1 })
    },
    async 'revoke-all'({ someone: { id } }) {
      const answer = await client.call('DELETE', `/v1/admin/users/${id}/sessions`, asAdmin())
      expect(answer.body).to.deep.equal({ revoked: 2 })
    },
    async disable({ someone: { id } }) {
      const answer = await client.post(`/v1/admin/users/${id}/disable`, asAdmin())
      expect(answer.body.disabled_at).to.be.a('string')
    },
    async 'role-change'({ someone: { id } }) {
      const answer = await client.call('PATCH', `/v1/admin/users/${id}`, { ...asAdmin(), body: { role: 'admin' } })
      expect(answer.body.role).to.equal('admin')
    },
    async 'new-tokens'({ someone: { tokens } }) {
      const answer = await client.post('/v1/auth/tokens', { token: tokens.access_token })
      expect(answer.status).to.equal(200)
      return { newPair: answer.body as Tokens }
    },
    async 'password-change'({ someone: { tokens } }) {
      const body = { current_password: password, new_password: 'a quite different sentence' }
      const answer = await client.post('/v1/me/password', { token: tokens.access_token, body })
      expect(answer.status).to.equal(200)
      return { newPair: answer.body as Tokens }
    },
    async 'password-reset'({ resetToken }) {
      expect((await reset(resetToken)).status).to.equal(204)
    },
    async 'email-change'({ someone: { tokens } }) {
      const email = uniqueEmail()
      const body = { email, current_password: password }
      await client.call('PATCH', '/v1/me', { token: tokens.access_token, body })
      const token = tokenIn(await readMails(smtp).mailTo(email, subjects.newAddress))
      expect((await verify(token)).body).to.include({ email })
    },
    async delete({ someone: { tokens } }) {
      const body = { current_password: password }
      expect((await client.call('DELETE', '/v1/me', { token: tokens.access_token, body })).status).to.equal(204)
    },
    async reuse({ someone: { tokens } }) {
      const became = (await client.refresh(tokens.refresh_token)).body as Tokens
      service.clock.pass({ seconds: 31 })
      expectProblem(await client.refresh(tokens.refresh_token), 401, 'invalid-refresh-token', 'reused')
      return { became }
    },
    async cap({ someone }) {
      service.clock.pass({ seconds: 1 })
      const used = (await client.refresh(someone.tokens.refresh_token)).body as Tokens
      const became = await aSession(capped.client, someone)
      expect((await client.me(used.access_token)).status).to.equal(200)
      return { became }
    },
  }

  async function aScene(): Promise<Scene> {
    const someone = await aPerson(client)
    const verificationToken = tokenIn(await readMails(smtp).mailTo(someone.email, subjects.verify))
    const resetToken = await readMails(smtp).aResetToken(client, someone)
    return { someone, other: await aSession(client, someone), resetToken, verificationToken }
  }

  const useOf = async ({ access_token, refresh_token }: Tokens) => ({
    access: await client.me(access_token),
    refresh: await client.refresh(refresh_token),
  })

  /** The links are tried last: using one has consequences of its own. */
  async function whatIsLeft(event: keyof typeof doors): Promise<Left> {
    const scene = await aScene()
    const { became = scene.someone.tokens, newPair } = (await doors[event](scene)) ?? {}
    // When somebody else's later mail has come, one about this would have come, too.
    await readMails(smtp).aResetToken(client, await aPerson(client))
    const asked = [subjects.verify, subjects.reset]
    const notices = smtp.mailsTo(scene.someone.email).map(({ subject }) => subject)
    return {
      newPair: newPair
        ? {
            access: await client.me(newPair.access_token),
            sessionId: newPair.session.id === became.session.id ? 'same' : '',
          }
        : null,
      thisSession: await useOf(became),
      otherSession: await useOf(scene.other),
      notices: notices.filter((subject) => !asked.some((known) => known.test(subject))),
      verification: await verify(scene.verificationToken),
      reset: await reset(scene.resetToken),
    }
  }

  function expectEnded({ access, refresh }: { access: Answer; refresh: Answer }, reason: string | null) {
    expectProblem(access, 401, 'invalid-token', reason ?? undefined)
    expectProblem(refresh, 401, 'invalid-refresh-token', reason === 'reused' ? 'reused' : 'ended')
  }
  function expectOpen({ access, refresh }: { access: Answer; refresh: Answer }) {
    expect([access.status, refresh.status]).to.deep.equal([200, 200])
  }

  const subjectOf = {
    'password-changed': /password .* was changed/,
    'password-reset': /password .* was reset/,
    'email-changed': /e-mail address .* was changed/,
    'refresh-token-reused': /^You were signed out of a device at .* for safety$/,
  }

  for (const event of Object.keys(doors) as (keyof typeof doors)[]) {
    const { thisSession, otherSessions, oneTimeTokens, notice, reason } = consequences[event]
    const links = { void: 'is void', stay: 'stays usable' }[oneTimeTokens]
    describe(`by ${event}`, () => {
      let left: Left
      before(async () => {
        left = await whatIsLeft(event)
      })

      it(`this session ${thisSession === 'new-pair' ? 'goes on with a new pair' : thisSession}`, () => {
        if (thisSession === 'ends') expectEnded(left.thisSession, reason)
        if (thisSession === 'stays') expectOpen(left.thisSession)
        if (thisSession === 'new-pair') {
          expectProblem(left.thisSession.access, 401, 'invalid-token', 'expired')
          expect(left.newPair?.access.status).to.equal(200)
          expect(left.newPair?.sessionId).to.equal('same')
        }
      })

      it(`another session ${{ end: 'ends', stay: 'stays', 'longest-unused-ends': 'ends, as the one unused for longest' }[otherSessions]}`, () => {
        if (otherSessions === 'stay') expectOpen(left.otherSession)
        else expectEnded(left.otherSession, reason)
      })

      it(`a link to reset the password ${links}`, () => {
        if (oneTimeTokens === 'stay') expect(left.reset.status).to.equal(204)
        else expectProblem(left.reset, 400, 'invalid-reset-token')
      })

      it(`a link to confirm the address ${links}`, () => {
        if (oneTimeTokens === 'stay') expect(left.verification.status).to.equal(200)
        else expectProblem(left.verification, 400, 'invalid-token-link')
      })

      it(`the owner gets ${notice ? `the mail ${notice}` : 'no mail'}`, () => {
        expect(left.notices).to.have.length(notice ? 1 : 0)
        if (notice) expect(left.notices[0]).to.match(subjectOf[notice])
      })
    })
  }
})
