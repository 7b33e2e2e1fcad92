import { expect } from 'chai'
import fc from 'fast-check'
import type { Answer, ApiClient, Tokens } from '../support/client.ts'
import { aPerson, password, type Someone } from '../support/people.ts'
import { startService, type TestService } from '../support/service.ts'

/**
 * What a person's sessions are, told in the plainest way: no store, no digests, one list. Whatever is done to the real
 * service in whatever order, its answers must be those of this list.
 */

const second = 1000
const minute = 60 * second
const day = 24 * 60 * minute
const lives = { accessMs: 15 * minute, idleMs: 7 * day, absoluteMs: 30 * day, graceMs: 30 * second }

interface Pair {
  access: string
  refresh: string
}

interface ModelSession {
  id: string
  live: Pair
  previous: Pair | null
  spent: Pair[]
  refreshedAt: number
  accessEndsAt: number
  previousAccessEndsAt: number
  endsAt: number
  endedBy: string | null
}

const pairOf = (tokens: Tokens): Pair => ({ access: tokens.access_token, refresh: tokens.refresh_token })

function opened(tokens: Tokens, now: number): ModelSession {
  return {
    id: tokens.session.id,
    live: pairOf(tokens),
    previous: null,
    spent: [],
    refreshedAt: now,
    accessEndsAt: now + lives.accessMs,
    previousAccessEndsAt: 0,
    endsAt: now + lives.absoluteMs,
    endedBy: null,
  }
}

const idleEndOf = (session: ModelSession) => Math.min(session.refreshedAt + lives.idleMs, session.endsAt)
const isOpen = (session: ModelSession, now: number) => session.endedBy === null && now < idleEndOf(session)
const accessEndOf = (session: ModelSession) => Math.min(session.accessEndsAt, idleEndOf(session))

function opens(session: ModelSession, access: string, now: number): boolean {
  if (!isOpen(session, now)) return false
  if (access === session.live.access) return now < accessEndOf(session)
  return access === session.previous?.access && now < session.previousAccessEndsAt
}

function rotate(session: ModelSession, tokens: Tokens, now: number): void {
  if (session.previous) session.spent.push(session.previous)
  session.previousAccessEndsAt = Math.min(accessEndOf(session), now + lives.graceMs)
  session.previous = session.live
  session.live = pairOf(tokens)
  session.refreshedAt = now
  session.accessEndsAt = now + lives.accessMs
}

function replace(session: ModelSession, tokens: Tokens, now: number): void {
  rotate(session, tokens, now)
  session.spent.push(session.previous!)
  session.previous = null
}

const step = fc.record({
  what: fc.constantFrom(
    ...([
      'log in',
      'refresh',
      'refresh with the previous token',
      'refresh with an old token',
      'log out',
      'log out by refresh token',
      'revoke',
      'revoke others',
      'log out everywhere',
      'replace the pair',
      'let time pass',
    ] as const),
  ),
  which: fc.nat(),
  other: fc.nat(),
  instance: fc.boolean(),
  timeMs: fc.constantFrom(10 * second, 31 * second, 16 * minute, 3 * day, 8 * day),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

describe('the sessions of a person', function () {
  this.timeout(120_000)
  let one: TestService
  let two: TestService
  before(async () => {
    one = await startService()
    two = await startService({}, { clock: one.clock })
  })
  after(async () => {
    await one.close()
    await two.close()
  })

  async function take(
    sessions: ModelSession[],
    someone: Someone,
    { what, which, other, instance, timeMs }: Step,
  ): Promise<void> {
    const client: ApiClient = (instance ? one : two).client
    const now = one.clock.now()
    const session = sessions[which % sessions.length]!
    const open = sessions.filter((candidate) => isOpen(candidate, now))
    const allowed = opens(session, session.live.access, now)
    const mayOnlyBe = (answer: Answer, status: number) => expect(answer.status, what).to.equal(allowed ? status : 401)

    switch (what) {
      case 'log in': {
        const { status, body } = await client.login({ email: someone.email, password })
        expect(status).to.equal(200)
        sessions.push(opened(body as Tokens, now))
        return
      }
      case 'refresh': {
        const { status, body } = await client.refresh(session.live.refresh)
        expect(status, what).to.equal(isOpen(session, now) ? 200 : 401)
        if (status === 200) rotate(session, body as Tokens, now)
        return
      }
      case 'refresh with the previous token': {
        if (!session.previous) return
        const inGrace = now < session.refreshedAt + lives.graceMs
        const answer = await client.refresh(session.previous.refresh)
        expect(answer.status, what).to.equal(isOpen(session, now) && inGrace ? 200 : 401)
        if (answer.status === 200) expect(pairOf(answer.body as Tokens)).to.deep.equal(session.live)
        else if (isOpen(session, now)) session.endedBy = 'reused'
        return
      }
      case 'refresh with an old token': {
        const old = session.spent[other % session.spent.length]
        if (!old) return
        expect((await client.refresh(old.refresh)).status, what).to.equal(401)
        if (isOpen(session, now)) session.endedBy = 'reused'
        return
      }
      case 'log out':
        mayOnlyBe(await client.logout(session.live.access), 204)
        if (allowed) session.endedBy = 'logged-out'
        return
      case 'log out by refresh token': {
        const body = { refresh_token: session.live.refresh }
        expect((await client.post('/v1/auth/logout', { body })).status).to.equal(204)
        if (isOpen(session, now)) session.endedBy = 'logged-out'
        return
      }
      case 'revoke': {
        const target = sessions[other % sessions.length]!
        const answer = await client.call('DELETE', `/v1/sessions/${target.id}`, { token: session.live.access })
        expect(answer.status, what).to.equal(!allowed ? 401 : isOpen(target, now) ? 204 : 404)
        if (answer.status === 204) target.endedBy = 'revoked'
        return
      }
      case 'revoke others': {
        const answer = await client.post('/v1/sessions/revoke-others', { token: session.live.access })
        mayOnlyBe(answer, 200)
        if (!allowed) return
        expect(answer.body.revoked).to.equal(open.length - 1)
        for (const each of open) if (each !== session) each.endedBy = 'revoked'
        return
      }
      case 'log out everywhere': {
        const answer = await client.logoutAll(session.live.access)
        mayOnlyBe(answer, 200)
        if (!allowed) return
        expect(answer.body.revoked).to.equal(open.length)
        for (const each of open) each.endedBy = 'logged-out-everywhere'
        return
      }
      case 'replace the pair': {
        const answer = await client.post('/v1/auth/tokens', { token: session.live.access })
        mayOnlyBe(answer, 200)
        if (allowed) replace(session, answer.body as Tokens, now)
        return
      }
      case 'let time pass':
        one.clock.pass({ seconds: timeMs / second })
    }
  }

  /** Every token ever minted must answer as the model says, and the list must be that of the open sessions. */
  async function compare(sessions: ModelSession[]): Promise<void> {
    const now = one.clock.now()
    for (const session of sessions)
      for (const { access, refresh } of [
        session.live,
        ...(session.previous ? [session.previous] : []),
        ...session.spent,
      ]) {
        const answer = await two.client.get('/v1/sessions', access)
        expect(answer.status).to.equal(opens(session, access, now) ? 200 : 401)
        if (answer.status === 200)
          expect(answer.body.items.map(({ id }: { id: string }) => id)).to.have.members(
            sessions.filter((each) => isOpen(each, now)).map(({ id }) => id),
          )
        else if (session.endedBy) expect(answer.body.reason).to.equal(session.endedBy)
        else expect(answer.body.reason).to.be.oneOf(['expired', 'idle'])
        expect((await one.client.me(refresh)).status, 'a refresh token as access token').to.equal(401)
      }
  }

  it('are what a plain list of them would be, whatever is done in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25, size: 'max' }), async (steps) => {
        const someone = await aPerson(one.client)
        const sessions = [opened(someone.tokens, one.clock.now())]
        for (const each of steps) {
          await take(sessions, someone, each)
          await compare(sessions)
        }
      }),
      { numRuns: 40, endOnFailure: false },
    )
  })
})
