import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { AppError } from '../errors.ts'
import { readForm } from './body.ts'
import { Exchange, jsonType, problemType, type Around } from './exchange.ts'
import { checkBearer, checkBody, checkClient, clientOf } from './guard.ts'
import { oauthErrorOf, type Problem } from './problems.ts'
import type { Route, Services } from './route.ts'
import { routes } from './routes/index.ts'

/**
 * Answers the requests that come most often without Koa: token checks for gateways and services, and whatever else asks
 * with GET for something of the bearer, or with a form about a token.
 *
 * Koa's context, its middleware and its router take longer than a whole token check with its round trip to Redis
 * (figures: bench/README.md, "Where the time goes"). The routes are the same ones, declared and handled once, and their
 * answers are the same to the byte; a request that is in any way out of the ordinary (a query, another method, no Host)
 * is left to Koa.
 *
 * @returns what takes a request and answers it, or says `false` and has not touched it
 */
export function createDirect({ services, ...around }: Around & { services: Services }) {
  const direct = new Map(routes.filter(isDirect).map((route) => [`${methodOf(route)} ${route.path}`, route]))

  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const route = direct.get(`${request.method} ${request.url}`)
    if (route === undefined || request.headers.host === undefined) return false
    void answer(route, request, response)
    return true
  }

  async function answer(route: Route, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(around)
    try {
      const client = clientOf(request, services)
      const asked = { body: undefined as unknown, params: undefined, query: undefined, caller: null, client }
      let reply: ReturnType<Route['handle']>
      if (route.auth === 'bearer') {
        const caller = await checkBearer(request, client, services)
        if ('refusal' in caller) throw caller.refusal
        reply = route.handle({ ...asked, caller }, services)
      } else {
        if (route.auth === 'client') await checkClient(request, client, services)
        reply = route.handle({ ...asked, body: checkBody(await readForm(request), route, services) }, services)
      }
      send(response, exchange, await reply, jsonType)
    } catch (error) {
      const told = route.dialect === 'oauth' && error instanceof AppError ? oauthErrorOf(error) : null
      if (told) send(response, exchange, told, jsonType)
      else send(response, exchange, exchange.refuse(error), problemType)
    }
    exchange.done({ method: request.method!, route: route.path, status: response.statusCode })
  }
}

/** Whether all that a route needs to know is in the Authorization header and, where it is about a token, in a form. */
function isDirect({ method, path, auth, params, query, dialect }: Route): boolean {
  if (params || query || path.includes(':') || path.includes('*')) return false
  return auth === 'bearer' ? method === 'get' || method === 'any' : dialect === 'oauth' && method === 'post'
}

const methodOf = ({ method }: Route) => (method === 'any' ? 'GET' : method.toUpperCase())

type Said = Pick<Problem, 'status'> & { headers?: Record<string, string> | undefined; body: unknown }

/** Sends an answer whole, its headers as one list: nothing is set, looked up and serialised one by one. */
function send(response: ServerResponse, exchange: Exchange, { status, headers, body }: Said, type: string): void {
  const text = body === null ? '' : JSON.stringify(body)
  const list = ['X-Request-Id', exchange.requestId, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff']
  for (const name in headers) list.push(name, headers[name]!)
  if (body !== null) list.push('Content-Type', type)
  if (status !== 204) list.push('Content-Length', String(Buffer.byteLength(text)))
  if (exchange.isLast) list.push('Connection', 'close')
  response.writeHead(status, STATUS_CODES[status], list)
  response.end(text)
}
