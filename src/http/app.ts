import { METHODS } from 'node:http'
import { Router } from '@koa/router'
import Koa, { type Context, type Next } from 'koa'
import { v4 } from 'uuid'
import { AppError } from '../errors.ts'
import type { Metrics } from '../metrics/index.ts'
import type { Log, LogFields } from '../platform/log.ts'
import type { Readiness } from '../platform/readiness.ts'
import type { Client } from '../sessions/index.ts'
import { adminOf, underAudit } from './admin.ts'
import { checkBearer, checkClient, clientOf, readBody, readParams, readQuery } from './guard.ts'
import { oauthErrorOf, problemOf } from './problems.ts'
import { demandsBearer, takesBody, type Bearer, type Refused, type Route, type Services } from './route.ts'
import { routes } from './routes/index.ts'
import * as service from './routes/service.ts'

export const urlMaxChars = 8192

interface Around {
  log: Log
  stopping: () => boolean
}

/** The HTTP API over the services, as a Koa application. */
export function createApp({ services, ...around }: Around & { services: Services }): Koa {
  return assemble(around, (router) => {
    for (const route of routes) {
      const methods = route.method === 'any' ? METHODS : [route.method]
      const answer = route.dialect === 'oauth' ? runInOauth : run
      router.register(route.path, methods, (ctx) => answer(route, ctx, services))
    }
  })
}

/**
 * What the internal listener serves: metrics and health, and nothing else.
 *
 * Metrics tell how many people use a service and what they do there; so they are served where strangers do not get.
 */
export function createOpsApp({
  readiness,
  metrics,
  ...around
}: Around & { readiness: Readiness; metrics: Pick<Metrics, 'text' | 'contentType'> }): Koa {
  return assemble(around, (router) => {
    router.get(service.live.path, (ctx) => sendReply(ctx, service.sayLive()))
    router.get(service.ready.path, async (ctx) => sendReply(ctx, await service.sayReady(readiness)))
    router.get('/metrics', async (ctx) => {
      const text = await metrics.text()
      ctx.set('Content-Type', metrics.contentType)
      ctx.body = text
    })
  })
}

function assemble({ log, stopping }: Around, addTo: (router: Router) => void): Koa {
  const app = new Koa()
  app.silent = true
  app.use((ctx, next) => answerAll(ctx, next, log, stopping))
  const router = new Router({ strict: true, sensitive: true })
  addTo(router)
  app.use(router.routes())
  app.use(nothingHere)
  return app
}

/** The outermost layer: what every answer carries, and every error as a problem. */
async function answerAll(ctx: Context, next: Next, log: Log, stopping: () => boolean): Promise<void> {
  const startedAt = performance.now()
  const requestId = v4()
  ctx.set('X-Request-Id', requestId)
  ctx.set('Cache-Control', 'no-store')
  ctx.set('X-Content-Type-Options', 'nosniff')
  let problem: AppError | undefined
  try {
    if (ctx.url.length > urlMaxChars) throw new AppError('uri-too-long')
    if (ctx.req.headers.host === undefined && ctx.req.httpVersion === '1.1') throw new AppError('malformed-request')
    await next()
  } catch (error) {
    const told = error instanceof AppError ? error : new AppError('internal-error', { cause: error })
    problem = told
    const { status, headers, body } = problemOf(told, requestId)
    if (status >= 500)
      log(status === 503 ? 'store.failed' : 'request.failed', { request_id: requestId, ...causeOf(told) })
    send(ctx, status, body, headers, 'application/problem+json; charset=utf-8')
  }
  if (stopping()) ctx.set('Connection', 'close')
  log('request.done', {
    request_id: requestId,
    method: ctx.method,
    route: (ctx['_matchedRoute'] as string | undefined) ?? 'none',
    status: ctx.status,
    ...(problem && { code: problem.code, ...(problem.reason !== undefined && { reason: problem.reason }) }),
    duration_ms: Math.round((performance.now() - startedAt) * 1000) / 1000,
  })
}

/** What a log may say of a cause: its kind and where it came from, not its message, which may quote the caller. */
function causeOf({ cause }: AppError): LogFields {
  if (!(cause instanceof Error)) return {}
  const { code } = cause as { code?: unknown }
  return {
    error: typeof code === 'string' ? `${cause.name} ${code}` : cause.name,
    ...(cause.stack && {
      stack: cause.stack
        .split('\n')
        .filter((line) => line.startsWith('    at '))
        .join('\n'),
    }),
  }
}

async function run(route: Route, ctx: Context, services: Services): Promise<void> {
  const { mustBeAdmin } = services.accounts.administration
  const client = clientOf(ctx, services)
  const caller = await callerOf(route, ctx, client, services)
  const answer = async () => {
    const params = route.params ? readParams(route.params, ctx['params']) : undefined
    const query = route.query ? readQuery(route.query, ctx.querystring) : undefined
    const body = takesBody(route) ? await readBody(ctx, route, services) : undefined
    // A body may be half a minute under way, long enough to be demoted in.
    if (route.auth === 'admin' && takesBody(route)) await mustBeAdmin((caller as Bearer).userId)
    return route.handle({ body, params, query, caller, client }, services)
  }
  const reply =
    route.auth === 'admin'
      ? await underAudit(route, ctx['params'], adminOf(caller as Bearer), services, answer)
      : await answer()
  sendReply(ctx, reply)
}

/** Like {@link run}, for clients that expect the errors of OAuth. */
async function runInOauth(route: Route, ctx: Context, services: Services): Promise<void> {
  try {
    await run(route, ctx, services)
  } catch (error) {
    const told = error instanceof AppError && oauthErrorOf(error)
    if (!told) throw error
    send(ctx, told.status, told.body, told.headers, 'application/json; charset=utf-8')
  }
}

/** Who asks, as far as the route wants to know. @throws AppError when it must know and they do not say */
async function callerOf(
  route: Route,
  ctx: Context,
  client: Client,
  services: Services,
): Promise<Bearer | Refused | null> {
  if (route.auth === 'none') return null
  if (route.auth === 'client') {
    await checkClient(ctx, client, services)
    return null
  }
  const caller = await checkBearer(ctx, client, services)
  if (demandsBearer(route) && 'refusal' in caller) throw caller.refusal
  return caller
}

function sendReply(
  ctx: Context,
  { status, body, headers }: { status: number; body: unknown; headers?: Record<string, string> },
): void {
  send(ctx, status, body, headers, 'application/json; charset=utf-8')
}

function send(
  ctx: Context,
  status: number,
  body: unknown,
  headers: Record<string, string> | undefined,
  type: string,
): void {
  ctx.status = status
  if (headers) ctx.set(headers)
  if (body === null) {
    if (status === 204) ctx.body = null
    else sendNothing(ctx)
    return
  }
  ctx.set('Content-Type', type)
  ctx.body = JSON.stringify(body)
}

/** An empty body under a status that may have one; Koa would make it a 204. */
function sendNothing(ctx: Context): void {
  ctx.body = ''
  ctx.remove('Content-Type')
}

/** For paths that no route has, and methods that a path does not take (RFC 9110 §15.5.6); answers OPTIONS as well. */
async function nothingHere(ctx: Context): Promise<void> {
  const layers = (ctx['matched'] ?? []) as { methods: string[] }[]
  if (layers.length === 0) throw new AppError('not-found')
  ctx.set('Allow', [...new Set([...layers.flatMap(({ methods }) => methods), 'OPTIONS'])].join(', '))
  if (ctx.method !== 'OPTIONS') throw new AppError('method-not-allowed')
  ctx.status = 204
}
