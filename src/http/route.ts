import type { z } from 'zod'
import type { Accounts, Caller, DeadSession, Written } from '../accounts/index.ts'
import type { Actor, Audit } from '../audit/index.ts'
import type { Clients } from '../clients/index.ts'
import type { AppError, ErrorCode } from '../errors.ts'
import type { Trust } from '../platform/address.ts'
import type { Clock } from '../platform/clock.ts'
import type { Readiness } from '../platform/readiness.ts'
import type { Card, Client, Session, Sessions } from '../sessions/index.ts'
import type { createSettings } from '../settings/index.ts'
import type { Throttle } from '../throttle/index.ts'

/** What the routes may call. */
export interface Services {
  accounts: Accounts
  clients: Clients
  sessions: Sessions
  throttle: Throttle
  audit: Audit
  settings: Pick<ReturnType<typeof createSettings<Actor>>, 'list' | 'change'>
  trustsProxy: Trust
  readiness: Readiness
  clock: Clock
  version: string
  /** Where this service is reached, without a slash at its end. */
  publicUrl: string
  /** Whether the links in mails lead here, since there is no front end. */
  hasOwnPages: boolean
}

/** Who sent a request: the caller's session, and the card of its person as far as Redis has it. */
export interface Bearer extends Caller {
  session: Session
  card: Card | null
}

/** A token that opens nothing: what its bearer is told, and whose session it once opened, if that has ended. */
export interface Refused {
  refusal: AppError
  ended: DeadSession | null
}

type Auth = 'none' | 'bearer' | 'optional-bearer' | 'admin' | 'client'
/** `any`: every method there is; a body that comes with it is not read. */
type Method = 'get' | 'post' | 'put' | 'patch' | 'delete' | 'any'
type Replies = { readonly [Status in 200 | 201 | 202 | 204]?: z.ZodType }

interface RequestOf<A extends Auth, B, P, Q> {
  body: B
  params: P
  query: Q
  caller: A extends 'bearer' | 'admin' ? Bearer : A extends 'optional-bearer' ? Bearer | Refused : null
  client: Client
}

type ReplyOf<R extends Replies, H extends string> = {
  [Status in keyof R & number]: {
    status: Status
    body: R[Status] extends z.ZodType ? z.input<R[Status]> : never
    headers?: Partial<Record<H, string>>
  }
}[keyof R & number]

interface Declaration<A extends Auth, B, P, Q, R extends Replies, H extends string> {
  method: Method
  path: string
  summary: string
  /**
   * `optional-bearer`: a live token makes a caller; with any other the handler gets the refusal and decides. `admin`: the
   * caller is one now, as PostgreSQL has it, and the call leaves an event in the audit. `client`: the credentials of a
   * service.
   */
  auth: A
  /** `oauth`: takes a form, and says what is wrong with a request as RFC 6749 §5.2 does. */
  dialect?: 'oauth'
  /** Where one of them is whom the call is about, it is called `user_id`. */
  params?: z.ZodType<P>
  /** The parameters after the `?`. Without a schema they are not looked at. */
  query?: z.ZodType<Q>
  body?: z.ZodType<B>
  /** Where members of the body are what people write about themselves: which, so that all their faults are told at once. */
  written?: (members: Partial<B>) => Written
  replies: R
  /** The headers that its replies may have beyond those of every answer, and what each tells. */
  headers?: Readonly<Record<H, string>>
  /** Whether it answers also when both stores are away. */
  needsNoStore?: true
  /** Beyond those that every route of its kind has, see {@link problemsOf}. */
  problems: readonly ErrorCode[]
  handle(request: RequestOf<A, B, P, Q>, services: Services): Promise<NoInfer<ReplyOf<R, H>>>
}

/** A route with its types worn off, as the router and the API description use it. */
export interface Route {
  method: Method
  path: string
  summary: string
  auth: Auth
  dialect?: 'oauth'
  params?: z.ZodType
  query?: z.ZodType
  body?: z.ZodType
  written?: (members: Record<string, unknown>) => Written
  replies: Replies
  headers?: Readonly<Record<string, string>>
  needsNoStore?: true
  problems: readonly ErrorCode[]
  handle(
    request: { body: unknown; params: unknown; query: unknown; caller: Bearer | Refused | null; client: Client },
    services: Services,
  ): Promise<{ status: number; body: unknown; headers?: Record<string, string> }>
}

/**
 * Declares a route: the one place that says what goes in, what comes out and what may go wrong.
 *
 * From it come the types of the handler, the checks at run time and the description of the API.
 */
export function defineRoute<
  A extends Auth,
  R extends Replies,
  B = undefined,
  P = undefined,
  Q = undefined,
  H extends string = never,
>(declaration: Declaration<A, B, P, Q, R, H>): Route {
  return declaration as unknown as Route
}

/** An answer, with its status as a literal so that it is held against the declared replies. */
export function reply<Status extends number, const Body>(
  status: Status,
  body: Body,
  headers?: Record<string, string>,
): { status: Status; body: Body; headers?: Record<string, string> } {
  return headers ? { status, body, headers } : { status, body }
}

/** Whether a route reads the body of a request, if only to see that there is none. */
export function takesBody({ method }: Route): boolean {
  return method !== 'get' && method !== 'any'
}

/** Whether a route is for the bearers of live access tokens only. */
export function demandsBearer({ auth }: Route): boolean {
  return auth === 'bearer' || auth === 'admin'
}

/** Every problem a route may answer with: its own, and those that its authentication and body bring. */
export function problemsOf(route: Route): ErrorCode[] {
  return [
    ...route.problems,
    ...(demandsBearer(route) ? (['authentication-required', 'invalid-token'] as const) : []),
    ...(route.auth === 'client' ? (['invalid-client'] as const) : []),
    ...(route.auth === 'admin' ? (['forbidden'] as const) : []),
    ...(route.query ? (['validation-failed'] as const) : []),
    ...(route.auth === 'none' ? [] : (['too-many-attempts'] as const)),
    ...(route.params ? (['not-found'] as const) : []),
    ...(takesBody(route)
      ? (['validation-failed', 'malformed-request', 'payload-too-large', 'unsupported-media-type'] as const)
      : []),
    'uri-too-long',
    ...(route.needsNoStore ? [] : (['unavailable'] as const)),
    'internal-error',
  ]
}
