import path from 'node:path'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import {
  discard,
  freePorts,
  primaryName,
  startCluster,
  startSentinel,
  startSentinelProcess,
  startSingle,
  stateDir,
  type Login,
  type RedisNode,
  type TlsFiles,
} from '../../dev/stores.ts'
import { eventually } from './eventually.ts'
import { recoveryMs } from './faults.ts'

/** A Redis of several servers that belongs to one test, which may kill its primaries and keep its replicas in the dark. */
export interface OwnTopology {
  url: string
  nodes: RedisNode[]
  /** Who watch the primary, where somebody does. */
  sentinels: RedisNode[]
  /** The connection of an operator to one server, made anew when it broke. */
  operator: (node: RedisNode) => Redis
  /** Who takes writes at this moment, among those that were not killed. */
  primaries: () => Promise<RedisNode[]>
  /** Who takes the writes of a key. */
  primaryOf: (key: string) => Promise<RedisNode>
  replicasOf: (primary: RedisNode) => Promise<RedisNode[]>
  kill: (node: RedisNode) => Promise<void>
  /** Lets a replica hear nothing more from its primary, while everything else of it works. */
  isolate: (replica: RedisNode) => Promise<void>
  /** Starts who was killed, lets all hear each other again, and waits until the replicas have what the primaries have. */
  heal: () => Promise<void>
  discard: () => Promise<void>
}

export interface Options {
  args?: string[]
  operator?: Login
  tls?: TlsFiles
}

let count = 0
const newDir = (name: string) => path.join(stateDir(`test-${process.pid}`), `${name}-${++count}`)

/** One server alone, on a port. */
export async function ownSingle(options: Options = {}): Promise<OwnTopology> {
  const dir = newDir('single')
  const { url, nodes } = await startSingle({ dir, ephemeral: true, ...options })
  const common = control(dir, nodes, options.operator)
  return { ...common, url, primaryOf: async () => nodes[0] }
}

export interface OwnSentinel extends OwnTopology {
  /** Starts a sentinel that hears of no failover, so that it goes on naming who is the primary now. */
  startDeafSentinel: () => Promise<RedisNode>
}

/** One primary with two replicas, and three sentinels. */
export async function ownSentinel(options: Options = {}): Promise<OwnSentinel> {
  const dir = newDir('sentinel')
  const { url, nodes, sentinels } = await startSentinel({ dir, ephemeral: true, ...options })
  const common = control(dir, nodes, options.operator)

  /**
   * Who leads a failover does not end it while the one that was promoted is down, and begins no other until then; and who
   * was stopped meanwhile takes the primary of before for one, which may bring about another failover.
   */
  async function untilSentinelsAgree(): Promise<void> {
    for (const sentinel of sentinels)
      await eventually(async () => {
        const { flags, port } = await namedBy(common.operator(sentinel))
        const [primary] = await common.primaries()
        if (flags !== 'master' || port !== primary!.port)
          throw new Error(`a sentinel says of the primary: ${flags}, at port ${port}; it is at ${primary!.port}`)
      }, 30_000)
  }

  async function startDeafSentinel(): Promise<RedisNode> {
    // Sentinels tell each other of failovers on channels of the servers.
    for (const node of nodes)
      await common.operator(node).call('ACL', 'SETUSER', 'deaf', 'on', '>deaf', '+ping', '+info', '+client')
    const [[port], [primary]] = await Promise.all([freePorts(1), common.primaries()])
    return startSentinelProcess({ dir, ephemeral: true }, 'sentinel-deaf', port!, [
      `sentinel monitor ${primaryName} 127.0.0.1 ${primary!.port} 2`,
      `sentinel auth-user ${primaryName} deaf`,
      `sentinel auth-pass ${primaryName} deaf`,
    ])
  }

  return {
    ...common,
    url,
    sentinels,
    startDeafSentinel,
    primaryOf: async () => (await common.primaries())[0]!,
    async heal() {
      await common.heal()
      await untilSentinelsAgree()
    },
  }
}

/** What a sentinel says of the primary. */
async function namedBy(sentinel: Redis): Promise<{ flags: string; port: number }> {
  const said = (await sentinel.call('SENTINEL', 'MASTER', primaryName)) as string[]
  const [flags, port] = ['flags', 'port'].map((name) => said[said.indexOf(name) + 1]!) as [string, string]
  return { flags, port: Number(port) }
}

/**
 * Waits until all sentinels name one and the same in the place of a primary.
 *
 * @param beforeAsking is done at each of them, as often as it is asked
 */
export function successorOf(
  primary: RedisNode,
  { nodes, sentinels, operator }: OwnTopology,
  beforeAsking: (sentinel: Redis) => Promise<unknown> = () => Promise.resolve(),
): Promise<RedisNode> {
  return eventually(async () => {
    const ports = await Promise.all(
      sentinels.map(operator).map(async (sentinel) => {
        await beforeAsking(sentinel)
        return (await namedBy(sentinel)).port
      }),
    )
    const [port] = ports
    expect(ports).to.deep.equal(ports.map(() => port))
    expect(port).to.not.equal(primary.port)
    return nodes.find((node) => node.port === port)!
  }, recoveryMs)
}

/** Three primaries with a replica each. */
export async function ownCluster(options: Options = {}): Promise<OwnTopology> {
  const dir = newDir('cluster')
  const { url, nodes } = await startCluster({ dir, ephemeral: true, ...options })
  const common = control(dir, nodes, options.operator)
  return {
    ...common,
    url,
    async primaryOf(key) {
      const primaries = await common.primaries()
      const slot = await common.operator(primaries[0]!).cluster('KEYSLOT', key)
      for (const primary of primaries) if ((await slotsOf(common.operator(primary))).includes(slot)) return primary
      throw new Error(`nobody has slot ${slot}`)
    },
  }
}

/** The slots of a Cluster that a server calls its own. */
export async function slotsOf(redis: Redis): Promise<number[]> {
  const [, ranges] = / myself,master .* connected(.*)/.exec(String(await redis.cluster('NODES'))) ?? []
  return (ranges ?? '').split(' ').flatMap((range) => {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? []
    return from === undefined
      ? []
      : Array.from({ length: Number(to ?? from) - Number(from) + 1 }, (_, i) => Number(from) + i)
  })
}

function control(dir: string, nodes: RedisNode[], login: Login | undefined) {
  const isCluster = nodes.length > 3
  const connections = new Map<RedisNode, Redis>()
  const dead = new Set<RedisNode>()
  const alone = new Set<RedisNode>()

  function operator(node: RedisNode): Redis {
    let connection = connections.get(node)
    if (!connection) {
      // READONLY: a replica of a Cluster would send us to its primary.
      connection = new Redis({ path: node.socket, ...login, readOnly: isCluster, retryStrategy: () => 20 })
      connection.on('error', () => undefined)
      connections.set(node, connection)
    }
    return connection
  }

  /** Each server that runs, with what it says of its part. */
  const roles = () =>
    Promise.all(
      nodes
        .filter((node) => !dead.has(node))
        .map(async (node) => {
          const [role, , port] = (await operator(node).role()) as unknown as [string, string, number]
          return { node, role, port }
        }),
    )

  return {
    nodes,
    sentinels: [],
    operator,
    primaries: async () => (await roles()).filter(({ role }) => role === 'master').map(({ node }) => node),
    replicasOf: async (primary: RedisNode) =>
      (await roles()).filter(({ role, port }) => role === 'slave' && port === primary.port).map(({ node }) => node),
    async kill(node: RedisNode) {
      dead.add(node)
      await node.kill()
    },
    async isolate(replica: RedisNode) {
      alone.add(replica)
      // Its primary lets nobody in who names a user that there is not.
      await operator(replica).config('SET', 'masteruser', 'nobody')
      await operator(replica).config('SET', 'masterauth', 'nothing')
      await operator(replica).call('CLIENT', 'KILL', 'TYPE', 'master')
      await eventually(async () => {
        if (!(await operator(replica).info('replication')).includes('master_link_status:down'))
          throw new Error('the replica still hears its primary')
      })
    },
    async heal() {
      for (const replica of alone) {
        await operator(replica).config('SET', 'masteruser', login?.username ?? '')
        await operator(replica).config('SET', 'masterauth', login?.password ?? '')
      }
      alone.clear()
      const primariesMax = isCluster ? nodes.length / 2 : 1
      const primary = (await roles()).find(({ role }) => role === 'master')
      for (const node of dead) {
        await node.start()
        // The sentinels would say so too, but not before ten seconds have passed.
        if (!isCluster) await operator(node).replicaof('127.0.0.1', primary!.node.port)
      }
      dead.clear()
      await eventually(async () => {
        const said = await Promise.all(nodes.map((node) => operator(node).info('replication')))
        const primaries = said.filter((text) => text.includes('role:master')).length
        const inStep = said.filter((text) => text.includes('master_link_status:up')).length
        if (primaries !== primariesMax || inStep !== nodes.length - primariesMax)
          throw new Error(`${primaries} primaries, ${inStep} replicas in step`)
      }, 30_000)
    },
    async discard() {
      for (const connection of connections.values()) connection.disconnect()
      await discard(dir)
    },
  }
}
