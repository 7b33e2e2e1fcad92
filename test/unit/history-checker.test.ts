import { expect } from 'chai'
import type { Asked, Call, Harm, History, Outcome, Token } from '../fault/history/call.ts'
import { check } from '../fault/history/checker.ts'
import { search, type Leave, type Step } from '../fault/history/search.ts'

const graceMs = 2000
const ok: Outcome = { kind: 'ok' }
const unknown: Outcome = { kind: 'unknown', why: '503' }
const dead = (reason: string): Outcome => ({ kind: 'refused', status: 401, code: 'invalid-token', reason })
const noRefresh = (reason: string): Outcome => ({ kind: 'refused', status: 401, code: 'invalid-refresh-token', reason })
const wrongLogin: Outcome = { kind: 'refused', status: 401, code: 'invalid-credentials' }
const gives = (pair: string, more: { isReplayed?: boolean } = {}): Outcome => ({
  kind: 'ok',
  pair,
  session: pair.split('.')[0]!,
  ...more,
})
const access = (pair: string): Token => ({ session: pair.split('.')[0]!, pair, kind: 'access' })
const refreshToken = (pair: string): Token => ({ ...access(pair), kind: 'refresh' })

const logIn = (password = 'old'): Asked => ({ what: 'log in', password })
const me = (pair: string): Asked => ({ what: 'check', at: '/v1/me', token: access(pair) })
const refresh = (pair: string): Asked => ({ what: 'refresh', token: refreshToken(pair) })
const logOut = (pair: string): Asked => ({ what: 'log out', with: 'bearer', token: access(pair) })
const logOutEverywhere = (pair: string): Asked => ({ what: 'log out everywhere', token: access(pair) })
const revokeOthers = (pair: string): Asked => ({ what: 'revoke others', token: access(pair) })
const revoke = (target: string, pair: string): Asked => ({ what: 'revoke', token: access(pair), target })
const reset = (next: string, link = next): Asked => ({ what: 'reset password', link, next })
const change = (pair: string, current: string, next: string): Asked => ({
  what: 'change password',
  token: access(pair),
  current,
  next,
})

type Line = [start: number, end: number, asked: Asked | Harm, outcome?: Outcome]

function historyOf(lines: Line[]): History {
  const calls: Call[] = []
  const history: History = { calls, harms: [], passwords: { ada: 'old' }, graceMs }
  lines.forEach(([start, end, asked, outcome], id) => {
    if (outcome === undefined) history.harms.push({ id, start, end, asked: asked as Harm })
    else calls.push({ id, client: 'c', instance: 'i', person: 'ada', start, end, asked: asked as Asked, outcome })
  })
  return history
}

const counterexamplesOf = (lines: Line[]) => check(historyOf(lines)).counterexamples

const opened: Line = [0, 10, logIn(), gives('s.0')]
const second: Line = [20, 30, logIn(), gives('t.0')]

/** Histories that a service may have, and ones that it may not, in pairs that differ in little. */
const cases: Record<string, { allowed: Line[]; forbidden: Line[] }> = {
  'a token after an acknowledged logout': {
    allowed: [opened, [20, 30, logOut('s.0'), ok], [25, 40, me('s.0'), ok]],
    forbidden: [opened, [20, 30, logOut('s.0'), ok], [31, 40, me('s.0'), ok]],
  },
  'a token that was dead once': {
    allowed: [opened, [20, 50, logOut('s.0'), ok], [25, 30, me('s.0'), ok], [32, 40, me('s.0'), dead('logged-out')]],
    forbidden: [opened, [20, 50, logOut('s.0'), ok], [25, 30, me('s.0'), dead('logged-out')], [32, 40, me('s.0'), ok]],
  },
  'a logout without a verdict': {
    allowed: [
      opened,
      [20, 30, logOut('s.0'), unknown],
      [40, 50, me('s.0'), ok],
      [5000, 5010, me('s.0'), dead('logged-out')],
    ],
    forbidden: [opened, [40, 50, me('s.0'), dead('logged-out')], [60, 70, logOut('s.0'), unknown]],
  },
  'a logout that came too late for what was opened since': {
    allowed: [
      opened,
      [20, 30, logOutEverywhere('s.0'), unknown],
      [40, 50, logIn(), gives('t.0')],
      [60, 70, me('t.0'), dead('revoked')],
    ],
    forbidden: [
      opened,
      [20, 30, logOutEverywhere('s.0'), unknown],
      [40_000, 40_010, logIn(), gives('t.0')],
      [40_020, 40_030, me('t.0'), dead('revoked')],
    ],
  },
  'a session that nobody has ended': {
    allowed: [opened, [20, 30, me('s.0'), ok]],
    forbidden: [opened, [20, 30, me('s.0'), dead('revoked')]],
  },
  'a session that a logout everywhere of another has ended': {
    allowed: [
      opened,
      second,
      [40, 50, logOutEverywhere('t.0'), ok],
      [60, 70, me('s.0'), dead('logged-out-everywhere')],
    ],
    forbidden: [opened, second, [40, 50, logOutEverywhere('t.0'), ok], [60, 70, me('s.0'), ok]],
  },
  'a login under a logout everywhere': {
    allowed: [opened, [40, 60, logOutEverywhere('s.0'), ok], [45, 55, logIn(), gives('t.0')], [70, 80, me('t.0'), ok]],
    forbidden: [
      opened,
      [40, 60, logOutEverywhere('s.0'), ok],
      [30, 35, logIn(), gives('t.0')],
      [70, 80, me('t.0'), ok],
    ],
  },
  'the session that revokes the others': {
    allowed: [
      opened,
      second,
      [40, 50, revokeOthers('t.0'), ok],
      [60, 70, me('t.0'), ok],
      [60, 70, me('s.0'), dead('revoked')],
    ],
    forbidden: [opened, second, [40, 50, revokeOthers('t.0'), ok], [60, 70, me('s.0'), ok]],
  },
  'a session that another one revokes': {
    allowed: [opened, second, [40, 50, revoke('s', 't.0'), ok], [60, 70, me('s.0'), dead('revoked')]],
    forbidden: [opened, second, [40, 50, revoke('s', 't.0'), ok], [60, 70, me('s.0'), ok]],
  },
  'an old access token after a refresh': {
    allowed: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [1500, 1510, me('s.0'), ok],
      [2100, 2110, me('s.0'), dead('expired')],
    ],
    forbidden: [opened, [20, 30, refresh('s.0'), gives('s.1')], [2100, 2110, me('s.0'), ok]],
  },
  'an old access token within the grace window': {
    allowed: [opened, [20, 30, refresh('s.0'), gives('s.1')], [40, 50, me('s.0'), ok]],
    forbidden: [opened, [20, 30, refresh('s.0'), gives('s.1')], [40, 50, me('s.0'), dead('expired')]],
  },
  'the token before the last but one': {
    allowed: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [40, 50, refresh('s.1'), gives('s.2')],
      [60, 70, me('s.0'), dead('expired')],
    ],
    forbidden: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [40, 50, refresh('s.1'), gives('s.2')],
      [60, 70, me('s.0'), ok],
    ],
  },
  'a refresh that is tried again': {
    allowed: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [40, 50, refresh('s.0'), gives('s.1', { isReplayed: true })],
    ],
    forbidden: [opened, [20, 30, refresh('s.0'), gives('s.1')], [40, 50, refresh('s.0'), gives('s.2')]],
  },
  'a refresh without a verdict that is tried again': {
    allowed: [
      opened,
      [20, 30, refresh('s.0'), unknown],
      [40, 50, refresh('s.0'), gives('s.1', { isReplayed: true })],
      [60, 70, me('s.1'), ok],
    ],
    forbidden: [opened, [40, 50, refresh('s.0'), gives('s.1', { isReplayed: true })]],
  },
  'a retry after the successor was used': {
    allowed: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [40, 50, refresh('s.1'), gives('s.2')],
      [60, 70, refresh('s.0'), noRefresh('reused')],
      [80, 90, me('s.2'), dead('reused')],
    ],
    forbidden: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [40, 50, refresh('s.1'), gives('s.2')],
      [60, 70, refresh('s.0'), gives('s.1', { isReplayed: true })],
    ],
  },
  'the pair of a session whose token was reused': {
    allowed: [opened, [20, 30, refresh('s.0'), gives('s.1')], [2100, 2110, refresh('s.0'), noRefresh('reused')]],
    forbidden: [
      opened,
      [20, 30, refresh('s.0'), gives('s.1')],
      [2100, 2110, refresh('s.0'), noRefresh('reused')],
      [2200, 2210, me('s.1'), ok],
    ],
  },
  'a refresh under a logout': {
    allowed: [
      opened,
      [20, 40, logOut('s.0'), ok],
      [25, 35, refresh('s.0'), gives('s.1')],
      [50, 60, me('s.1'), dead('logged-out')],
    ],
    forbidden: [opened, [20, 40, logOut('s.0'), ok], [25, 35, refresh('s.0'), gives('s.1')], [50, 60, me('s.1'), ok]],
  },
  'a login with the old password under a reset': {
    allowed: [
      [0, 100, reset('new'), ok],
      [10, 20, logIn('old'), gives('s.0')],
      [110, 120, me('s.0'), dead('password-reset')],
    ],
    forbidden: [
      [0, 100, reset('new'), ok],
      [10, 20, logIn('old'), gives('s.0')],
      [110, 120, me('s.0'), ok],
    ],
  },
  'a login with the old password after a reset': {
    allowed: [
      [0, 10, reset('new'), ok],
      [20, 30, logIn('old'), wrongLogin],
      [40, 50, logIn('new'), gives('s.0')],
    ],
    forbidden: [
      [0, 10, reset('new'), ok],
      [20, 30, logIn('old'), gives('s.0')],
    ],
  },
  'a reset without a verdict': {
    allowed: [
      [0, 10, reset('new'), unknown],
      [20, 30, logIn('old'), gives('s.0')],
      [40, 50, logIn('new'), gives('t.0')],
    ],
    forbidden: [
      [0, 10, reset('new'), unknown],
      [20, 30, logIn('new'), gives('s.0')],
      [40, 50, logIn('old'), gives('t.0')],
    ],
  },
  'the right password': {
    allowed: [opened, [20, 40, logOutEverywhere('s.0'), ok], [30, 50, logIn('old'), wrongLogin]],
    forbidden: [[0, 10, logIn('old'), wrongLogin]],
  },
  'two changes that name one password': {
    allowed: [
      opened,
      second,
      [40, 60, change('s.0', 'old', 'one'), gives('s.1')],
      [45, 65, change('t.0', 'old', 'two'), dead('password-changed')],
    ],
    forbidden: [
      opened,
      second,
      [40, 60, change('s.0', 'old', 'one'), gives('s.1')],
      [45, 65, change('t.0', 'old', 'two'), gives('t.1')],
    ],
  },
  'the pair that a change of the password replaces': {
    allowed: [
      opened,
      [20, 30, change('s.0', 'old', 'new'), gives('s.1')],
      [40, 50, me('s.0'), dead('expired')],
      [40, 50, me('s.1'), ok],
    ],
    forbidden: [opened, [20, 30, change('s.0', 'old', 'new'), gives('s.1')], [40, 50, me('s.0'), ok]],
  },
  'a link that was used': {
    allowed: [
      [0, 10, reset('new', 'link'), ok],
      [20, 30, reset('newer', 'other'), ok],
    ],
    forbidden: [
      [0, 10, reset('new', 'link'), ok],
      [20, 30, reset('newer', 'link'), ok],
    ],
  },
  'an older copy of Redis': {
    allowed: [
      opened,
      [20, 30, { what: 'copy' }],
      second,
      [40, 50, { what: 'older copy' }],
      [60, 70, me('s.0'), ok],
      [60, 70, me('t.0'), dead('unknown')],
    ],
    forbidden: [
      opened,
      [20, 30, { what: 'copy' }],
      [32, 38, logOut('s.0'), ok],
      [40, 50, { what: 'older copy' }],
      [60, 70, me('s.0'), ok],
    ],
  },
  'an ending without a verdict and an older copy of Redis': {
    allowed: [
      opened,
      [20, 30, { what: 'copy' }],
      [32, 34, logOut('s.0'), unknown],
      [35, 38, me('s.0'), dead('logged-out')],
      [40, 50, { what: 'older copy' }],
      [60, 70, me('s.0'), ok],
    ],
    forbidden: [
      opened,
      [20, 30, { what: 'copy' }],
      [32, 34, logOut('s.0'), unknown],
      [35, 38, logOut('s.0'), dead('logged-out')],
      [40, 50, { what: 'older copy' }],
      [60, 70, me('s.0'), ok],
    ],
  },
  'a pair that an older copy of Redis has forgotten': {
    allowed: [
      opened,
      [12, 14, { what: 'copy' }],
      [15, 18, refresh('s.0'), gives('s.1')],
      [20, 30, { what: 'older copy' }],
      [40, 50, refresh('s.0'), gives('s.2')],
    ],
    forbidden: [
      opened,
      [12, 14, { what: 'copy' }],
      [15, 18, refresh('s.0'), gives('s.1')],
      [20, 30, { what: 'older copy' }],
      [40, 50, me('s.1'), ok],
    ],
  },
  'a pair that was replaced before an older copy of Redis came back': {
    allowed: [
      opened,
      [12, 14, { what: 'copy' }],
      [15, 18, change('s.0', 'old', 'new'), gives('s.1')],
      [20, 30, { what: 'older copy' }],
      [40, 50, me('s.0'), dead('password-changed')],
      [40, 50, me('s.1'), dead('unknown')],
    ],
    forbidden: [
      opened,
      [12, 14, { what: 'copy' }],
      [15, 18, change('s.0', 'old', 'new'), gives('s.1')],
      [20, 30, { what: 'older copy' }],
      [40, 50, me('s.0'), ok],
    ],
  },
  'a logout by a token that Redis had lost': {
    allowed: [
      opened,
      [12, 14, { what: 'copy' }],
      [15, 16, { what: 'flush' }],
      [17, 18, { what: 'log out', with: 'body', token: refreshToken('s.0') }, ok],
      [20, 30, { what: 'older copy' }],
      [40, 50, me('s.0'), ok],
    ],
    forbidden: [
      opened,
      [12, 14, { what: 'copy' }],
      [17, 18, { what: 'log out', with: 'body', token: refreshToken('s.0') }, ok],
      [20, 30, { what: 'older copy' }],
      [40, 50, me('s.0'), ok],
    ],
  },
  'a Redis that was emptied': {
    allowed: [opened, [20, 30, { what: 'flush' }], [40, 50, me('s.0'), dead('unknown')]],
    forbidden: [opened, [20, 30, { what: 'flush' }], [40, 50, me('s.0'), ok]],
  },
}

describe('the checker of histories', () => {
  for (const [about, { allowed, forbidden }] of Object.entries(cases)) {
    it(`allows what may be of ${about}`, () => {
      expect(counterexamplesOf(allowed)).to.deep.equal([])
    })

    it(`finds what may not be of ${about}`, () => {
      expect(counterexamplesOf(forbidden)).to.not.deep.equal([])
    })
  }

  it('tells the few calls that it takes, in the order of time', () => {
    const noise = Array.from({ length: 30 }, (_, i): Line => [11 + i / 10, 11.05 + i / 10, me('s.0'), ok])

    const [told] = counterexamplesOf([
      opened,
      ...noise,
      [20, 30, logOut('s.0'), ok],
      [31, 40, me('s.0'), ok],
      [50, 60, me('s.0'), ok],
    ])

    expect(told!.split('\n').map((line) => line.replace(/^ +/, ''))).to.deep.equal([
      'No order of these calls explains what was told of session s:',
      '0.0 to      10.0 ms  c at i         log in with "old"                            ok s.0',
      '20.0 to      30.0 ms  c at i         log out (bearer) with access of s.0          ok',
      '31.0 to      40.0 ms  c at i         /v1/me with access of s.0                    ok   <- fits no order',
      '(needed of 34 calls; none of 0 unconfirmed ones explains it)',
    ])
  })

  it('counts what it has searched', () => {
    const { searches, explored } = check(historyOf([opened, second]))

    expect(searches).to.equal(3)
    expect(explored).to.be.above(2)
  })
})

describe('the search for an order', () => {
  /** A register of one number. */
  const step = (start: number, end: number, next: Step<number>['next'], observes = false): Step<number> => ({
    call: 0,
    start,
    end,
    observes,
    next,
  })
  const writes = (start: number, end: number, value: number) => step(start, end, () => [value])
  const reads = (start: number, end: number, value: number) =>
    step(start, end, (state) => (state === value ? [state] : []), true)
  const verdictOf = (steps: Step<number>[], leaves: Leave<number>[] = []) =>
    search({ initial: 0, steps, leaves, keyOf: String }).kind

  it('agrees with trying all orders, whatever the history', () => {
    const random = fromSeed(7)
    const [seen, count] = [{ explained: 0, unexplained: 0 }, 3000]
    for (let i = 0; i < count; i++) {
      const steps = Array.from({ length: 5 }, () => {
        const start = Math.floor(random() * 10)
        const end = start + 1 + Math.floor(random() * 5)
        const value = Math.floor(random() * 3)
        return random() < 0.5 ? writes(start, end, value) : reads(start, end, value)
      })

      const verdict = verdictOf(steps)

      expect(verdict).to.equal(someOrderExplains(steps) ? 'explained' : 'unexplained')
      seen[verdict] += 1
    }
    expect(Math.min(seen.explained, seen.unexplained)).to.be.above(count / 10)
  })

  it('lets what may happen once happen once', () => {
    const leave: Leave<number> = { call: 1, start: 0, end: Infinity, once: true, next: () => [5] }
    const back = [reads(10, 20, 5), writes(30, 40, 1), reads(50, 60, 1), reads(70, 80, 5)]

    expect(verdictOf(back.slice(0, 3), [leave])).to.equal('explained')
    expect(verdictOf(back, [leave])).to.equal('unexplained')
    expect(verdictOf(back, [{ ...leave, once: false }])).to.equal('explained')
  })

  it('lets nothing happen before its time or after it', () => {
    const leave: Leave<number> = { call: 1, start: 30, end: 40, once: false, next: () => [5] }

    expect(verdictOf([reads(10, 20, 5)], [leave])).to.equal('unexplained')
    expect(verdictOf([reads(35, 50, 5)], [leave])).to.equal('explained')
    expect(verdictOf([reads(41, 50, 0), reads(60, 70, 5)], [leave])).to.equal('unexplained')
  })

  it('keeps a step behind the one that it comes after', () => {
    const first = reads(0, 20, 1)
    const then = { ...writes(0, 20, 2), after: first }

    expect(verdictOf([writes(0, 20, 1), first, then, reads(30, 40, 2)])).to.equal('explained')
    expect(verdictOf([writes(0, 20, 1), first, then, reads(30, 40, 1)])).to.equal('unexplained')
  })
})

function someOrderExplains(steps: Step<number>[], state = 0): boolean {
  if (steps.length === 0) return true
  const firstEnd = Math.min(...steps.map(({ end }) => end))
  return steps.some(
    (step) =>
      step.start <= firstEnd &&
      step.next(state).some((next) =>
        someOrderExplains(
          steps.filter((other) => other !== step),
          next,
        ),
      ),
  )
}

function fromSeed(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state / 0x8000_0000
  }
}
