import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Answer, ApiClient, Tokens } from './client.ts'
import { eventually } from './eventually.ts'
import { answerMs, recoveryMs } from './faults.ts'
import { aPerson, aSession, type Someone } from './people.ts'

/** What a client was told of a session, and when. */
export interface HeldSession {
  person: Someone
  sessionId: string
  accessToken: string
  refreshToken: string
  /** When the answer with this pair came, in milliseconds of performance.now(). */
  heldSince: number
}

/** A session of which a client was told that it has ended. */
export interface EndedSession extends HeldSession {
  by: string
  endedAt: number
}

/** A token that was good as far as its client was told, and was refused. */
export interface Refusal {
  held: HeldSession
  by: 'check' | 'refresh' | 'logout'
  reason: string
  at: number
}

/** What busy clients have seen. */
export interface Diary {
  /** How often each status was answered to each kind of request. */
  counts: Map<string, number>
  /** When a 503 was answered, and when something else was. */
  unavailable: number[]
  ended: EndedSession[]
  refused: Refusal[]
  /** What must never be. */
  wrongs: string[]
}

/** Whether a service may say of a token that it is live; `unknown` when the service cannot tell at the moment. */
export type Introspect = (token: string) => Promise<'active' | 'inactive' | 'unknown'>

export type BusyClients = Awaited<ReturnType<typeof startBusyClients>>

/**
 * Clients that log in, check, refresh, log out and log out everywhere, over all instances, and go on whatever happens to
 * the stores. Each knows what it was told, and notes whatever does not go with that.
 */
export async function startBusyClients({
  instances,
  introspect,
  count,
  random,
}: {
  instances: ApiClient[]
  introspect: Introspect
  count: number
  /** From 0 up to but not including 1. */
  random: () => number
}) {
  const diary: Diary = { counts: new Map(), unavailable: [], ended: [], refused: [], wrongs: [] }
  const held = new Set<HeldSession>()
  const stopping = new AbortController()
  const isStopped = () => stopping.signal.aborted
  /** The start of the last round that each client has gone through without a 503. */
  const lastGoodRound = new Map<Someone, number>()

  const oneOf = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!
  const instance = () => oneOf(instances)

  async function ask(kind: string, asked: Promise<Answer>, allowed: number[]): Promise<Answer> {
    const startedAt = performance.now()
    const answer = await asked
    const tookMs = performance.now() - startedAt
    const name = `${kind} ${answer.status}`
    diary.counts.set(name, (diary.counts.get(name) ?? 0) + 1)
    if (answer.status === 503) diary.unavailable.push(performance.now())
    else if (!allowed.includes(answer.status)) diary.wrongs.push(`${name}: ${answer.text}`)
    if (tookMs > answerMs) diary.wrongs.push(`${name} after ${Math.round(tookMs)} ms`)
    return answer
  }

  function hold(person: Someone, tokens: Tokens): HeldSession {
    const session: HeldSession = {
      person,
      sessionId: tokens.session.id,
      accessToken: tokens.access_token,
      refreshToken: tokens.refresh_token,
      heldSince: performance.now(),
    }
    held.add(session)
    return session
  }

  function refused(by: Refusal['by'], session: HeldSession, answer: Answer): void {
    held.delete(session)
    diary.refused.push({ held: { ...session }, by, reason: String(answer.body?.reason), at: performance.now() })
  }

  function ended(by: string, sessions: HeldSession[]): void {
    for (const session of sessions) {
      held.delete(session)
      diary.ended.push({ ...session, by, endedAt: performance.now() })
    }
  }

  const sessionsOf = (person: Someone) => [...held].filter((session) => session.person === person)

  async function logIn(person: Someone): Promise<boolean> {
    const { email, password } = person
    const answer = await ask('login', instance().login({ email, password }), [200])
    if (answer.status === 200) hold(person, answer.body as Tokens)
    return answer.status !== 503
  }

  async function check(session: HeldSession): Promise<boolean> {
    const answer = await ask('check', instance().protected(session.accessToken), [200, 401])
    if (answer.status === 401) refused('check', session, answer)
    return answer.status !== 503
  }

  async function refresh(session: HeldSession): Promise<boolean> {
    const answer = await ask('refresh', instance().refresh(session.refreshToken), [200, 401])
    if (answer.status === 401) refused('refresh', session, answer)
    if (answer.status !== 200) return answer.status !== 503
    held.delete(session)
    hold(session.person, answer.body as Tokens)
    return true
  }

  /** Is repeated until it is confirmed, as a client must that wants to be sure. */
  async function logOut(session: HeldSession): Promise<boolean> {
    held.delete(session)
    for (let isFirst = true; !isStopped(); isFirst = false) {
      const answer = await ask('logout', instance().logout(session.accessToken), [204, 401])
      if (answer.status === 204) ended('logout', [session])
      if (answer.status === 401 && isFirst) refused('logout', session, answer)
      if (answer.status !== 503) return isFirst
      await delay(50)
    }
    return false
  }

  async function logOutEverywhere(session: HeldSession): Promise<boolean> {
    const all = sessionsOf(session.person)
    for (const one of all) held.delete(one)
    for (let isFirst = true; !isStopped(); isFirst = false) {
      const answer = await ask('logout-all', instance().logoutAll(session.accessToken), [200, 401])
      if (answer.status === 200) ended('logout-all', all)
      if (answer.status === 401 && isFirst) refused('logout', session, answer)
      if (answer.status !== 503) return isFirst
      await delay(50)
    }
    return false
  }

  /** Looks whether what has ended is dead to one who asks by any way. */
  async function haunt(session: EndedSession, through: ApiClient): Promise<void> {
    const answers = [
      await ask('dead check', through.protected(session.accessToken), [401]),
      await ask('dead forward-auth', through.call('GET', '/forward-auth', { token: session.accessToken }), [401]),
      await ask('dead refresh', through.refresh(session.refreshToken), [401]),
    ]
    const said = await introspect(session.accessToken)
    if (said === 'active' || answers.some(({ status }) => status < 400))
      diary.wrongs.push(`${session.by}: a session lives that was ended: introspection says ${said}`)
  }

  async function round(person: Someone): Promise<boolean> {
    const mine = sessionsOf(person)
    if (mine.length === 0) return logIn(person)
    const session = oneOf(mine)
    const chance = random()
    if (chance < 0.4) return check(session)
    if (chance < 0.6) return refresh(session)
    if (chance < 0.8) return mine.length < 4 ? logIn(person) : logOut(session)
    if (chance < 0.9) return logOut(session)
    if (chance < 0.94) return logOutEverywhere(session)
    if (diary.ended.length > 0) await haunt(oneOf(diary.ended), instance())
    return true
  }

  async function live(person: Someone): Promise<void> {
    while (!isStopped()) {
      const startedAt = performance.now()
      try {
        if (await round(person)) lastGoodRound.set(person, startedAt)
      } catch (error) {
        diary.wrongs.push(String(error))
      }
      await delay(5 + random() * 20)
    }
  }

  const people = await Promise.all(Array.from({ length: count }, () => aPerson(instance())))
  for (const person of people) hold(person, person.tokens)
  const lives = people.map(live)

  return {
    diary,
    people,
    /** How often what was answered, in words. */
    summary: () =>
      [...diary.counts]
        .map((each) => each.join(': '))
        .toSorted((a, b) => (a < b ? -1 : 1))
        .join(', '),
    /** Those of which the clients were told that they live. */
    held: () => [...held],
    /** Expects that every client was served since then. */
    expectAllServedSince(time: number): void {
      const waiting = people.filter((person) => (lastGoodRound.get(person) ?? 0) <= time)
      expect(waiting.length, `clients that wait; ${diary.wrongs.join()}`).to.equal(0)
    },
    async stop(): Promise<void> {
      stopping.abort()
      await Promise.all(lives)
    },
    /**
     * Looks through every instance whether all that has ended is dead, and whether what is held is alive: what is not
     * counts as refused, like what a client has found so itself. What is answered 503 is asked again: each sentinel that
     * hears late of a new primary has the connection made anew.
     */
    async settle(): Promise<void> {
      for (const through of instances) {
        for (let i = 0; i < diary.ended.length; i += 10)
          await eventually(async () => {
            diary.unavailable.length = 0
            await Promise.all(diary.ended.slice(i, i + 10).map((session) => haunt(session, through)))
            expect(diary.unavailable, 'answers that say nothing').to.have.length(0)
          }, recoveryMs)
        for (const session of held) {
          const answer = await eventually(async () => {
            const said = await through.protected(session.accessToken)
            expect(said.status, said.text).to.not.equal(503)
            return said
          }, recoveryMs)
          expect(answer.status, answer.text).to.be.oneOf([200, 401])
          if (answer.status === 401) refused('check', session, answer)
        }
      }
    },
  }
}

/** Several sessions of somebody new. */
export async function aPersonWithSessions(
  client: ApiClient,
  count: number,
): Promise<{ person: Someone; all: Tokens[] }> {
  const person = await aPerson(client)
  const all = [person.tokens]
  while (all.length < count) all.push(await aSession(client, person))
  return { person, all }
}
