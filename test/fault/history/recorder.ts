import type { Answer, Tokens } from '../../support/client.ts'
import type { Asked, Call, HarmDone, History, Outcome, Token } from './call.ts'

/** A pair of tokens as its owner has it. */
export interface Pair {
  name: string
  session: string
  access: string
  refresh: string
}

export type Recorder = ReturnType<typeof createRecorder>

/** No answer within this time counts as none: the service promises one within five seconds. */
const answerMaxMs = 15_000

/** What ends nothing. */
const opening = new Set<Asked['what']>(['log in', 'check', 'refresh'])

/** Writes down what the clients of a history ask and are told, and gives sessions and pairs names to speak of them. */
export function createRecorder() {
  const calls: Call[] = []
  const harms: HarmDone[] = []
  /** What no service may ever answer, whatever is wrong with it. */
  const outrages: string[] = []
  const sessionNames = new Map<string, string>()
  const pairs = new Map<string, Pair>()
  const counts = new Map<string, number>()
  let ids = 0

  function nameOf(person: string, sessionId: string): string {
    const known = sessionNames.get(sessionId)
    if (known !== undefined) return known
    const count = (counts.get(person) ?? 0) + 1
    counts.set(person, count)
    const name = `${person}-${count}`
    sessionNames.set(sessionId, name)
    return name
  }

  function pairIn(person: string, { session, access_token: access, refresh_token: refresh }: Tokens): Pair {
    const text = `${access} ${refresh}`
    const known = pairs.get(text)
    if (known) return known
    const name = nameOf(person, session.id)
    const count = counts.get(name) ?? 0
    counts.set(name, count + 1)
    const pair = { name: `${name}.${count}`, session: name, access, refresh }
    pairs.set(text, pair)
    return pair
  }

  function outcomeOf(person: string, asked: Asked, { status, body, headers }: Answer): Outcome {
    if (status === 503) return { kind: 'unknown', why: '503' }
    if (status >= 400) {
      const { code, reason } = body as { code: string; reason?: string }
      if (status >= 500 || status === 429) outrages.push(`${asked.what} was answered with ${status} ${code}`)
      return { kind: 'refused', status, code, ...(reason !== undefined && { reason }) }
    }
    if (asked.what === 'check') {
      if (asked.at === '/forward-auth') return { kind: 'ok', session: nameOf(person, headers.get('x-auth-session')!) }
      if (asked.at === '/v1/me') return { kind: 'ok' }
      const { active, sid } = body as { active: boolean; sid: string }
      return { kind: 'ok', isLive: active, ...(active && { session: nameOf(person, sid) }) }
    }
    if ((body as Tokens | null)?.access_token === undefined) return { kind: 'ok' }
    const { name, session } = pairIn(person, body as Tokens)
    return { kind: 'ok', pair: name, session, isReplayed: headers.get('refresh-replayed') === 'true' }
  }

  return {
    calls,
    harms,
    outrages,
    /** Of the pair that an answer has brought. */
    pairIn,
    /** How many calls had a verdict. */
    answered: () => calls.filter(({ outcome }) => outcome.kind !== 'unknown').length,
    /** How many endings were acknowledged. */
    endings: () => calls.filter(({ asked, outcome }) => outcome.kind === 'ok' && !opening.has(asked.what)).length,

    /** Sends what is asked, and writes down what becomes of it. */
    async call(
      about: Pick<Call, 'client' | 'instance' | 'person' | 'asked'>,
      send: () => Promise<Answer>,
    ): Promise<{ outcome: Outcome; answer: Answer | null }> {
      const start = performance.now()
      const answer = await answered(send())
      const end = performance.now()
      const outcome: Outcome =
        typeof answer === 'string' ? { kind: 'unknown', why: answer } : outcomeOf(about.person, about.asked, answer)
      calls.push({ id: ++ids, ...about, start, end, outcome })
      return { outcome, answer: typeof answer === 'string' ? null : answer }
    },

    /** Does something to Redis, and writes it down. */
    async harm(asked: HarmDone['asked'], does: () => Promise<unknown>): Promise<void> {
      const start = performance.now()
      await does()
      harms.push({ id: ++ids, start, end: performance.now(), asked })
    },

    history(passwords: Record<string, string>, graceMs: number): History {
      return { calls, harms: harms.toSorted((a, b) => a.start - b.start), passwords, graceMs }
    },
  }
}

/** The answer, or why there is none. What a service may not answer at all is thrown. */
async function answered(sent: Promise<Answer>): Promise<Answer | string> {
  let timer: NodeJS.Timeout
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('no answer'), answerMaxMs)
  })
  const connected = sent.catch((error: unknown) => {
    if (error instanceof TypeError) return 'connection lost'
    throw error
  })
  return Promise.race([connected, late]).finally(() => clearTimeout(timer))
}

export function tokenOf({ session, name }: Pair, kind: Token['kind']): Token {
  return { session, pair: name, kind }
}
