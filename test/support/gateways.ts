import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import { expect } from 'chai'
import { launch, serviceOf, type Service } from '../../dev/process.ts'
import { provide } from '../../dev/provide.ts'
import { discard, stateDir } from '../../dev/stores.ts'
import { blocksOf, readDocument } from './documentation.ts'

/**
 * Where a gateway listens and whence its clients come. Latchkey sees the gateway itself at 127.0.0.1, so that it can be
 * told from its clients. Only Linux answers at all of 127.0.0.0/8.
 */
export const loopback =
  process.platform === 'linux' ? { listen: '127.0.0.1', client: '127.0.0.2' } : { listen: '[::1]', client: '::1' }

/** The recipe of a gateway as docs/gateways.md prints it; only the addresses are ours. */
export function recipe(language: string, addresses: Record<string, string>): string {
  const blocks = blocksOf(readDocument('docs/gateways.md')).filter((block) => block.language === language)
  expect(blocks, `blocks of ${language}`).to.have.length(1)
  let { text } = blocks[0]!
  for (const [printed, ours] of Object.entries(addresses)) {
    expect(text).to.include(printed)
    text = text.replaceAll(printed, ours)
  }
  return text
}

export interface Gateway {
  url: string
  /** Goes over to another configuration: requests under way end with the old one. SIGHUP means this to nginx. */
  reload(config: string): void
  stop(): Promise<void>
}

let count = 0

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, loopback.listen.replace(/[[\]]/g, ''))
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts the nginx of this machine with a file for its `conf.d`, in which `LISTEN` stands for where it is to listen. */
export async function startNginx(config: string): Promise<Gateway> {
  return start('nginx', config, (dir) => {
    fs.writeFileSync(
      path.join(dir, 'nginx.conf'),
      [
        'daemon off;',
        ...(process.getuid?.() === 0 ? ['user root;'] : []),
        'worker_processes 1;',
        'pid nginx.pid;',
        'events {}',
        'http {',
        'access_log off;',
        ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`),
        'include gateway.conf;',
        '}',
      ].join('\n'),
    )
    return { file: 'gateway.conf', args: ['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'stderr'] }
  })
}

/** Starts the Caddy of this machine with a Caddyfile, in which `LISTEN` stands for where it is to listen. */
export async function startCaddy(config: string): Promise<Gateway> {
  return start('caddy', config, () => ({
    file: 'Caddyfile',
    args: ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
  }))
}

async function start(
  name: 'nginx' | 'caddy',
  config: string,
  prepare: (dir: string) => { file: string; args: string[] },
): Promise<Gateway> {
  const dir = stateDir(`test-${process.pid}/${name}-${++count}`)
  const address = `${loopback.listen}:${await freePort()}`
  const { file, args } = prepare(dir)
  const configure = (text: string) => fs.writeFileSync(path.join(dir, file), text.replaceAll('LISTEN', address))
  configure(config)
  const mark = await launch({
    dir,
    name,
    command: await provide(name),
    args,
    cwd: dir,
    env: { HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir, CADDY_ADMIN: `unix/${dir}/admin.sock` },
    ephemeral: true,
    isReady: () => listens(address),
  })
  const service: Service = serviceOf(`http://${address}`, mark)
  return {
    url: service.url,
    reload(text) {
      configure(text)
      process.kill(service.pid, 'SIGHUP')
    },
    async stop() {
      await service.stop()
      await discard(dir)
    },
  }
}

function listens(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(`http://${address}`)
    const socket = net.connect(Number(port), hostname.replace(/[[\]]/g, ''))
    socket.once('connect', () => socket.destroy())
    socket.once('error', () => undefined)
    socket.once('close', (failed) => resolve(!failed))
  })
}

/** A request as an application behind the gateway got it. */
export interface Reached {
  method: string
  url: string
  /** Names and values as they came, in their order. */
  headers: [name: string, value: string][]
  trailers: [name: string, value: string][]
  body: Buffer
}

export interface Application {
  address: string
  /** Every request that has got here. */
  reached: Reached[]
  close(): Promise<void>
}

/** An application that lets everybody in, and remembers who came. */
export async function startApplication(): Promise<Application> {
  const reached: Reached[] = []
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      reached.push({
        method: request.method!,
        url: request.url!,
        headers: inPairs(request.rawHeaders),
        trailers: inPairs(request.rawTrailers),
        body: Buffer.concat(chunks),
      })
      response.end('let in')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    reached,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function inPairs(flat: string[]): [string, string][] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]!] as [string, string]] : []))
}

export interface Relay {
  address: string
  /** How many connections were made through it so far. */
  connections(): number
  /** What has gone from the gateway to Latchkey so far. */
  sentBytes(): number
  /** From now on: `refuse` is a service that is away, `swallow` one that hangs. */
  set(mode: 'pass' | 'refuse' | 'swallow'): Promise<void>
  close(): Promise<void>
}

/** A wire from a gateway to Latchkey that counts and can be cut. */
export async function startRelay(target: string): Promise<Relay> {
  const { hostname, port } = new URL(target)
  const open = new Set<net.Socket>()
  let connections = 0
  let sentBytes = 0
  let swallows = false
  const server = net.createServer((near) => {
    connections += 1
    const far = swallows ? new net.Socket() : net.connect(Number(port), hostname)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
    near.on('data', (chunk) => {
      sentBytes += chunk.length
      if (!swallows) far.write(chunk)
    })
    far.on('data', (chunk) => near.write(chunk))
  })
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
  }
  const cut = async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  await listen(0)
  const own = (server.address() as AddressInfo).port
  return {
    address: `127.0.0.1:${own}`,
    connections: () => connections,
    sentBytes: () => sentBytes,
    async set(mode) {
      if (server.listening && mode === 'refuse') await cut()
      if (!server.listening && mode !== 'refuse') await listen(own)
      swallows = mode === 'swallow'
    },
    async close() {
      if (server.listening) await cut()
    },
  }
}

export interface Got {
  status: number
  headers: http.IncomingHttpHeaders
  text: string
}

/** Sends a request from the client's own address, with its headers as they are given: in this case, twice if they are. */
export async function send(
  url: string,
  {
    method = 'GET',
    headers = [],
    body,
    trailers,
  }: { method?: string; headers?: [string, string][]; body?: Buffer | string; trailers?: Record<string, string> } = {},
): Promise<Got> {
  const { hostname, port } = new URL(url)
  const all = [['Host', `${hostname}:${port}`], ...headers, ...(body === undefined ? [['Content-Length', '0']] : [])]
  const request = http.request({
    host: hostname.replace(/[[\]]/g, ''),
    port,
    // As it is written: an URL would lose its dots.
    path: url.slice(url.indexOf('/', 'http://'.length)),
    method,
    headers: all.flat() as unknown as http.OutgoingHttpHeaders,
    localAddress: loopback.client,
    agent: false,
  })
  if (trailers) request.addTrailers(trailers)
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk
  return { status: response.statusCode!, headers: response.headers, text }
}
