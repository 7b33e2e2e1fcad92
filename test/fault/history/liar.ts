import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'

/** A request as it came to the liar. */
interface Sent {
  path: string
  /** Bearer or Basic, as it stands in the header. */
  authorization: string
  body: string
}

interface Reply {
  status: number
  headers: Record<string, string>
  body: string
}

/** What a liar makes of a request: `pass` asks the service behind it. */
export type Lie = (sent: Sent, pass: () => Promise<Reply>) => Promise<Reply>

/** Stands before an instance and answers what it likes: a defect of the service that a checker must find. */
export async function startLiar(behind: () => string, lie: Lie): Promise<{ url: string; close: () => Promise<void> }> {
  const server = http.createServer((request, response) => {
    void answer(request).then(
      ({ status, headers, body }) => response.writeHead(status, headers).end(body),
      () => response.destroy(),
    )
  })

  async function answer(request: http.IncomingMessage): Promise<Reply> {
    const [path, body, { authorization = '', 'content-type': type }] = [
      request.url!,
      await text(request),
      request.headers,
    ]
    const pass = async () => {
      const response = await fetch(behind() + path, {
        method: request.method!,
        headers: {
          ...(authorization !== '' && { authorization }),
          ...(type !== undefined && { 'content-type': type }),
        },
        ...(body !== '' && { body }),
      })
      const headers = Object.fromEntries(response.headers)
      for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'date']) delete headers[name]
      return { status: response.status, headers, body: await response.text() }
    }
    return lie({ path, authorization, body }, pass)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const checks = new Set(['/v1/me', '/forward-auth', '/oauth/introspect'])

/** Keeps what it has been told of live tokens for some time. */
export function keepsChecks(forMs: number): Lie {
  const kept = new Map<string, { reply: Reply; until: number }>()
  return async (sent, pass) => {
    if (!checks.has(sent.path)) return pass()
    const key = JSON.stringify(sent)
    const known = kept.get(key)
    if (known && performance.now() < known.until) return known.reply
    const reply = await pass()
    if (reply.status === 200) kept.set(key, { reply, until: performance.now() + forMs })
    return reply
  }
}

/** Says that a logout is done when the service could not say so. */
export const claimsLogouts: Lie = async ({ path }, pass) => {
  const reply = await pass()
  if (path !== '/v1/auth/logout' || reply.status !== 503) return reply
  const { 'x-request-id': id, 'cache-control': cache } = reply.headers
  return { status: 204, headers: { 'x-request-id': id!, 'cache-control': cache! }, body: '' }
}

/** Says that an ending is done, and does it a moment later. */
export function endsLater(laterMs: number): Lie {
  return async ({ path, authorization }, pass) => {
    if (path !== '/v1/auth/logout' || authorization === '') return pass()
    void delay(laterMs).then(pass)
    return { status: 204, headers: { 'x-request-id': crypto.randomUUID(), 'cache-control': 'no-store' }, body: '' }
  }
}

/** Gives the first successor of a refresh token to whoever shows that token, also when it was spent long since. */
export function replaysForEver(): Lie {
  const successors = new Map<string, Reply>()
  return async ({ path, body }, pass) => {
    if (path !== '/v1/auth/refresh') return pass()
    const known = successors.get(body)
    if (known) return { ...known, headers: { ...known.headers, 'refresh-replayed': 'true' } }
    const reply = await pass()
    if (reply.status === 200) successors.set(body, reply)
    return reply
  }
}
