import { once } from 'node:events'
import net from 'node:net'
import type { Json } from './client.ts'

export interface Shot {
  url: string
  path: string
  token?: string
  body?: unknown
}

export interface Hit {
  status: number
  headers: string
  body: Json
}

/**
 * Sends many requests that become complete at one instant: each connection gets all but the last byte, and when all have
 * arrived, the last bytes leave together. This finds the races that requests in a row never meet.
 */
export async function volley(shots: Shot[]): Promise<Hit[]> {
  const { fire, hits } = await aim(shots)
  fire()
  return Promise.all(hits)
}

/** A volley that waits for the last bytes; a hit fails when its connection breaks before the whole answer has come. */
export async function aim(shots: Shot[]): Promise<{ fire: () => void; hits: Promise<Hit>[] }> {
  const loaded = await Promise.all(shots.map(load))
  return {
    fire() {
      for (const { socket, lastByte } of loaded) socket.write(lastByte)
    },
    hits: loaded.map(({ hit }) => hit),
  }
}

async function load({ url, path, token, body }: Shot) {
  const { hostname, port } = new URL(url)
  const json = body === undefined ? '' : JSON.stringify(body)
  const request = [
    `POST ${path} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(json === '' ? [] : ['Content-Type: application/json']),
    `Content-Length: ${json.length}`,
    'Connection: close',
    '',
    json,
  ].join('\r\n')
  const socket = net.connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.setNoDelay(true)
  await new Promise<void>((resolve) => socket.write(request.slice(0, -1), () => resolve()))
  return { socket, lastByte: request.slice(-1), hit: read(socket) }
}

async function read(socket: net.Socket): Promise<Hit> {
  const chunks: Buffer[] = []
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk)
  const answer = Buffer.concat(chunks).toString('utf8')
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2)
  const bodyBytes = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
  if (head === '' || Buffer.byteLength(body) < bodyBytes)
    throw new Error('the connection broke before the whole answer')
  return {
    status: Number(head.split(' ', 2)[1]),
    headers: head.toLowerCase(),
    body: body === '' ? null : JSON.parse(body),
  }
}
