/**
 * The references that Latchkey is compared with: Node's own HTTP server with nothing around it.
 *
 * `node bench/servers/bare.ts fixed` answers at once; `… redis` first looks up the digest of the bearer token, which is
 * the least that any check of an opaque token has to do. Prints its address when it listens.
 */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { digest } from '../../src/platform/digest.ts'

const fixed: RequestListener = (_request, response) => {
  response.end('ok')
}

/** Reads the very pointers that Latchkey wrote, so that both look at the same keys. */
function oneGet(redis: Redis): RequestListener {
  async function answer(...[request, response]: Parameters<RequestListener>): Promise<void> {
    const token = request.headers.authorization?.slice('Bearer '.length) ?? ''
    try {
      const pointer = await redis.get(`latchkey:at:${digest(token)}`)
      response.statusCode = pointer === null ? 401 : 200
    } catch {
      response.statusCode = 503
    }
    response.end('ok')
  }
  return (request, response) => void answer(request, response)
}

const listener = process.argv[2] === 'redis' ? oneGet(new Redis(process.env['REDIS_URL'] ?? '')) : fixed
const server = createServer(listener).listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
