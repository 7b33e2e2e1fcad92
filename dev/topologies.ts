/** Redis of several servers on this machine: one primary that Sentinel watches, or a Cluster. */
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { launch, serviceOf, type Service } from './process.ts'
import { provide } from './provide.ts'
import { answers, listenOn, redisSocket, startRedis, type TlsFiles } from './redis.ts'

export interface TopologyOptions {
  /** The state folder; each server has one of its own in it. */
  dir: string
  ephemeral: boolean
  /** Further arguments of every server: `['--requirepass', 'secret']`. */
  args?: string[]
  tls?: TlsFiles | undefined
  /** As whom the servers speak with each other, when nobody may do everything without a password. */
  operator?: Login | undefined
  signal?: AbortSignal | undefined
}

export interface Login {
  username: string
  password: string
}

/** One server of several. */
export interface RedisNode extends Omit<Service, 'url' | 'pid'> {
  port: number
  /** Where an operator finds it, whatever it listens on besides. */
  socket: string
  /** Starts it again after it was stopped or killed, on the same port and on what it has kept. */
  start: () => Promise<void>
}

export interface SentinelSet {
  /** `redis+sentinel://` with the addresses of the sentinels and the name of the primary; without user and password. */
  url: string
  /** The primary first, at the start, and then its two replicas. */
  nodes: RedisNode[]
  sentinels: RedisNode[]
}

export interface RedisCluster {
  /** `redis+cluster://` with the addresses of the primaries; without user and password. */
  url: string
  /** The three primaries first, at the start, and then a replica of each, in the same order. */
  nodes: RedisNode[]
}

/** What the primary is called among the sentinels. */
export const primaryName = 'latchkey'

/** So that a failover takes seconds here; in production both are longer. */
const downAfterMs = 1000
const tiltMs = 1000
const clusterNodeTimeoutMs = 1500

const startTimeoutMs = 30_000
const slots = 16_384

/** Starts one server alone, on a port. */
export async function startSingle(options: TopologyOptions): Promise<{ url: string; nodes: [RedisNode] }> {
  const [port] = (await freePorts(1)) as [number]
  const node = await startNode(options, 'node-1', port, [])
  return { url: `${options.tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`, nodes: [node] }
}

/** Starts one primary, two replicas, and three sentinels that agree by two, and waits until they know each other. */
export async function startSentinel(options: TopologyOptions): Promise<SentinelSet> {
  const { operator, signal } = options
  const ports = await freePorts(6)
  const [primaryPort, ...replicaPorts] = ports.slice(0, 3) as [number, ...number[]]
  const login = operator ? ['--masteruser', operator.username, '--masterauth', operator.password] : []
  const primary = await startNode(options, 'node-1', primaryPort, [...login, ...inHaste])
  const replicas = await Promise.all(
    replicaPorts.map((port, i) => {
      const follow = ['--replicaof', `127.0.0.1 ${primaryPort}`]
      return startNode(options, `node-${i + 2}`, port, [...login, ...inHaste, ...follow])
    }),
  )
  await untilAll(replicas, operator, signal, isInStep)

  const ids = ports.slice(3).map((port) => ({ port, id: randomBytes(20).toString('hex') }))
  const sentinels = await Promise.all(
    ids.map(({ port, id }, i) =>
      startSentinelProcess(options, `sentinel-${i + 1}`, port, [
        `sentinel myid ${id}`,
        `sentinel monitor ${primaryName} 127.0.0.1 ${primaryPort} 2`,
        `sentinel down-after-milliseconds ${primaryName} ${downAfterMs}`,
        // They wait for twice as long before they try another failover.
        `sentinel failover-timeout ${primaryName} ${3 * downAfterMs}`,
        `sentinel parallel-syncs ${primaryName} 2`,
        ...(operator
          ? [
              `sentinel auth-user ${primaryName} ${operator.username}`,
              `sentinel auth-pass ${primaryName} "${operator.password}"`,
            ]
          : []),
        // What they would find out within some seconds by themselves.
        ...replicaPorts.map((replica) => `sentinel known-replica ${primaryName} 127.0.0.1 ${replica}`),
        ...ids
          .filter((other) => other.id !== id)
          .map((other) => `sentinel known-sentinel ${primaryName} 127.0.0.1 ${other.port} ${other.id}`),
      ]),
    ),
  )
  await untilAll(sentinels, undefined, signal, async (sentinel) => {
    // One that was stopped for two seconds, or had no processor for as long, does nothing for thirty (its TILT mode).
    await sentinel.call('SENTINEL', 'DEBUG', 'TILT-PERIOD', tiltMs).catch(() => undefined) // Redis 6 has no such command
    return String(await sentinel.call('SENTINEL', 'CKQUORUM', primaryName)).startsWith('OK 3 usable')
  })
  const addresses = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  const scheme = options.tls ? 'rediss+sentinel' : 'redis+sentinel'
  return { url: `${scheme}://${addresses}/${primaryName}`, nodes: [primary, ...replicas], sentinels }
}

/** Starts three primaries with a replica each, and waits until all of them find that all is well. */
export async function startCluster(options: TopologyOptions): Promise<RedisCluster> {
  const { operator, signal } = options
  const login = operator ? ['--masteruser', operator.username, '--masterauth', operator.password] : []
  const timeout = ['--cluster-node-timeout', String(clusterNodeTimeoutMs)]
  const clustered = ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no', ...timeout]
  const ports = await freePorts(6)
  const nodes = await Promise.all(
    ports.map((port, i) => startNode(options, `node-${i + 1}`, port, [...login, ...inHaste, ...clustered])),
  )
  const connections = nodes.map((node) => connect(node, operator))
  try {
    await joinTogether(connections, ports, signal)
  } finally {
    for (const connection of connections) connection.disconnect()
  }
  const addresses = ports.slice(0, 3).map((port) => `127.0.0.1:${port}`)
  return { url: `${options.tls ? 'rediss' : 'redis'}+cluster://${addresses.join(',')}`, nodes }
}

async function joinTogether(nodes: Redis[], ports: number[], signal: AbortSignal | undefined): Promise<void> {
  const primaries = nodes.slice(0, nodes.length / 2)
  const replicas = nodes.slice(primaries.length)
  const until = (isSo: (node: Redis) => Promise<boolean>) =>
    Promise.all(nodes.map((node) => untilIt(() => isSo(node), signal)))

  await Promise.all(
    primaries.map(async (primary, i) => {
      const from = Math.ceil((i * slots) / primaries.length)
      const to = Math.ceil(((i + 1) * slots) / primaries.length)
      await primary.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
      await primary.cluster('ADDSLOTS', ...Array.from({ length: to - from }, (_, n) => from + n))
    }),
  )
  await Promise.all(
    nodes.flatMap((node, i) => ports.slice(i + 1).map((port) => node.cluster('MEET', '127.0.0.1', port))),
  )
  await until(async (node) => {
    const known = String(await node.cluster('NODES'))
      .trim()
      .split('\n')
    return known.length === nodes.length && !known.some((line) => /handshake|noaddr/.test(line))
  })
  await Promise.all(
    replicas.map(async (replica, i) => replica.cluster('REPLICATE', await primaries[i]!.cluster('MYID'))),
  )
  await until(async (node) => (await node.cluster('INFO')).includes('cluster_state:ok') && isInStep(node))
  await until(async (node) => {
    const known = String(await node.cluster('NODES'))
      .trim()
      .split('\n')
    return known.filter((line) => / (myself,)?slave /.test(line)).length === replicas.length
  })
}

/** Whether a server is no replica, or one that has all of its primary. */
async function isInStep(node: Redis): Promise<boolean> {
  const replication = await node.info('replication')
  return /role:master|master_link_status:up/.test(replication)
}

/** Replicas are served at once, and come again at once when they could not be. */
const inHaste = ['--repl-diskless-sync-delay', '0']

async function startNode(
  { dir, ephemeral, args = [], tls, signal }: TopologyOptions,
  name: string,
  port: number,
  ownArgs: string[],
): Promise<RedisNode> {
  const folder = path.join(dir, name)
  const start = () => startRedis({ dir: folder, ephemeral, port, tls, args: [...ownArgs, ...args], signal })
  return nodeOf(port, redisSocket(folder), start)
}

/** Starts one sentinel. @param lines its configuration */
export async function startSentinelProcess(
  { dir, ephemeral, tls, signal }: TopologyOptions,
  name: string,
  port: number,
  lines: string[],
): Promise<RedisNode> {
  const folder = path.join(dir, name)
  const data = path.join(folder, 'redis')
  fs.mkdirSync(data, { recursive: true, mode: 0o700 })
  const socket = redisSocket(folder)
  const file = path.join(data, 'sentinel.conf')
  fs.writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  const command = await provide('redis-server', { signal })
  const args = [file, '--sentinel', ...listenOn(port, tls), '--unixsocket', socket, '--dir', data]
  const isReady = () => answers(socket)
  // Redis by its name too, so that it is stopped with the others.
  const server = { dir: folder, name: 'redis', command, args, cwd: data, ephemeral, isReady, signal }
  return nodeOf(port, socket, async () => serviceOf(`redis://127.0.0.1:${port}`, await launch(server)))
}

async function nodeOf(port: number, socket: string, launchIt: () => Promise<Service>): Promise<RedisNode> {
  let service = await launchIt()
  return {
    port,
    socket,
    async start() {
      service = await launchIt()
    },
    stop: () => service.stop(),
    kill: () => service.kill(),
    pause: () => service.pause(),
    resume: () => service.resume(),
  }
}

function connect({ socket }: RedisNode, operator: Login | undefined): Redis {
  return new Redis({ path: socket, ...operator })
}

/** Waits until something holds of every server. */
async function untilAll(
  nodes: RedisNode[],
  operator: Login | undefined,
  signal: AbortSignal | undefined,
  isSo: (node: Redis) => Promise<boolean>,
): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      const connection = connect(node, operator)
      try {
        await untilIt(() => isSo(connection), signal)
      } finally {
        connection.disconnect()
      }
    }),
  )
}

/** What throws is not so yet. */
async function untilIt(isSo: () => Promise<boolean>, signal: AbortSignal | undefined): Promise<void> {
  const endsAt = Date.now() + startTimeoutMs
  for (;;) {
    let why: unknown = 'it is not so'
    try {
      if (await isSo()) return
    } catch (error) {
      why = error
    }
    if (Date.now() > endsAt)
      throw new Error(`the servers have not found together within ${startTimeoutMs / 1000} s`, { cause: why })
    await sleep(20, undefined, { signal })
  }
}

/**
 * Finds ports of which nobody has either the port itself or the one that a Cluster takes besides, 10,000 above it. Both
 * are below those that the system gives to connections, so that a server that was killed finds its port free again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = randomInt(11_000, 22_000)
    if ((await isFree(port)) && (await isFree(port + 10_000))) found.add(port)
  }
  return [...found]
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
