import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import type { Answer, ApiClient, Tokens } from '../../support/client.ts'
import { choose } from '../../support/faults.ts'
import { subjects } from '../../support/mailbox.ts'
import { password, uniqueEmail } from '../../support/people.ts'
import { random } from '../../support/seed.ts'
import type { SmtpSink } from '../../support/smtp.ts'
import type { Asked, Outcome } from './call.ts'
import { tokenOf, type Pair, type Recorder } from './recorder.ts'

/** Where the calls of a history go. */
export interface Place {
  name: string
  client: () => ApiClient
}

export interface World {
  places: Place[]
  recorder: Recorder
  smtp: SmtpSink
  authorization: string
}

type Chance = () => number

/** A person as their clients know them: what they believe of their sessions only chooses what they do next. */
export interface Person {
  name: string
  email: string
  /** The first one is the likeliest. */
  passwords: string[]
  sessions: KnownSession[]
  linksTaken: Set<string>
}

interface KnownSession {
  name: string
  id: string
  pairs: Pair[]
  hasEnded: boolean
}

const names = ['Ada', 'Ben', 'Cleo', 'Dora', 'Emil', 'Fanny']
const endedRemembered = 6

/** How clients are. */
export interface Manner {
  clients: number
  /** How long each of them waits at most before the next call. */
  thinkMaxMs: number
  /** How many sessions they want to be open of each person. */
  sessions: number
  /** How often what is asked for, in parts of the whole; a login comes by itself where too few sessions are open. */
  mixture: Partial<typeof mixture>
}

/** What people do. */
export const mixture = {
  check: 50,
  refresh: 18,
  'refresh again': 5,
  'log in': 4,
  'log out': 9,
  'log out everywhere': 2,
  revoke: 3,
  'revoke others': 1.5,
  'change password': 3,
  'reset password': 4,
}

/** Registers the people of a history; their first sessions are ended, so that it begins with none. */
export async function settle({ places }: World, count: number): Promise<Person[]> {
  return Promise.all(
    names.slice(0, count).map(async (name) => {
      const client = places[0]!.client()
      const email = uniqueEmail()
      const answer = await client.register({ email, password, device_name: name })
      expect(answer.status, answer.text).to.equal(201)
      const tokens = answer.body as Tokens
      expect((await client.logout(tokens.access_token)).status).to.equal(204)
      return { name, email, passwords: [password], sessions: [], linksTaken: new Set<string>() }
    }),
  )
}

/** Lets many clients do what people do, at once and on each other's sessions, until it is over. */
export async function runClients(
  world: World,
  people: Person[],
  { clients, thinkMaxMs, ...manner }: Manner,
  isOver: () => boolean,
): Promise<void> {
  let words = 0
  await Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      const name = `c${i + 1}`
      const chance = random(`client ${i + 1}`)
      while (!isOver()) {
        await delay(chance() * thinkMaxMs)
        await act(world, name, choose(people, chance), chance, manner, () => `${password} ${++words}`)
      }
    }),
  )
}

/** Asks for every token there was once more, now that everything is well. */
export async function readAll(world: World, people: Person[]): Promise<void> {
  const chance = random('last reading')
  const pairs = people.flatMap((person) =>
    person.sessions.flatMap(({ pairs: theirs }) => theirs.map((pair) => ({ person, pair }))),
  )
  while (pairs.length > 0)
    await Promise.all(
      pairs
        .splice(0, 16)
        .map(({ person, pair }, i) => checked(world, `r${i + 1}`, choose(world.places, chance), person, pair, chance)),
    )
}

function weighed(among: Partial<typeof mixture>, chance: Chance): keyof typeof mixture {
  let left = chance() * Object.values(among).reduce((sum, part) => sum + part, 0)
  for (const [what, part] of Object.entries(among)) {
    left -= part
    if (left < 0) return what as keyof typeof mixture
  }
  return 'check'
}

async function act(
  world: World,
  name: string,
  person: Person,
  chance: Chance,
  manner: Pick<Manner, 'sessions' | 'mixture'>,
  newPassword: () => string,
): Promise<void> {
  const place = choose(world.places, chance)
  const client = place.client()
  const call = (asked: Asked, send: () => Promise<Answer>) =>
    world.recorder.call({ client: name, instance: place.name, person: person.name, asked }, send)
  const open = person.sessions.filter(({ hasEnded }) => !hasEnded)
  const ended = person.sessions.filter(({ hasEnded }) => hasEnded).slice(-endedRemembered)
  const what = open.length < manner.sessions && chance() < 0.3 ? 'log in' : weighed(manner.mixture, chance)
  if (what === 'log in' || open.length === 0) return logIn()
  const session = choose(open, chance)
  const pair = session.pairs.at(-1)!
  const token = tokenOf(pair, 'access')
  const others = open.filter((other) => other !== session)

  switch (what) {
    case 'check': {
      const asked = ended.length > 0 && chance() < 0.4 ? choose(ended, chance) : session
      const shown = chance() < 0.75 ? asked.pairs.at(-1)! : choose(asked.pairs, chance)
      await checked(world, name, place, person, shown, chance)
      return
    }
    case 'refresh':
      return refresh(session, pair)
    case 'refresh again': {
      const from = ended.length > 0 && chance() < 0.2 ? choose(ended, chance) : session
      return refresh(from, chance() < 0.7 ? (from.pairs.at(-2) ?? from.pairs[0]!) : choose(from.pairs, chance))
    }
    case 'log out': {
      const how = choose(['bearer', 'bearer', 'body', '/oauth/revoke'] as const, chance)
      const shown = chance() < 0.9 ? pair : choose(session.pairs, chance)
      const isAccess = how === 'bearer' || (how === '/oauth/revoke' && chance() < 0.5)
      const text = isAccess ? shown.access : shown.refresh
      const asked: Asked = { what, with: how, token: tokenOf(shown, isAccess ? 'access' : 'refresh') }
      const send = () => {
        if (how === 'bearer') return client.logout(text)
        if (how === 'body') return client.post('/v1/auth/logout', { body: { refresh_token: text } })
        return client.post(how, { form: { token: text } })
      }
      return note(await insisting(asked, send), [session])
    }
    case 'log out everywhere':
      return note(await insisting({ what, token }, () => client.logoutAll(pair.access)), open)
    case 'revoke': {
      const target = choose(open, chance)
      const send = () => client.call('DELETE', `/v1/sessions/${target.id}`, { token: pair.access })
      return note(await insisting({ what, token, target: target.name }, send), [target])
    }
    case 'revoke others': {
      const send = () => client.post('/v1/sessions/revoke-others', { token: pair.access })
      return note(await insisting({ what, token }, send), others)
    }
    case 'change password': {
      const [current, next] = [person.passwords[0]!, newPassword()]
      const body = { current_password: current, new_password: next }
      const send = () => client.post('/v1/me/password', { token: pair.access, body })
      const { outcome, answer } = await call({ what, token, current, next }, send)
      if (outcome.kind === 'ok') session.pairs.push(world.recorder.pairIn(person.name, answer!.body as Tokens))
      learn(outcome, next)
      return note(outcome, others)
    }
    case 'reset password':
      return resetPassword()
  }

  async function logIn(): Promise<void> {
    const proven = chance() < 0.93 ? person.passwords[0]! : choose(person.passwords, chance)
    const { outcome, answer } = await call({ what: 'log in', password: proven }, () =>
      client.login({ email: person.email, password: proven }),
    )
    if (outcome.kind === 'ok') {
      const tokens = answer!.body as Tokens
      const first = world.recorder.pairIn(person.name, tokens)
      person.sessions.push({ name: first.session, id: tokens.session.id, pairs: [first], hasEnded: false })
      person.passwords = [proven, ...person.passwords.filter((other) => other !== proven)]
    } else if (outcome.kind === 'refused' && person.passwords[0] === proven) {
      // Another one may have come into force behind an answer that was lost.
      person.passwords.push(person.passwords.shift()!)
    }
  }

  async function refresh(of: KnownSession, shown: Pair): Promise<void> {
    const asked: Asked = { what: 'refresh', token: tokenOf(shown, 'refresh') }
    const { outcome, answer } = await call(asked, () => client.refresh(shown.refresh))
    if (outcome.kind === 'ok') {
      const next = world.recorder.pairIn(person.name, answer!.body as Tokens)
      if (!of.pairs.includes(next)) of.pairs.push(next)
    } else if (outcome.kind === 'refused') of.hasEnded = true
  }

  async function resetPassword(): Promise<void> {
    const mails = world.smtp.mailsTo(person.email).filter(({ subject }) => subjects.reset.test(subject))
    const link = /\?token=([\w-]+)/.exec(mails.at(-1)?.text ?? '')?.[1]
    if (link === undefined || person.linksTaken.has(link)) {
      await client.post('/v1/auth/forgot-password', { body: { email: person.email } }).catch(() => undefined)
      return
    }
    const next = newPassword()
    const { outcome } = await call({ what: 'reset password', link, next }, () =>
      client.post('/v1/auth/reset-password', { body: { token: link, new_password: next } }),
    )
    if (outcome.kind !== 'unknown') person.linksTaken.add(link)
    learn(outcome, next)
    return note(outcome, open)
  }

  /** Asks once more, or twice, for an ending that was not confirmed. */
  async function insisting(asked: Asked, send: () => Promise<Answer>): Promise<Outcome> {
    for (let attempt = 1; ; attempt++) {
      const { outcome } = await call(asked, send)
      if (outcome.kind !== 'unknown' || attempt === 3 || chance() < 0.3) return outcome
    }
  }

  /** Half of those who have ended something look at once whether it holds. */
  async function note(outcome: Outcome, over: KnownSession[]): Promise<void> {
    if (outcome.kind === 'refused' && outcome.status === 401) session.hasEnded = true
    if (outcome.kind !== 'ok') return
    for (const each of over) each.hasEnded = true
    const one = over.length > 0 && chance() < 0.5 ? choose(over, chance) : null
    if (one) await checked(world, name, choose(world.places, chance), person, one.pairs.at(-1)!, chance)
  }

  function learn(outcome: Outcome, next: string): void {
    if (outcome.kind === 'ok') person.passwords = [next, ...person.passwords].slice(0, 5)
    if (outcome.kind === 'unknown') person.passwords = [...person.passwords, next]
  }
}

async function checked(
  { recorder, authorization }: World,
  name: string,
  { name: instance, client }: Place,
  person: Person,
  shown: Pair,
  chance: Chance,
): Promise<void> {
  const at = choose(['/v1/me', '/forward-auth', '/oauth/introspect'] as const, chance)
  const { outcome } = await recorder.call(
    {
      client: name,
      instance,
      person: person.name,
      asked: { what: 'check', at, token: tokenOf(shown, 'access') },
    },
    () =>
      at === '/oauth/introspect'
        ? client().post(at, { form: { token: shown.access }, headers: { authorization } })
        : client().get(at, shown.access),
  )
  const isLast = (session: KnownSession) => session.pairs.at(-1) === shown
  const isDead = outcome.kind === 'refused' || (outcome.kind === 'ok' && outcome.isLive === false)
  if (isDead) for (const session of person.sessions.filter(isLast)) session.hasEnded = true
}
