import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { AppError, type Fault } from '../errors.ts'
import { clientAddressOf } from '../platform/address.ts'
import type { Client } from '../sessions/index.ts'
import { demandsBearer, type Bearer, type Refused, type Route, type Services } from './route.ts'

const bearer = /^bearer +([\w.~+/=-]+) *$/i
const basic = /^basic +([\w+/-]+=*) *$/i
const userAgentMax = 255
/** What a route takes that declares no body: none, or an empty object. */
const noMembers = z.strictObject({})

/** Who asks, as far as the route wants to know. @throws AppError when it must know and they do not say */
export async function callerOf(
  route: Route,
  request: IncomingMessage,
  client: Client,
  services: Services,
): Promise<Bearer | Refused | null> {
  if (route.auth === 'none') return null
  if (route.auth === 'client') {
    await checkClient(request, client, services)
    return null
  }
  const caller = await checkBearer(request, client, services)
  if (demandsBearer(route) && 'refusal' in caller) throw caller.refusal
  return caller
}

/**
 * Checks the access token of the Authorization header; it is read from nowhere else (RFC 6750 §2.1).
 *
 * The refusal is `authentication-required` without a bearer token and `invalid-token` with a dead one. A token that is
 * not known costs the client's address a point; who has none left is told `too-many-attempts` in its place. A good token
 * is never asked for points, so whoever guesses keeps nobody else at their address out.
 *
 * @throws AppError `unavailable`
 */
async function checkBearer(
  { headers: { authorization } }: IncomingMessage,
  client: Client,
  services: Services,
): Promise<Bearer | Refused> {
  const token = authorization && bearer.exec(authorization)?.[1]
  if (!token) {
    const isBearer = authorization !== undefined && /^bearer( |$)/i.test(authorization)
    const refusal = isBearer ? await unknownToken(client, services) : new AppError('authentication-required')
    return { refusal, ended: null }
  }
  const checked = await services.sessions.check(token)
  if (checked.kind === 'live') {
    const { session, card } = checked
    return { userId: session.userId, sessionId: session.id, session, card, client }
  }
  if (checked.kind === 'unknown') return { refusal: await unknownToken(client, services), ended: null }
  const ended = checked.kind === 'ended' ? checked : null
  return { refusal: new AppError('invalid-token', { reason: checked.reason }), ended }
}

/**
 * Checks the credentials of a service in the Authorization header (HTTP Basic, RFC 6749 §2.3.1).
 *
 * Every refusal is the same. Credentials that are wrong cost the client's address a point, like a token that is not
 * known.
 *
 * @throws AppError `invalid-client`, `too-many-attempts`; `unavailable` before the clients were read once
 */
async function checkClient(
  { headers: { authorization } }: IncomingMessage,
  { address }: Client,
  services: Services,
): Promise<void> {
  if (authorization === undefined || !/^basic( |$)/i.test(authorization)) throw new AppError('invalid-client')
  const credentials = credentialsIn(authorization)
  if (credentials && services.clients.verify(credentials.id, credentials.secret)) return
  throw (await services.throttle.spend('wrong-tokens', { address })) ?? new AppError('invalid-client')
}

/** Id and secret, each form-encoded on its own, with a colon between them; null for what is no such thing. */
function credentialsIn(authorization: string): { id: string; secret: string } | null {
  const encoded = basic.exec(authorization)?.[1]
  if (encoded === undefined) return null
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1) return null
  try {
    return { id: formDecoded(text.slice(0, colon)), secret: formDecoded(text.slice(colon + 1)) }
  } catch {
    return null
  }
}

/** @throws URIError */
function formDecoded(text: string): string {
  return /[%+]/.test(text) ? decodeURIComponent(text.replaceAll('+', ' ')) : text
}

async function unknownToken({ address }: Client, { throttle }: Services): Promise<AppError> {
  return (await throttle.spend('wrong-tokens', { address })) ?? new AppError('invalid-token', { reason: 'unknown' })
}

/** The client as its connection shows it, or the trusted proxies before it. */
export function clientOf(request: IncomingMessage, { trustsProxy }: Services): Client {
  const userAgent = request.headers['user-agent']
  return {
    address: clientAddressOf(request, trustsProxy),
    userAgent: userAgent?.slice(0, userAgentMax) ?? null,
  }
}

/** @throws AppError `not-found`: an id that cannot be one is like one that is not there */
export function readParams(schema: z.ZodType, params: unknown): unknown {
  const parsed = schema.safeParse(params)
  if (!parsed.success) throw new AppError('not-found')
  return parsed.data
}

/**
 * Reads the parameters after the `?`, each at most once.
 *
 * @throws AppError `validation-failed` that names every parameter at fault
 */
export function readQuery(schema: z.ZodType, querystring: string): unknown {
  const sent = new URLSearchParams(querystring)
  const repeated = [...new Set(sent.keys())].filter((name) => sent.getAll(name).length > 1)
  const query = Object.fromEntries(sent)
  const parsed = schema.safeParse(query)
  const faults = repeated.map((name): Fault => Object.assign(place([name]), { detail: 'must not be repeated' }))
  if (!parsed.success) faults.push(...faultsIn(query, schema))
  if (faults.length > 0) throw new AppError('validation-failed', { faults })
  return parsed.data
}

/**
 * Checks a body that was read against its schema.
 *
 * When the shape is wrong somewhere, the rules for the other members are asked as well, so that one answer names every
 * invalid member.
 *
 * @throws AppError `validation-failed`
 */
export function checkBody(sent: unknown, { body: schema = noMembers, written }: Route, services: Services): unknown {
  const parsed = schema.safeParse(sent)
  if (parsed.success) return parsed.data
  const faults = faultsIn(sent, schema)
  if (written && typeof sent === 'object' && sent !== null) {
    const faulty = new Set(faults.map(({ member }) => member))
    const sound = Object.entries(sent).filter(([name]) => !faulty.has(name))
    faults.push(...services.accounts.faults(written(Object.fromEntries(sound))))
  }
  throw new AppError('validation-failed', { faults })
}

/** Looks again at what is at fault: to carry along what was sent takes longer than the check (figures: bench/README.md). */
function faultsIn(sent: unknown, schema: z.ZodType): Fault[] {
  return schema.safeParse(sent, { reportInput: true }).error!.issues.flatMap(faultsOfIssue)
}

function faultsOfIssue(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ ...place([...path, key]), detail: 'is not known here' }))
  return [{ ...place(path), detail: sentenceOf(issue) }]
}

/** Where a member is, by its name and as a JSON Pointer (RFC 6901). */
function place(path: string[]): Pick<Fault, 'member' | 'pointer'> {
  const escaped = path.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
  return { member: path.join('/'), pointer: escaped.join('') }
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.path.length === 0) return 'must be a JSON object'
      return issue.input === undefined ? 'is required' : `must be a ${issue.expected}`
    case 'too_big':
      return `must have at most ${issue.maximum} characters`
    default:
      return issue.message
  }
}
