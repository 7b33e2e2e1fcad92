import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { AppError } from '../errors.ts'
import { readForm, readJsonDirectly } from './body.ts'
import { Exchange, jsonType, problemType, type Around } from './exchange.ts'
import { callerOf, checkBody, clientOf } from './guard.ts'
import { oauthErrorOf, type Problem } from './problems.ts'
import { takesBody, type Route, type Services } from './route.ts'
import { routes } from './routes/index.ts'

/**
 * Answers without Koa whatever a route takes that has no parameters in its path or after a `?`: token checks, logins,
 * refreshes.
 *
 * Koa's context, its middleware and its router take longer than a whole token check with its round trip to Redis
 * (figures: bench/README.md, "Where the time goes"). The routes are the same ones, declared and handled once, and their
 * answers are the same to the byte; a request that is in any way out of the ordinary (a query, another method, no Host)
 * is left to Koa.
 *
 * @returns what takes a request and answers it, or says `false` and has not touched it
 */
export function createDirect({ services, ...around }: Around & { services: Services }) {
  const direct = new Map<string | undefined, Map<string | undefined, Route>>()
  for (const route of routes.filter(isDirect)) {
    const ofPath = direct.get(route.path) ?? new Map<string, Route>()
    direct.set(route.path, ofPath.set(methodOf(route), route))
  }

  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const route = direct.get(request.url)?.get(request.method)
    if (route === undefined || request.headers.host === undefined) return false
    void answer(route, request, response)
    return true
  }

  async function answer(route: Route, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(around)
    try {
      const client = clientOf(request, services)
      const caller = await callerOf(route, request, client, services)
      const body = takesBody(route) ? checkBody(await readBody(route, request), route, services) : undefined
      const reply = await route.handle({ body, params: undefined, query: undefined, caller, client }, services)
      send(response, exchange, reply, jsonType)
    } catch (error) {
      const told = route.dialect === 'oauth' && error instanceof AppError ? oauthErrorOf(error) : null
      if (told) send(response, exchange, told, jsonType)
      else send(response, exchange, exchange.refuse(error), problemType)
    }
    exchange.done({ method: request.method!, route: route.path, status: response.statusCode })
  }
}

/** Whether all that a route needs is in the headers and the body. What admins do goes by the audit, and with Koa. */
export function isDirect({ path, auth, params, query }: Route): boolean {
  return auth !== 'admin' && !params && !query && !/[:*]/.test(path)
}

const readBody = ({ dialect }: Route, request: IncomingMessage): Promise<unknown> =>
  dialect === 'oauth' ? readForm(request) : readJsonDirectly(request)

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
  endAtOnce(response, text)
}

/** Ends an answer with one write to its connection; `end(text)` makes two of it, the second of them empty. */
function endAtOnce(response: ServerResponse, text: string): void {
  const { socket } = response
  if (text === '' || socket === null) return void response.end(text)
  socket.cork()
  response.write(text)
  socket.uncork()
  response.end()
}
