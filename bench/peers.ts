/** Latchkey's two ways of being asked about a token beside what a user would pick instead, in interleaved rounds. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { progress, run } from '../dev/process.ts'
import { inLanes } from './lanes.ts'
import type { Request } from './load.ts'
import {
  enterOurs,
  forged,
  forwardAuthName,
  introspection,
  mustSay,
  oneGetName,
  type Entrant,
  type Kind,
} from './ours.ts'
import { measureRounds, sessionCount, type RoundOptions, type Variant } from './rounds.ts'
import { root, type LocalServices, type Server, type Stage } from './stage.ts'
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
  servers: { fixed: Server; latchkey: Server },
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
  const { variantOf, ratio } = await measureRounds(stage, 'peers', entrants, options, { keepsProcesses: true })
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
