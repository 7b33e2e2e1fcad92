/** Latchkey's two ways of being asked about a token beside what a user would pick instead, in interleaved rounds. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { progress, run } from '../dev/process.ts'
import type { Service } from '../dev/stores.ts'
import { operator } from '../src/cli/operator.ts'
import { inLanes } from './lanes.ts'
import type { Request } from './load.ts'
import {
  ask,
  measureRounds,
  sessionCount,
  withBearer,
  type Contender,
  type RoundOptions,
  type Variant,
} from './rounds.ts'
import { openSession, root, type LocalServices, type Stage } from './stage.ts'
import type { Spread } from './statistics.ts'

export interface PeerFigures extends RoundOptions {
  sessions: number
  /** The fastest first. */
  servers: PeerFigure[]
  /** Peers that could not be installed or started, and why. */
  absent: { name: string; reason: string }[]
}

export interface PeerFigure {
  name: string
  kind: Kind
  variant: Variant
  /** Its throughput relative to bare Node with one GET, round by round. */
  ratio: Spread
  /** The throughput of Latchkey's GET /forward-auth relative to this one's, round by round. */
  forwardAuthRatio: Spread
}

/** A reference checks less than a service has to; a stateless peer asks no store, so what it has given out holds. */
type Kind = 'reference' | 'latchkey' | 'revocable' | 'stateless'

interface Entrant extends Contender {
  kind: Kind
  /** What a good answer to the first request says. */
  owner: string
}

interface Peer {
  /** What it is made of besides its web framework; the first names its server in bench/peers/. */
  packages: [string, ...string[]]
  kind: Kind
  path: string
  /** Opens a session of somebody with this address, and gives what its bearer sends to be told who they are. */
  logIn: (url: string, email: string) => Promise<Request>
}

const peers: Peer[] = [
  { packages: ['koa-session'], kind: 'revocable', path: '/me', logIn: logInForCookie },
  { packages: ['express-session', 'passport'], kind: 'revocable', path: '/me', logIn: logInForCookie },
  { packages: ['better-auth'], kind: 'revocable', path: '/api/auth/get-session', logIn: signUpForCookie },
  { packages: ['oidc-provider'], kind: 'revocable', path: '/token/introspection', logIn: logInForToken },
  { packages: ['@fastify/secure-session'], kind: 'stateless', path: '/me', logIn: logInForCookie },
]

const fixedName = 'bare node:http, no Redis'
const oneGetName = 'bare node:http, one GET'
const forwardAuthName = 'Latchkey, GET /forward-auth'
const introspectName = 'Latchkey, POST /oauth/introspect'
const folder = 'bench/peers'
const lanes = 8

/**
 * Loads Latchkey, the references and every peer that can be installed and started; see {@link measureRounds}.
 *
 * @throws Error when Latchkey or a reference does not tell a session from a made-up one, or when anybody's answer to the
 *   load was not a success
 */
export async function measurePeers(
  stage: Stage,
  services: LocalServices,
  servers: { fixed: Service; latchkey: Service },
  options: RoundOptions,
): Promise<PeerFigures> {
  const entrants = await enterOurs(stage, services, servers)
  const absent: PeerFigures['absent'] = []
  const failure = await install(stage.signal)
  for (const [i, peer] of peers.entries()) {
    const name = nameOf(peer)
    try {
      if (failure !== null) throw new Error(failure)
      entrants[name] = await enter(stage, peer, `${stage.redisUrl}/${i + 1}`)
    } catch (error) {
      stage.signal.throwIfAborted()
      const reason = error instanceof Error ? error.message : String(error)
      progress(`peers: without ${name}: ${reason}`)
      absent.push({ name, reason })
    }
  }
  const { variantOf, ratio } = await measureRounds(stage, 'peers', entrants, options)
  // Some say no with a status that is a success for the load; so nobody's session may have ended on the way.
  for (const [name, entrant] of Object.entries(entrants)) await mustSay('yes', name, entrant)
  const figures = Object.entries(entrants).map(([name, { kind }]) => ({
    name,
    kind,
    variant: variantOf(name),
    ratio: ratio(name, oneGetName),
    forwardAuthRatio: ratio(forwardAuthName, name),
  }))
  return {
    ...options,
    sessions: sessionCount,
    servers: figures.toSorted((a, b) => b.variant.perSecond.median - a.variant.perSecond.median),
    absent,
  }
}

/** Installs the peers as their lockfile says, unless they are; gives what npm said when it failed, else null. */
async function install(signal: AbortSignal): Promise<string | null> {
  progress('peers: installing what is missing')
  const { status, output } = await run(process.execPath, ['dev/bootstrap.mjs', folder], { cwd: root, signal })
  return status === 0 ? null : `npm ci failed: ${output}`
}

async function enterOurs(
  stage: Stage,
  services: LocalServices,
  { fixed, latchkey }: { fixed: Service; latchkey: Service },
): Promise<Record<string, Entrant>> {
  const { client, secret } = await services.clients.create('bench', operator)
  const opened = await Promise.all(Array.from({ length: sessionCount }, () => openSession(services)))
  const userId = opened[0]!.session.userId
  const tokens = opened.map(({ pair }) => pair.accessToken)
  const bearers = tokens.map(withBearer)
  const introspections = tokens.map((token) => introspection(token, client.id, secret))
  const entrants: Record<string, Entrant> = {
    [fixedName]: { server: fixed, kind: 'reference', path: '/', requests: bearers, owner: 'ok' },
    [oneGetName]: { server: await stage.startOneGet(), kind: 'reference', path: '/', requests: bearers, owner: 'ok' },
    [forwardAuthName]: { server: latchkey, kind: 'latchkey', path: '/forward-auth', requests: bearers, owner: userId },
    [introspectName]: {
      server: latchkey,
      kind: 'latchkey',
      path: '/oauth/introspect',
      requests: introspections,
      owner: userId,
    },
  }
  await sleep(1000, undefined, { signal: stage.signal }) // by then Latchkey was told of its client
  for (const [name, entrant] of Object.entries(entrants)) {
    await mustSay('yes', name, entrant)
    if (name !== fixedName) await mustSay('no', name, entrant, forged(entrant.requests[0]!))
  }
  return entrants
}

/**
 * Starts a peer and opens its sessions.
 *
 * @param redisUrl of a database for it alone: it is emptied, to see whether the peer looks there at each request
 * @throws Error when it does not start, or does not tell a session from a made-up one
 */
async function enter(stage: Stage, peer: Peer, redisUrl: string): Promise<Entrant> {
  const { packages, kind, path: asked, logIn } = peer
  const name = nameOf(peer)
  progress(`peers: starting ${name}`)
  const server = await stage.startPeer(path.posix.basename(packages[0]), redisUrl)
  const newEmail = () => `bench-${randomUUID()}@example.com`
  const email = newEmail()
  const trial: Entrant = { server, kind, path: asked, owner: email, requests: [await logIn(server.url, email)] }
  await mustSay('yes', name, trial)
  await mustSay('no', name, trial, forged(trial.requests[0]!))
  await stage.connectRedis(redisUrl).flushdb()
  await mustSay(kind === 'stateless' ? 'yes' : 'no', name, trial)

  const owner = newEmail()
  const others = await inLanes(sessionCount - 1, lanes, () => logIn(server.url, newEmail()))
  return { ...trial, owner, requests: [await logIn(server.url, owner), ...others] }
}

/** A server that says yes to everybody would be fast, and prove nothing. */
async function mustSay(
  expected: 'yes' | 'no',
  name: string,
  entrant: Entrant,
  request: Request = entrant.requests[0]!,
): Promise<void> {
  const { status, text } = await ask(entrant, request)
  const said = status === 200 && text.includes(entrant.owner) ? 'yes' : 'no'
  if (said !== expected) throw new Error(`it said ${said} where ${expected} is right (${name}, ${status}): ${text}`)
}

/** The same request with something that nobody was given. */
function forged({ headers: { authorization, cookie, ...headers }, body }: Request): Request {
  return {
    headers: {
      ...headers,
      ...(authorization && { authorization: authorization.replace(/^Bearer .*/, 'Bearer made-up') }),
      ...(cookie && { cookie: cookie.replaceAll(/=[^;]*/g, '=made-up') }),
    },
    ...(body && { body: body.replace(/^token=[^&]*/, 'token=made-up') }),
  }
}

/** As RFC 7662 has it, with the client's credentials as RFC 6749 (2.3.1) prefers them. */
function introspection(token: string, clientId: string, secret: string): Request {
  return {
    headers: {
      authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: String(new URLSearchParams({ token, token_type_hint: 'access_token' })),
  }
}

async function logInForCookie(url: string, email: string): Promise<Request> {
  return withCookies(await post(`${url}/login?email=${email}`))
}

async function signUpForCookie(url: string, email: string): Promise<Request> {
  const headers = { 'content-type': 'application/json', origin: 'http://127.0.0.1' } // as its baseURL says
  const body = JSON.stringify({ email, password: randomUUID(), name: 'Somebody' })
  return withCookies(await post(`${url}/api/auth/sign-up/email`, headers, body))
}

async function logInForToken(url: string, email: string): Promise<Request> {
  const issued = (await (await post(`${url}/login?email=${email}`)).json()) as Record<string, string>
  return introspection(issued['token']!, issued['clientId']!, issued['clientSecret']!)
}

async function post(url: string, headers: Record<string, string> = {}, body: string | null = null): Promise<Response> {
  const answer = await fetch(url, { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(`${url} was answered ${answer.status}: ${await answer.text()}`)
  return answer
}

/** As a browser would send them back. */
function withCookies({ headers }: Response): Request {
  return {
    headers: {
      cookie: headers
        .getSetCookie()
        .map((cookie) => cookie.split(';', 1)[0])
        .join('; '),
    },
  }
}

/** The packages with their versions. */
function nameOf({ packages }: Peer): string {
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(root, folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  return packages.map((name) => `${name} ${dependencies[name]}`).join(' + ')
}
