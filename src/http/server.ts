import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { v4 } from 'uuid'
import { AppError, type ErrorCode } from '../errors.ts'
import { urlMaxChars } from './app.ts'
import { problemType } from './exchange.ts'
import { problemOf } from './problems.ts'

const headersTimeoutMs = 15_000
const requestTimeoutMs = 30_000
/** Longer than the idle time-out of common load balancers (60 s), so that it is they who close first. */
const keepAliveTimeoutMs = 65_000
const headersMaxBytes = 32 * 1024
/** Longer than any answer waits for the stores (5 s), and what is left of ten seconds is enough to let go of them. */
const drainMaxMs = 6_000
/** Whoever asks more often than this learns from an answer that the connection closes, and loses no request by it. */
const announceMs = 100

export interface Listener {
  url: string
  /** Lets requests in flight finish for so long, 6 seconds unless told, and cuts what has not ended by then. */
  close(drainMaxMs?: number): Promise<void>
}

/** Listens for HTTP; slow and oversized requests are cut off with a problem. */
export async function listen(
  answer: RequestListener,
  { host, port }: { host: string; port: number },
): Promise<Listener> {
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      maxHeaderSize: headersMaxBytes,
      requireHostHeader: false, // the application asks for it, to answer with a problem
      connectionsCheckingInterval: 5_000,
    },
    answer,
  )
  server.on('clientError', answerUnreadable)
  server.on('checkExpectation', answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { address, family, port: taken } = server.address() as AddressInfo
  const name = address === '::' || address === '0.0.0.0' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address
  return { url: `http://${name}:${taken}`, close: (maxMs = drainMaxMs) => drain(server, maxMs) }
}

/**
 * Stops accepting, lets requests in flight finish, and cuts what has not ended by then.
 *
 * It begins a moment later: connections without a request are closed at once, and a request that is on its way on one of
 * them would be lost. Answers say that they are the last, since the service is stopping.
 */
async function drain(server: Server, maxMs: number): Promise<void> {
  const deadline = setTimeout(() => server.closeAllConnections(), maxMs)
  await delay(announceMs)
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  await closed
  clearInterval(idle)
  clearTimeout(deadline)
}

const unreadable: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

/** Whether a packet begins a request, and its first line is longer than a URL may be. */
function endsLate(packet: Buffer | undefined): boolean {
  if (!packet || !/^[A-Z]+ \S/.test(packet.toString('latin1', 0, 20))) return false
  const end = packet.indexOf('\r\n')
  return end === -1 || end > urlMaxChars
}

/** Answers what never became a request: bad framing, too many headers, too slow. The connection is closed. */
function answerUnreadable(
  error: Error & { code?: string; rawPacket?: Buffer },
  socket: Socket | import('node:stream').Duplex,
): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const overflow = error.code === 'HPE_HEADER_OVERFLOW'
  const inRequestLine = overflow && endsLate(error.rawPacket)
  const code = inRequestLine ? 'uri-too-long' : (unreadable[error.code ?? ''] ?? 'malformed-request')
  const requestId = v4()
  const { status, body } = problemOf(new AppError(code), requestId)
  const json = JSON.stringify(body)
  socket.end(
    [
      `HTTP/1.1 ${status} ${String(body['title'])}`,
      `Content-Type: ${problemType}`,
      `Content-Length: ${Buffer.byteLength(json)}`,
      'Cache-Control: no-store',
      'X-Content-Type-Options: nosniff',
      `X-Request-Id: ${requestId}`,
      'Connection: close',
      '',
      json,
    ].join('\r\n'),
  )
}
