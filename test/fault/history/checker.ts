import type { Asked, Call, HarmDone, History, Token } from './call.ts'
import { searchFor, type Subject } from './model.ts'
import { search } from './search.ts'

export interface Report {
  /** A readable timeline of each that could not be explained; empty where all is well. */
  counterexamples: string[]
  /** Searches: one a session, and one a person for the password. */
  searches: number
  /** States that were looked at in all of them. */
  explored: number
}

/**
 * Holds a history against the rules of acknowledgement and of races (README, "What ends what").
 *
 * Of each person the password, and each of their sessions together with the password, must be explained by one order of
 * the calls that touch them: every call takes effect at one moment between its start and its answer; what asks for the
 * bearer first lets them in at one moment and acts at a later one; a call without a verdict takes effect at any time
 * after its start, in part, or never. An ending that was acknowledged holds whatever the store forgets later.
 *
 * Not looked at: orders across two sessions, how many sessions an answer says were ended, and the reasons that dead tokens
 * are given, but for `expired` and `reused`.
 */
export function check(history: History): Report {
  const report: Report = { counterexamples: spentTwice(history), searches: 0, explored: 0 }
  for (const subject of subjectsOf(history)) {
    const verdict = search(searchFor(history, subject))
    report.searches += 1
    report.explored += verdict.explored
    if (verdict.kind === 'unexplained') report.counterexamples.push(counterexample(history, subject))
  }
  return report
}

function subjectsOf({ calls, passwords }: History): Subject[] {
  const sessions = new Map<string, Subject>()
  for (const { person, outcome } of calls)
    if (outcome.kind === 'ok' && outcome.pair !== undefined)
      sessions.set(outcome.session!, { person, session: outcome.session! })
  return [...Object.keys(passwords).map((person) => ({ person, session: null })), ...sessions.values()]
}

/** A link in a mail works once. */
function spentTwice({ calls }: History): string[] {
  const spent = new Map<string, Call>()
  const found: string[] = []
  for (const call of calls) {
    if (call.asked.what !== 'reset password' || call.outcome.kind !== 'ok') continue
    const first = spent.get(call.asked.link)
    if (first)
      found.push(['one link has reset the password twice', ...[first, call].map((each) => lineOf(each))].join('\n'))
    spent.set(call.asked.link, call)
  }
  return found
}

/**
 * Leaves out of a history that cannot be explained whatever is not needed for that, and tells the rest.
 *
 * An observation that is left out makes less to explain, and an effect that is left out is one that may have happened at
 * any time or never; calls without a verdict stay in the search, and are not told: none of them explains what is left.
 */
function counterexample(history: History, subject: Subject): string {
  const verdictOf = (kept: Set<number>) => search(searchFor(history, subject, (id) => kept.has(id)))
  const { person, session } = subject
  const birth = history.calls.find(
    ({ asked, outcome }) => asked.what === 'log in' && outcome.kind === 'ok' && outcome.session === session,
  )
  const whole = searchFor(history, subject)
  const first = search(whole)
  if (first.kind === 'explained') throw new Error('there is nothing to explain')
  let { at } = first
  let kept = new Set(whole.steps.filter(({ start }) => start <= at.end).map(({ call }) => call))
  for (const id of [...kept].toReversed()) {
    if (id === birth?.id) continue
    const fewer = new Set([...kept].filter((each) => each !== id))
    const verdict = verdictOf(fewer)
    if (verdict.kind === 'explained') continue
    kept = fewer
    at = verdict.at
  }
  const calls = history.calls.filter(({ id }) => kept.has(id))
  const from = Math.min(...calls.map(({ start }) => start))
  const harms = history.harms.filter(({ start, end }) => session !== null && end >= from && start <= at.end)
  const told = [...calls, ...harms].toSorted((a, b) => a.start - b.start)
  const unconfirmed = history.calls.filter(
    (call) => call.person === person && call.outcome.kind === 'unknown' && call.start <= at.end,
  )
  const of = session === null ? `the password of ${person}` : `session ${session}`
  return [
    `No order of these calls explains what was told of ${of}:`,
    ...told.map((each) => lineOf(each) + (each.id === at.call ? '   <- fits no order' : '')),
    `(needed of ${history.calls.length} calls; none of ${unconfirmed.length} unconfirmed ones explains it)`,
  ].join('\n')
}

function lineOf(done: Call | HarmDone): string {
  const ms = `${done.start.toFixed(1).padStart(9)} to ${done.end.toFixed(1).padStart(9)} ms`
  if (!('outcome' in done)) return `${ms}  ${'Redis'.padEnd(14)} ${done.asked.what}`
  const { client, instance, asked, outcome } = done
  return `${ms}  ${`${client} at ${instance}`.padEnd(14)} ${wordsOf(asked).padEnd(44)} ${answerOf(outcome)}`
}

function wordsOf(asked: Asked): string {
  const token = 'token' in asked ? nameOf(asked.token) : ''
  switch (asked.what) {
    case 'log in':
      return `log in with "${asked.password}"`
    case 'check':
      return `${asked.at} with ${token}`
    case 'log out':
      return `log out (${asked.with}) with ${token}`
    case 'revoke':
      return `revoke ${asked.target} with ${token}`
    case 'change password':
      return `change password "${asked.current}" to "${asked.next}" with ${token}`
    case 'reset password':
      return `reset password to "${asked.next}"`
    default:
      return `${asked.what} with ${token}`
  }
}

function nameOf({ pair, kind }: Token): string {
  return `${kind} of ${pair}`
}

function answerOf(outcome: Call['outcome']): string {
  if (outcome.kind === 'unknown') return outcome.why
  if (outcome.kind === 'refused') return `${outcome.status} ${outcome.reason ?? outcome.code}`
  if (outcome.isLive === false) return 'not active'
  return ['ok', outcome.isReplayed ? 'the same again:' : '', outcome.pair ?? ''].filter((word) => word !== '').join(' ')
}
