/** Latchkey's ways of being asked about a token, and the references beside them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { operator } from '../src/cli/operator.ts'
import type { Request } from './load.ts'
import { ask, sessionCount, withBearer, type Contender } from './rounds.ts'
import { openSession, type LocalServices, type Server, type Stage } from './stage.ts'

/** A reference checks less than a service has to; a stateless peer asks no store, so what it has given out holds. */
export type Kind = 'reference' | 'latchkey' | 'revocable' | 'stateless'

export interface Entrant extends Contender {
  kind: Kind
  /** What a good answer to the first request says. */
  owner: string
}

export const fixedName = '(a) bare node:http, no Redis'
export const oneGetName = '(b) bare node:http, one GET'
export const forwardAuthName = 'Latchkey, GET /forward-auth'
export const protectedName = 'Latchkey, GET /v1/protected'
export const introspectName = 'Latchkey, POST /oauth/introspect'

/**
 * Opens sessions in Latchkey, and makes ready what it and the two references are asked with them.
 *
 * @throws Error when one of them does not tell a session from a made-up one
 */
export async function enterOurs(
  stage: Stage,
  services: LocalServices,
  { fixed, latchkey }: { fixed: Server; latchkey: Server },
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
    [protectedName]: { server: latchkey, kind: 'latchkey', path: '/v1/protected', requests: bearers, owner: userId },
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

/** A server that says yes to everybody would be fast, and prove nothing. */
export async function mustSay(
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
export function forged({ headers: { authorization, cookie, ...headers }, body }: Request): Request {
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
export function introspection(token: string, clientId: string, secret: string): Request {
  return {
    headers: {
      authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: String(new URLSearchParams({ token, token_type_hint: 'access_token' })),
  }
}
