/**
 * A client of Latchkey for TypeScript, to copy into an application together with `api.ts`, and to change there.
 *
 * It needs `fetch` and no package: it runs in browsers, in Node 20 and newer, and in other places that have `fetch`. It sends
 * the access token, refreshes it when it has expired (once, however many calls find that out at the same time), and says
 * when the person is signed out.
 */
import type { components, paths } from './api.ts'

type Schemas = components['schemas']
export type TokenResponse = Schemas['TokenResponse']
export type Problem = Schemas['Problem']

/** What the client keeps of a token response. */
export type TokenPair = Pick<TokenResponse, 'access_token' | 'refresh_token'>

/** Why the person is signed out: they logged out here, or the `reason` of a refused refresh. */
export type SignedOutReason = 'logged-out' | 'unknown' | 'expired' | 'ended' | 'reused'

export interface Options {
  /** Where Latchkey is, without a slash at the end, such as `https://login.example.com`. */
  url: string
  /** The pair that was kept the last time; none to begin signed out. */
  pair?: TokenPair | null
  /** Keeps a new pair, or forgets it. Calls wait for it before they use a new pair, so that none is lost. */
  keep?: (pair: TokenPair | null) => void | Promise<void>
  /** Called once when a session is over; show the login form. */
  onSignedOut?: (reason: SignedOutReason) => void
}

/** An answer of Latchkey other than success; `problem.code` says which. */
export class LatchkeyError extends Error {
  override name = 'LatchkeyError'
  readonly problem: Problem
  /** With 429 and 503: how long to wait before another try. The person is still signed in. */
  readonly retryAfterSeconds: number | null

  constructor(problem: Problem, retryAfterSeconds: number | null) {
    super(problem.detail)
    this.problem = problem
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** There is no session, or none any more: the person has to log in. */
export class SignedOutError extends Error {
  override name = 'SignedOutError'
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
type ApiPath = Extract<keyof paths, `/v1/${string}`>
type MethodOf<P extends ApiPath> = { [M in Method]: paths[P][M] extends { responses: object } ? M : never }[Method]
type OperationOf<P extends ApiPath, M extends Method> = Extract<
  paths[P][M],
  { responses: object; parameters: { path?: unknown; query?: unknown } }
>
type JsonIn<Message> = Message extends { content: { 'application/json': infer Body } } ? Body : undefined
type BodyOf<O> = O extends { requestBody: infer Request }
  ? { body: JsonIn<Request> }
  : O extends { requestBody?: infer Request }
    ? { body?: JsonIn<NonNullable<Request>> }
    : unknown
type Given<P extends ApiPath, M extends Method> = Pick<OperationOf<P, M>['parameters'], 'path' | 'query'> &
  BodyOf<OperationOf<P, M>>
type Success = 200 | 201 | 202 | 204
type AnswerOf<P extends ApiPath, M extends Method> = {
  [Status in keyof OperationOf<P, M>['responses'] & Success]: JsonIn<OperationOf<P, M>['responses'][Status]>
}[keyof OperationOf<P, M>['responses'] & Success]

/** What a call sends, whatever the types of its operation. */
interface Sent {
  path?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
}

export type Latchkey = ReturnType<typeof createLatchkey>

/** A client for one person, signed in or not. */
export function createLatchkey({ url, pair = null, keep = () => undefined, onSignedOut = () => undefined }: Options) {
  let current = pair
  let refreshing: Promise<void> | null = null

  async function hold({ access_token, refresh_token }: TokenPair): Promise<void> {
    current = { access_token, refresh_token }
    await keep(current)
  }

  async function forget(reason: SignedOutReason): Promise<void> {
    if (current === null) return
    current = null
    await keep(null)
    onSignedOut(reason)
  }

  const isSignedOut = () => current === null

  /** Spends the refresh token. Whoever comes while that is under way waits for the same answer. */
  function refresh(): Promise<void> {
    refreshing ??= spendRefreshToken().finally(() => (refreshing = null))
    return refreshing
  }

  async function spendRefreshToken(): Promise<void> {
    if (current === null) throw new SignedOutError()
    const { refresh_token } = current
    const ask = () => send('post', '/v1/auth/refresh', { body: { refresh_token } })
    // The answer may be lost on its way. Asked again within 30 seconds, Latchkey gives the very same pair.
    const response = await ask().catch(ask)
    if (response.ok) {
      const next = (await response.json()) as TokenResponse
      if (isSignedOut()) throw new SignedOutError() // by a logout, while this answer was on its way
      return hold(next)
    }
    const error = await errorOf(response)
    // Everything else, such as 429 or 503, says nothing about the session: the pair stays.
    if (error.problem.code !== 'invalid-refresh-token') throw error
    await forget(error.problem.reason as SignedOutReason)
    throw new SignedOutError(error.message)
  }

  function send(method: Method, path: string, { path: inPath, query, body }: Sent, init: RequestInit = {}) {
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(inPath?.[name] ?? ''))
    const search = query ? `?${new URLSearchParams(query).toString()}` : ''
    const headers = new Headers(init.headers)
    if (body !== undefined) headers.set('content-type', 'application/json')
    return fetch(url + filled + search, {
      ...init,
      method: method.toUpperCase(),
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  }

  /** Asks with the access token, and once more with a new one if that one has expired. */
  async function withToken(ask: (authorization: string) => Promise<Response>): Promise<Response> {
    await refreshing
    if (current === null) throw new SignedOutError()
    const used = current.access_token
    const response = await ask(`Bearer ${used}`)
    // RFC 6750 §3.1: this access token is not good, or not any more.
    if (!response.headers.get('www-authenticate')?.includes('error="invalid_token"')) return response
    await response.body?.cancel()
    // Somebody else may have refreshed while this answer was on its way.
    if (current?.access_token === used) await refresh()
    if (current === null) throw new SignedOutError()
    return ask(`Bearer ${current.access_token}`)
  }

  async function signIn(path: '/v1/auth/login' | '/v1/auth/register', body: unknown): Promise<TokenResponse | null> {
    const response = await send('post', path, { body })
    if (!response.ok) throw await errorOf(response)
    if (response.status === 202) return null
    const answer = (await response.json()) as TokenResponse
    await hold(answer)
    return answer
  }

  return {
    /** Opens a session. */
    login: (body: Schemas['LoginBody']) => signIn('/v1/auth/login', body) as Promise<TokenResponse>,

    /** Registers an account; null where its address must be confirmed before the first login. */
    register: (body: Schemas['RegisterBody']) => signIn('/v1/auth/register', body),

    /** Calls a route of Latchkey that takes an access token. */
    async call<P extends ApiPath, M extends MethodOf<P>>(
      method: M,
      path: P,
      ...[given]: object extends Given<P, M> ? [given?: Given<P, M>] : [given: Given<P, M>]
    ): Promise<AnswerOf<P, M>> {
      const sent = (given ?? {}) as Sent
      const response = await withToken((authorization) => send(method, path, sent, { headers: { authorization } }))
      if (!response.ok) throw await errorOf(response)
      const answer: unknown = response.status === 204 ? undefined : await response.json()
      const isNewPair = typeof answer === 'object' && answer !== null && 'refresh_token' in answer
      if (isNewPair) await hold(answer as TokenResponse)
      return answer as AnswerOf<P, M>
    },

    /** `fetch` with the access token, for a service of your own; its body must be one that can be sent twice. */
    fetch: (input: string | URL, init: RequestInit = {}) =>
      withToken((authorization) => {
        const headers = new Headers(init.headers)
        headers.set('authorization', authorization)
        return fetch(input, { ...init, headers })
      }),

    /**
     * Ends the session. The refresh token says which, as it lives longer than the access token.
     *
     * @throws LatchkeyError `unavailable` when it could not be confirmed: then repeat it; the pair is still there for that
     */
    async logout(): Promise<void> {
      await refreshing?.catch(() => undefined)
      if (current === null) return
      const { refresh_token } = current
      const response = await send('post', '/v1/auth/logout', { body: { refresh_token } })
      if (!response.ok) throw await errorOf(response)
      await forget('logged-out')
    },
  }
}

async function errorOf(response: Response): Promise<LatchkeyError> {
  const seconds = response.headers.get('retry-after')
  return new LatchkeyError((await response.json()) as Problem, seconds === null ? null : Number(seconds))
}
