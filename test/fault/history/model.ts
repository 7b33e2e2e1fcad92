import type { Call, HarmDone, History, Token } from './call.ts'
import type { Leave, Search, Step } from './search.ts'

/**
 * What a session may be, and what each answer says of it.
 *
 * The state of one person is looked at session by session, each together with the password; so an order has to be found
 * for the calls that touch either. What this leaves open are statements about two sessions at once.
 */
export interface State {
  password: string
  /** `gone`: lost with the content of Redis, which is no ending. */
  phase: 'unborn' | 'open' | 'ended' | 'gone'
  /** Whether its ending was acknowledged, so that it outlives the content of Redis. */
  isForGood: boolean
  /** Its pairs in the order in which they came; the last one is the live one. One that nobody has seen is called `?`. */
  pairs: readonly string[]
  /** The call by which the live pair has come, if it left its predecessor the grace window. */
  rotatedBy: number | null
  /** The pair by which an acknowledged change of the password has replaced all before it. */
  replacedBy: string | null
  copy: Omit<State, 'password' | 'replacedBy' | 'copy'> | null
}

/**
 * Until so long after the answer a call without a verdict may still reach the stores: it waits in a proxy or in the
 * socket of a store that is paused. What has opened later cannot be its victim.
 */
export const lateMs = 10_000
/** The clock of the services counts whole milliseconds, and is not the one that the calls are timed by. */
const clockSlackMs = 20
const unseen = '?'

export function keyOf({ password, phase, isForGood, pairs, rotatedBy, replacedBy, copy }: State): string {
  const copied = copy && [copy.phase, copy.isForGood, copy.pairs, copy.rotatedBy].join()
  return [password, phase, isForGood, pairs, rotatedBy, replacedBy, copied].join(' ')
}

/** A session as it is spoken of in the steps of one search. */
export interface Subject {
  person: string
  /** Null: only the password is looked at. */
  session: string | null
}

interface Parts {
  steps: Step<State>[]
  leaves: Leave<State>[]
}

/**
 * The steps and leaves of all calls that touch a subject.
 *
 * @param isKept of the others nothing is demanded: what they saw is left out, and what they did may have happened or not
 */
export function searchFor(
  history: History,
  { person, session }: Subject,
  isKept: (call: number) => boolean = () => true,
): Search<State> {
  const calls = history.calls.filter((call) => call.person === person)
  const bornAt = calls.find(
    ({ asked, outcome }) => asked.what === 'log in' && isOk(outcome) && outcome.session === session,
  )
  const times = new Map(calls.map((call) => [call.id, call]))
  const rules = rulesFor(history, session, bornAt?.start ?? 0, times)
  const parts: Parts = { steps: [], leaves: [] }
  const add = (id: number, { steps, leaves }: Parts) => {
    parts.leaves.push(...leaves)
    if (isKept(id)) parts.steps.push(...steps)
    else
      for (const { observes, start, next } of steps)
        if (!observes) parts.leaves.push({ call: id, start, end: Infinity, once: false, next })
  }
  for (const call of calls) add(call.id, session === null ? rules.ofPassword(call, calls) : rules.ofSession(call))
  if (session !== null) parts.steps.push(...history.harms.map((harm) => rules.ofHarm(harm)))
  return {
    initial: {
      password: history.passwords[person]!,
      phase: 'unborn',
      isForGood: false,
      pairs: [],
      rotatedBy: null,
      replacedBy: null,
      copy: null,
    },
    steps: parts.steps,
    leaves: simplified(parts.leaves),
    keyOf,
  }
}

/** For calls that say nothing of a subject. */
const nothing: Parts = { steps: [], leaves: [] }

type Next = Step<State>['next']

function rulesFor({ graceMs }: History, session: string | null, bornAt: number, times: Map<number, Call>) {
  /** The earliest and the latest moment at which a pair has taken the place of its predecessor. */
  function rotation({ rotatedBy }: State): { from: number; to: number } {
    const call = times.get(rotatedBy!)!
    return { from: call.start, to: call.outcome.kind === 'unknown' ? Infinity : call.end }
  }

  const live = ({ pairs }: State) => pairs.at(-1)!
  const isPredecessor = ({ pairs, rotatedBy }: State, { pair }: Token) => rotatedBy !== null && pairs.at(-2) === pair

  function mayOpen(state: State, token: Token, { start }: Call): boolean {
    if (state.phase !== 'open') return false
    if (live(state) === token.pair) return true
    return isPredecessor(state, token) && start < rotation(state).to + graceMs + clockSlackMs
  }

  function mayBeDead(state: State, token: Token, { end }: Call, reason: string | undefined): boolean {
    if (state.phase === 'unborn') return false
    if (state.phase !== 'open' || !state.pairs.includes(token.pair)) return true
    if (live(state) === token.pair) return false
    if (reason !== undefined && reason !== 'expired') return false
    return !isPredecessor(state, token) || end > rotation(state).from + graceMs - clockSlackMs
  }

  const when = (isSo: boolean, state: State) => (isSo ? [state] : [])
  const over = (state: State): State => ({ ...state, phase: 'ended', isForGood: true, pairs: [], rotatedBy: null })

  /** An ending that names the session, or all there are: it counts also when the session is lost by then. */
  const endNamed: Next = (state) => [state.phase === 'unborn' ? state : over(state)]
  /** An ending of those that are there. */
  const endFound: Next = (state) => [state.phase === 'open' ? over(state) : state]
  /** An ending that nobody has confirmed. */
  const endMaybe: Next = (state) => when(state.phase === 'open', { ...over(state), isForGood: false })

  const within = ({ id, start, end }: Call) => ({ call: id, start, end })
  const observation = (call: Call, isSeen: (state: State) => boolean): Step<State> => ({
    ...within(call),
    observes: true,
    next: (state) => when(isSeen(state), state),
  })
  const effect = (call: Call, next: Next, after?: Step<State>): Step<State> => ({
    ...within(call),
    observes: false,
    next,
    ...(after && { after }),
  })
  const leave = (call: Call, next: Next, { once = false, end = Infinity } = {}): Leave<State> => ({
    ...within(call),
    end,
    once,
    next,
  })

  /** What a call without a verdict may have ended, then or later: half of it may be known to PostgreSQL only. */
  function mayHaveEnded(call: Call): Leave<State>[] {
    return bornAt < call.end + lateMs ? [leave(call, endMaybe)] : []
  }

  const setPassword =
    (next: string, current?: string): Next =>
    (state) =>
      when(current === undefined || state.password === current, { ...state, password: next })
  const both =
    (first: Next, second: Next): Next =>
    (state) =>
      first(state).flatMap(second)

  /** What the answer to the bearer of a token says of that token. */
  function ofBearer(call: Call, token: Token): Step<State>[] {
    if (token.session !== session) return []
    const { outcome } = call
    if (outcome.kind === 'unknown') return []
    if (outcome.kind === 'refused' && outcome.status === 401)
      return [observation(call, (state) => mayBeDead(state, token, call, outcome.reason))]
    if (outcome.kind === 'refused' && ![403, 404].includes(outcome.status)) return []
    return [observation(call, (state) => mayOpen(state, token, call))]
  }

  /** An ending that the bearer of a token asked for: they were let in at one moment, and it was done at a later one. */
  function ofEnding(call: Call, token: Token, isMeant: boolean, end: Next): Parts {
    const bearer = ofBearer(call, token)
    if (!isMeant || call.outcome.kind === 'refused') return { steps: bearer, leaves: [] }
    if (call.outcome.kind === 'unknown') return { steps: [], leaves: mayHaveEnded(call) }
    return { steps: [...bearer, effect(call, end, bearer[0])], leaves: [] }
  }

  /** To the bearer of a dead token an ending is confirmed as well, when they ask for one. */
  function confirmed(call: Call, parts: Parts): Parts {
    const { outcome } = call
    if (outcome.kind !== 'refused' || outcome.status !== 401 || ['unknown', 'expired'].includes(outcome.reason!))
      return parts
    const next: Next = (state) => [state.phase === 'ended' ? over(state) : state]
    return { ...parts, steps: parts.steps.flatMap((seen) => [seen, effect(call, next, seen)]) }
  }

  function ofLogout(call: Call, via: 'bearer' | 'body' | '/oauth/revoke', token: Token): Parts {
    if (token.session !== session) return nothing
    if (via === 'bearer') return confirmed(call, ofEnding(call, token, true, endNamed))
    if (call.outcome.kind === 'unknown') return { steps: [], leaves: mayHaveEnded(call) }
    // A token that the store has lost leads nowhere, and that is no error.
    const next: Next = (state) => {
      const isFound = state.phase === 'open' && state.pairs.includes(token.pair)
      return isFound || state.phase === 'ended' ? [over(state)] : [state]
    }
    return { steps: [effect(call, next)], leaves: [] }
  }

  function ofRefresh(call: Call, token: Token): Parts {
    const { outcome } = call
    if (token.session !== session) return nothing
    const rotate =
      (pair: string): Next =>
      (state) =>
        when(state.phase === 'open' && live(state) === token.pair, {
          ...state,
          pairs: [...state.pairs, pair],
          rotatedBy: call.id,
        })
    const isSpent = (state: State) => state.phase === 'open' && live(state) !== token.pair
    if (outcome.kind === 'unknown')
      return {
        steps: [],
        leaves: [
          leave(call, rotate(unseen + String(call.id))),
          leave(call, (state) => (isSpent(state) ? endMaybe(state) : [])),
        ],
      }
    if (outcome.kind === 'ok' && outcome.session !== session)
      return { steps: [observation(call, () => false)], leaves: [] }
    if (outcome.kind === 'ok' && !outcome.isReplayed)
      return { steps: [effect(call, rotate(outcome.pair!))], leaves: [] }
    if (outcome.kind === 'ok') {
      const replay: Next = (state) => {
        const isRetry =
          state.phase === 'open' &&
          isPredecessor(state, token) &&
          call.start < rotation(state).to + graceMs + clockSlackMs
        const isSame = isRetry && (live(state) === outcome.pair || live(state).startsWith(unseen))
        return when(isSame, { ...state, pairs: [...state.pairs.slice(0, -1), outcome.pair!] })
      }
      return { steps: [effect(call, replay)], leaves: [] }
    }
    if (outcome.reason !== 'reused') {
      // A pair that a change of the password has just replaced takes its session with it, whatever is told of that.
      const refused: Next = (state) => {
        const isReplaced = state.phase === 'open' && state.rotatedBy === null && state.pairs.at(-2) === token.pair
        return isReplaced ? endMaybe(state) : when(mayNotRefresh(state, token), state)
      }
      return { steps: [effect(call, refused)], leaves: [] }
    }
    const reuse: Next = (state) => {
      if (state.phase === 'gone') return [state]
      const isReuse =
        isSpent(state) && (!isPredecessor(state, token) || call.end > rotation(state).from + graceMs - clockSlackMs)
      return when(isReuse || state.phase === 'ended', over(state))
    }
    return { steps: [effect(call, reuse)], leaves: [] }
  }

  /** A refusal for another reason than reuse: the session is over, or the store has lost this pair. */
  function mayNotRefresh(state: State, { pair }: Token): boolean {
    return state.phase === 'ended' || state.phase === 'gone' || (state.phase === 'open' && !state.pairs.includes(pair))
  }

  function ofPasswordChange(call: Call, token: Token, current: string, next: string): Parts {
    const { outcome } = call
    const isCallers = token.session === session
    const flip = setPassword(next, current)
    const renew =
      (pair: string): Next =>
      (state) =>
        when(state.phase === 'open' && !state.pairs.includes(pair), {
          ...state,
          pairs: [...state.pairs, pair],
          rotatedBy: null,
        })
    if (outcome.kind === 'unknown')
      return {
        steps: [],
        leaves: [
          leave(call, flip, { once: true, end: call.end + lateMs }),
          ...mayHaveEnded(call),
          ...(isCallers ? [leave(call, renew(unseen + String(call.id)))] : []),
        ],
      }
    const bearer = ofBearer(call, token)
    if (outcome.kind === 'refused') {
      // The session may have ended under the change, once that was made.
      const leaves = outcome.status === 401 ? [leave(call, flip, { once: true, end: call.end }), duringOnly(call)] : []
      return { steps: bearer, leaves }
    }
    if (!isCallers) return { steps: [effect(call, both(flip, endNamed))], leaves: [duringOnly(call)] }
    const replace: Next = (state) => [{ ...state, replacedBy: outcome.pair! }]
    return { steps: [...bearer, effect(call, both(flip, both(renew(outcome.pair!), replace)), bearer[0])], leaves: [] }
  }

  /** A change of the password ends sessions before it is made and once more after: also one with the new password. */
  function duringOnly(call: Call): Leave<State> {
    return leave(call, endMaybe, { end: call.end })
  }

  function ofReset(call: Call, next: string): Parts {
    if (call.outcome.kind === 'refused') return nothing
    if (isOk(call.outcome))
      return { steps: [effect(call, both(setPassword(next), endNamed))], leaves: [duringOnly(call)] }
    return {
      steps: [],
      leaves: [leave(call, setPassword(next), { once: true, end: call.end + lateMs }), ...mayHaveEnded(call)],
    }
  }

  /** What a call says of the session and of the password in so far as it opens and ends sessions. */
  function ofSession(call: Call): Parts {
    const { asked, outcome } = call
    switch (asked.what) {
      case 'log in':
        if (!isOk(outcome) || outcome.session !== session) return nothing
        return {
          steps: [
            effect(call, (state) =>
              when(state.phase === 'unborn' && state.password === asked.password, {
                ...state,
                phase: 'open',
                pairs: [outcome.pair!],
              }),
            ),
          ],
          leaves: [],
        }
      case 'check':
        return { steps: ofCheck(call, asked.token), leaves: [] }
      case 'refresh':
        return ofRefresh(call, asked.token)
      case 'log out':
        return ofLogout(call, asked.with, asked.token)
      case 'log out everywhere':
        return confirmed(call, ofEnding(call, asked.token, true, endNamed))
      case 'revoke': {
        const { steps, leaves } = ofEnding(call, asked.token, asked.target === session, endNamed)
        const isMissing = asked.target === session && outcome.kind === 'refused' && outcome.status === 404
        const missing = observation(call, ({ phase }) => phase === 'ended' || phase === 'gone')
        return { steps: isMissing ? [...steps, missing] : steps, leaves }
      }
      case 'revoke others':
        return ofEnding(call, asked.token, asked.token.session !== session, endFound)
      case 'change password':
        return ofPasswordChange(call, asked.token, asked.current, asked.next)
      default:
        return ofReset(call, asked.next)
    }
  }

  function ofCheck(call: Call, token: Token): Step<State>[] {
    const { outcome } = call
    if (outcome.kind === 'ok' && outcome.isLive === false)
      return token.session === session ? [observation(call, (state) => mayBeDead(state, token, call, undefined))] : []
    if (outcome.kind === 'ok' && outcome.session !== undefined && outcome.session !== token.session)
      return [observation(call, () => false)]
    return ofBearer(call, token)
  }

  /** What a call says of the password alone: here every login counts, also the refused ones. */
  function ofPassword(call: Call, calls: Call[]): Parts {
    const { asked, outcome } = call
    if (asked.what === 'reset password') return ofReset(call, asked.next)
    if (asked.what !== 'log in' && asked.what !== 'change password') return nothing
    const proven = asked.what === 'log in' ? asked.password : asked.current
    const isWrong = outcome.kind === 'refused' && ['invalid-credentials', 'wrong-password'].includes(outcome.code)
    // Who proves a password while all sessions end is refused, whatever it was.
    const steps =
      isWrong && !calls.some((other) => endsAllAcross(other, call))
        ? [observation(call, ({ password }) => password !== proven)]
        : []
    if (asked.what === 'log in')
      return { steps: isOk(outcome) ? [observation(call, ({ password }) => password === proven)] : steps, leaves: [] }
    const flip = setPassword(asked.next, asked.current)
    if (isOk(outcome)) return { steps: [effect(call, flip)], leaves: [] }
    if (outcome.kind === 'unknown')
      return { steps: [], leaves: [leave(call, flip, { once: true, end: call.end + lateMs })] }
    const leaves = outcome.status === 401 ? [leave(call, flip, { once: true, end: call.end })] : []
    return { steps, leaves }
  }

  function ofHarm({ id, start, end, asked }: HarmDone): Step<State> {
    const next = (state: State): State[] => {
      const { phase, isForGood, pairs, rotatedBy, replacedBy, copy } = state
      if (asked.what === 'copy') return [{ ...state, copy: { phase, isForGood, pairs, rotatedBy } }]
      if (asked.what === 'flush') return [phase === 'open' ? { ...state, phase: 'gone' } : state]
      if (!copy || phase === 'unborn' || isForGood) return [state]
      // What the copy has of it are pairs that are dead for good.
      if (replacedBy !== null && copy.phase === 'open' && !copy.pairs.includes(replacedBy)) return [over(state)]
      const restored: State = { ...state, ...copy, phase: copy.phase === 'unborn' ? 'gone' : copy.phase }
      return phase === 'ended' ? [restored, state] : [restored]
    }
    return { call: id, start, end, observes: false, next }
  }

  return { ofSession, ofPassword, ofHarm }
}

/** Whether a call may have ended all sessions of its person while another one was under way. */
function endsAllAcross(call: Call, { start, end }: Call): boolean {
  const { asked, outcome } = call
  if (!['log out everywhere', 'change password', 'reset password'].includes(asked.what)) return false
  if (call.start > end) return false
  return outcome.kind === 'unknown' ? start < call.end + lateMs : start < call.end
}

function isOk(outcome: Call['outcome']): outcome is Call['outcome'] & { kind: 'ok' } {
  return outcome.kind === 'ok'
}

/** Of the leaves that may end a session at any time the first one stands for all. */
function simplified(leaves: Leave<State>[]): Leave<State>[] {
  const firstOf = new Map<Leave<State>['next'], Leave<State>>()
  for (const leave of leaves) {
    const first = firstOf.get(leave.next)
    if (leave.end === Infinity && !leave.once && (!first || leave.start < first.start)) firstOf.set(leave.next, leave)
  }
  return leaves.filter((leave) => {
    const first = firstOf.get(leave.next)
    return leave === first || leave.once || leave.start < (first?.start ?? Infinity)
  })
}
