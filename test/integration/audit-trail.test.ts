import { expect } from 'chai'
import type { Caller, SignedIn } from '../../src/accounts/index.ts'
import type { AuditRecord } from '../../src/audit/index.ts'
import { openAccounts, operator, refusalOf, type AccountsRoom } from '../support/accounts.ts'
import { password, uniqueEmail } from '../support/people.ts'

const hourMs = 3_600_000
const client = { address: '192.0.2.7', userAgent: 'a browser' }
const otherClient = { address: '198.51.100.9', userAgent: 'another' }

describe('the audit trail of an account', () => {
  let room: AccountsRoom
  let someone: SignedIn
  let caller: Caller
  before(async () => {
    room = await openAccounts()
  })
  after(() => room.close())
  beforeEach(async () => {
    someone = (await room.accounts.register({ email: uniqueEmail(), password, client }))!
    caller = { userId: someone.person.id, sessionId: someone.session.id, client }
  })

  /** What was kept of the account, oldest first, besides its registration. */
  async function trail(): Promise<AuditRecord[]> {
    const { items } = await room.audit.list({ userId: someone.person.id })
    const [first, ...rest] = items.toReversed()
    expect(first).to.include({ event: 'account.registered' })
    return rest
  }
  const brief = ({ event, actor, sessionId, detail }: AuditRecord) => ({ event, actor, sessionId, detail })
  const owner = () => ({ kind: 'person', id: someone.person.id, ...client })
  const stranger = (from = client) => ({ kind: 'stranger', id: null, ...from })

  async function logIn(text = password, from = otherClient): Promise<SignedIn> {
    const identifier = { kind: 'email', text: someone.person.email } as const
    return room.accounts.logIn({ identifier, password: text, client: from })
  }

  it('tells a login that succeeded, and from where', async () => {
    const { session } = await logIn()

    expect((await trail()).map(brief)).to.deep.equal([
      {
        event: 'login.succeeded',
        actor: { kind: 'person', id: someone.person.id, ...otherClient },
        sessionId: session.id,
        detail: {},
      },
    ])
  })

  it('tells a login that failed, and why', async () => {
    await refusalOf(logIn('not the password'))
    await room.accounts.administration.disable(someone.person.id, operator)
    await refusalOf(logIn())

    expect((await trail()).map(brief)).to.deep.equal([
      { event: 'login.failed', actor: stranger(otherClient), sessionId: null, detail: { reason: 'wrong-password' } },
      { event: 'account.disabled', actor: operator, sessionId: null, detail: {} },
      { event: 'login.failed', actor: stranger(otherClient), sessionId: null, detail: { reason: 'disabled' } },
    ])
  })

  it('tells a login with a name that nobody has, and not the name', async () => {
    const marked = { address: '203.0.113.77', userAgent: uniqueEmail() }
    const identifier = { kind: 'email', text: uniqueEmail() } as const
    await refusalOf(room.accounts.logIn({ identifier, password, client: marked }))

    const { items } = await room.audit.list({ event: 'login.failed' })
    const kept = items.filter(({ actor }) => actor.userAgent === marked.userAgent)
    expect(kept.map(({ userId, detail }) => ({ userId, detail }))).to.deep.equal([
      { userId: null, detail: { reason: 'unknown-account' } },
    ])
    expect(JSON.stringify(kept)).not.to.contain(identifier.text)
  })

  it('tells each ending once, however often it is asked for', async () => {
    const other = await logIn()
    await room.accounts.revoke(caller, other.session.id)
    await room.accounts.logOut(caller)
    await room.accounts.logOut(caller)
    await room.accounts.logOutByRefreshToken(someone.pair.refreshToken, client)

    expect((await trail()).slice(1).map(brief)).to.deep.equal([
      { event: 'session.ended', actor: owner(), sessionId: other.session.id, detail: { reason: 'revoked' } },
      { event: 'session.ended', actor: owner(), sessionId: caller.sessionId, detail: { reason: 'logged-out' } },
    ])
  })

  it('tells a logout everywhere', async () => {
    await room.accounts.logOutEverywhere(caller)

    expect((await trail()).map(brief)).to.deep.equal([
      { event: 'sessions.ended', actor: owner(), sessionId: null, detail: { reason: 'logged-out-everywhere' } },
    ])
  })

  it('tells the reuse of a refresh token, by nobody who could be trusted', async () => {
    await room.accounts.refresh(someone.pair.refreshToken, client)
    room.clock.pass({ minutes: 1 })
    await refusalOf(room.accounts.refresh(someone.pair.refreshToken, otherClient))
    await refusalOf(room.accounts.refresh(someone.pair.refreshToken, otherClient))

    const sessionId = caller.sessionId
    expect((await trail()).map(brief)).to.deep.equal([
      { event: 'session.ended', actor: stranger(otherClient), sessionId, detail: { reason: 'reused' } },
      { event: 'session.refresh_reused', actor: stranger(otherClient), sessionId, detail: {} },
    ])
  })

  it('tells the session that had to make room', async () => {
    const small = room.accountsWith({ sessions: room.sessionsWith({ perUserMax: 1 }) })
    const identifier = { kind: 'email', text: someone.person.email } as const
    await small.logIn({ identifier, password, client })

    expect((await trail()).map(brief)[0]).to.deep.equal({
      event: 'session.ended',
      actor: { kind: 'service', id: null, address: null, userAgent: null },
      sessionId: caller.sessionId,
      detail: { reason: 'evicted' },
    })
  })

  it('tells changes of the password, asked for, proven wrong, and made', async () => {
    const next = 'another horse battery staple'
    await refusalOf(room.accounts.changePassword(caller, { currentPassword: 'wrong', newPassword: next }))
    await room.accounts.changePassword(caller, { currentPassword: password, newPassword: next })
    await room.accounts.forgotPassword(someone.person.email, otherClient)
    const mail = { id: caller.sessionId, userId: caller.userId, address: someone.person.email }
    const token = await room.accounts.mintResetToken({ ...mail, queuedAt: new Date(room.clock.now()) }, hourMs)
    await room.accounts.resetPassword(token!, password, otherClient)

    expect((await trail()).map(brief)).to.deep.equal([
      { event: 'password.proof_failed', actor: owner(), sessionId: null, detail: {} },
      { event: 'password.changed', actor: owner(), sessionId: caller.sessionId, detail: {} },
      { event: 'password.reset_requested', actor: stranger(otherClient), sessionId: null, detail: {} },
      { event: 'password.reset', actor: { ...owner(), ...otherClient }, sessionId: null, detail: {} },
    ])
  })

  it('tells changes of the address and the profile, and not what they were', async () => {
    const address = uniqueEmail()
    await room.accounts.change(caller, { name: 'Ada', signInNotices: false })
    await room.accounts.change(caller, { email: address, currentPassword: password })
    const mail = { id: caller.sessionId, userId: caller.userId, queuedAt: new Date(room.clock.now()) }
    const token = await room.accounts.mintVerificationToken({ ...mail, address }, hourMs)
    await room.accounts.verifyEmail(token!, client)

    const kept = (await trail()).map(brief)
    expect(kept).to.deep.equal([
      { event: 'account.changed', actor: owner(), sessionId: null, detail: { members: ['name', 'sign_in_notices'] } },
      { event: 'email.change_requested', actor: owner(), sessionId: null, detail: {} },
      { event: 'email.changed', actor: owner(), sessionId: null, detail: {} },
    ])
    expect(JSON.stringify(kept)).not.to.contain(address)
  })

  it('tells what others do to the account, and outlives it', async () => {
    await room.accounts.administration.edit(caller.userId, { role: 'admin' }, operator)
    await room.accounts.administration.edit(caller.userId, { role: 'user' }, operator)
    await room.accounts.remove(caller, password)

    expect((await trail()).map(brief)).to.deep.equal([
      { event: 'role.changed', actor: operator, sessionId: null, detail: { from: 'user', to: 'admin' } },
      { event: 'role.changed', actor: operator, sessionId: null, detail: { from: 'admin', to: 'user' } },
      { event: 'account.deleted', actor: owner(), sessionId: null, detail: {} },
    ])
  })

  it('has nothing of a change that was taken back', async () => {
    const taken = (await room.aPerson()).person
    await room.accounts.change({ ...caller, userId: taken.id }, { username: `u${caller.userId.slice(0, 8)}` })

    const refused = await refusalOf(room.accounts.change(caller, { username: `U${caller.userId.slice(0, 8)}` }))

    expect(refused).to.include({ code: 'username-taken' })
    expect(await trail()).to.deep.equal([])
  })
})
