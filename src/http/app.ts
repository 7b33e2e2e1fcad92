import { METHODS, type RequestListener } from 'node:http'
import { Router } from '@koa/router'
import Koa, { type Context, type Next } from 'koa'
import { AppError } from '../errors.ts'
import type { Metrics } from '../metrics/index.ts'
import type { Readiness } from '../platform/readiness.ts'
import { adminOf, underAudit } from './admin.ts'
import { readForm, readJson } from './body.ts'
import { createDirect } from './direct.ts'
import { Exchange, jsonType, problemType, type Around } from './exchange.ts'
import { callerOf, checkBody, clientOf, readParams, readQuery } from './guard.ts'
import { addPages } from './pages/index.ts'
import { oauthErrorOf } from './problems.ts'
import { takesBody, type Bearer, type Route, type Services } from './route.ts'
import { routes } from './routes/index.ts'
import * as service from './routes/service.ts'

export const urlMaxChars = 8192

/** The HTTP API over the services. */
export function createApp({ services, ...around }: Around & { services: Services }): RequestListener {
  const takes = createDirect({ services, ...around })
  const koa = assemble(around, (router) => {
    for (const route of routes) {
      const methods = route.method === 'any' ? METHODS : [route.method]
      const answer = route.dialect === 'oauth' ? runInOauth : run
      router.register(route.path, methods, (ctx) => answer(route, ctx, services))
    }
    addPages(router, services)
  })
  return (request, response) => {
    if (!takes(request, response)) koa(request, response)
  }
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
}: Around & { readiness: Readiness; metrics: Pick<Metrics, 'text' | 'contentType'> }): RequestListener {
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

function assemble(around: Around, addTo: (router: Router) => void): RequestListener {
  const app = new Koa()
  app.silent = true
  app.use((ctx, next) => answerAll(ctx, next, around))
  const router = new Router({ strict: true, sensitive: true })
  addTo(router)
  app.use(router.routes())
  app.use(nothingHere)
  const handle = app.callback()
  return (request, response) => void handle(request, response)
}

/** The outermost layer: what every answer carries, and every error as a problem. */
async function answerAll(ctx: Context, next: Next, around: Around): Promise<void> {
  const exchange = new Exchange(around)
  ctx.state['exchange'] = exchange
  ctx.set('X-Request-Id', exchange.requestId)
  ctx.set('Cache-Control', 'no-store')
  ctx.set('X-Content-Type-Options', 'nosniff')
  try {
    if (ctx.url.length > urlMaxChars) throw new AppError('uri-too-long')
    if (ctx.req.headers.host === undefined && ctx.req.httpVersion === '1.1') throw new AppError('malformed-request')
    await next()
  } catch (error) {
    const { status, headers, body } = exchange.refuse(error)
    send(ctx, status, body, headers, problemType)
  }
  if (exchange.isLast) ctx.set('Connection', 'close')
  const route = (ctx['_matchedRoute'] as string | undefined) ?? 'none'
  exchange.done({ method: ctx.method, route, status: ctx.status })
}

async function run(route: Route, ctx: Context, services: Services): Promise<void> {
  const { mustBeAdmin } = services.accounts.administration
  const client = clientOf(ctx.req, services)
  const caller = await callerOf(route, ctx.req, client, services)
  const answer = async () => {
    const params = route.params ? readParams(route.params, ctx['params']) : undefined
    const query = route.query ? readQuery(route.query, ctx.querystring) : undefined
    const body = takesBody(route) ? checkBody(await readBody(route, ctx), route, services) : undefined
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
    send(ctx, told.status, told.body, told.headers, jsonType)
  }
}

const readBody = ({ dialect }: Route, ctx: Context): Promise<unknown> =>
  dialect === 'oauth' ? readForm(ctx.req) : readJson(ctx)

function sendReply(
  ctx: Context,
  { status, body, headers }: { status: number; body: unknown; headers?: Record<string, string> },
): void {
  send(ctx, status, body, headers, jsonType)
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
