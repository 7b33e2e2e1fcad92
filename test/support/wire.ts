import { once } from 'node:events'
import net from 'node:net'

export interface WireAnswer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  text: string
}

/**
 * What became of a request. `unanswered`: the connection was closed before a byte of its answer had come; `midway`: after
 * some had, and before all.
 */
export type Exchange = WireAnswer | 'unanswered' | 'midway'

export type Wire = Awaited<ReturnType<typeof openWire>>

/** One connection that says exactly the bytes it is told, and reads the answers one after the other. */
export async function openWire(url: string) {
  const { hostname, port } = new URL(url)
  const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: false })
  const awaited: { settle: (exchange: Exchange) => void; hasBody: boolean }[] = []
  let received: Buffer = Buffer.alloc(0)
  let isOver = false
  let error: string | null = null

  function read(): void {
    for (let next = awaited[0]; next; next = awaited[0]) {
      const found = firstAnswer(received, next.hasBody)
      if (!found) return
      received = received.subarray(found.bytes)
      if (found.answer.status < 200) continue
      awaited.shift()
      next.settle(found.answer)
    }
  }
  function over(): void {
    if (isOver) return
    isOver = true
    for (const [i, { settle }] of awaited.entries()) settle(i === 0 && received.length > 0 ? 'midway' : 'unanswered')
    awaited.length = 0
  }
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    read()
  })
  socket.on('error', (failed: NodeJS.ErrnoException) => (error = failed.code ?? failed.message))
  socket.on('close', over)
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  socket.setNoDelay(true)

  return {
    socket,
    /** What broke the connection, as the system calls it; null while nothing has, or when it was closed in peace. */
    error: () => error,
    isOver: () => isOver || !socket.writable,
    /** What has come beyond the answers that were asked for. */
    rest: () => received.toString('latin1'),
    /** Sends a request, behind others that are not answered yet if need be. */
    ask(bytes: string | Buffer): Promise<Exchange> {
      if (isOver) return Promise.resolve('unanswered')
      const hasBody = !bytes.toString('latin1', 0, 5).startsWith('HEAD ')
      const exchange = new Promise<Exchange>((settle) => awaited.push({ settle, hasBody }))
      socket.write(bytes)
      return exchange
    },
    /** Waits for one more answer, to bytes that went out by themselves. */
    answer(): Promise<Exchange> {
      if (isOver) return Promise.resolve('unanswered')
      const exchange = new Promise<Exchange>((settle) => awaited.push({ settle, hasBody: true }))
      read()
      return exchange
    },
    /** Done when the connection is closed, whoever closed it. */
    closed: isOver ? Promise.resolve() : new Promise<void>((resolve) => socket.once('close', () => resolve())),
    destroy: () => socket.destroy(),
  }
}

/** A request in bytes. */
export function requestOf(
  method: string,
  path: string,
  { token, body, headers = {} }: { token?: string | undefined; body?: unknown; headers?: Record<string, string> } = {},
): string {
  const json = body === undefined ? '' : JSON.stringify(body)
  return [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(json === '' ? [] : ['Content-Type: application/json']),
    `Content-Length: ${Buffer.byteLength(json)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    json,
  ].join('\r\n')
}

function firstAnswer(received: Buffer, hasBody: boolean): { answer: WireAnswer; bytes: number } | null {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [line = '', ...lines] = received.toString('latin1', 0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1] ?? Number.NaN)
  if (Number.isNaN(status)) throw new Error(`no answer, but: ${line}`)
  const headers = Object.fromEntries(
    lines.map((header) => [
      header.slice(0, header.indexOf(':')).toLowerCase(),
      header.slice(header.indexOf(':') + 1).trim(),
    ]),
  )
  if (headers['transfer-encoding'] !== undefined) throw new Error('an answer whose length is not told')
  const bodyBytes = hasBody && status !== 204 && status !== 304 ? Number(headers['content-length'] ?? 0) : 0
  const bytes = end + 4 + bodyBytes
  if (received.length < bytes) return null
  return { answer: { status, headers, text: received.toString('utf8', end + 4, bytes) }, bytes }
}
