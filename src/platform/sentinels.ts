import { Redis as Node, type RedisOptions } from 'ioredis'
import type { RedisPlace } from './redis-url.ts'

/** How often the sentinels are asked who the primary is, besides when they announce another one. */
const askEveryMs = 1000
/** How long after it was lost a connection to a sentinel is made again. */
const reconnectMs = 500
/** How long after the client has given up for good it is made to connect again. */
const retryMs = 50

/** What a sentinel says of the primary. A higher epoch is of a later failover. */
interface Naming {
  address: string
  epoch: number
}

/**
 * Connects to the primary that the sentinels name, and goes where they say when they name another.
 *
 * They announce that once. Whoever is not subscribed then, as between being led to a primary and having subscribed, would
 * stay with the one before for as long as that takes writes, which is ten seconds; and what was opened there is lost when
 * it becomes a replica. So they are asked each second as well. They may differ for a moment: the latest failover counts
 * (Redis Sentinel, "Configuration epochs").
 *
 * @param retryStrategy as that of the connection, for when no sentinel names anybody
 */
export function connectThroughSentinels(
  { hosts, primaryName, login, tls }: Extract<RedisPlace, { kind: 'sentinel' }>,
  options: Omit<RedisOptions, 'replyMapping'> & { commandTimeout: number },
  retryStrategy: (attempt: number) => number,
): Node {
  let ledTo: string | undefined
  const redis = new Node({
    ...options,
    ...login,
    sentinels: hosts,
    name: primaryName,
    failoverDetector: true,
    sentinelCommandTimeout: options.commandTimeout,
    sentinelRetryStrategy: retryStrategy,
    sentinelReconnectStrategy: () => reconnectMs,
    // Changes no address: only here is told, in the words of a sentinel, where the connection leads.
    natMap(address: string) {
      ledTo = address
      return null
    },
    ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
  })
  const sentinels = hosts.map((host) => {
    const sentinel = new Node({
      ...host,
      ...(tls && { tls: {} }),
      connectTimeout: options.commandTimeout,
      commandTimeout: options.commandTimeout,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      retryStrategy: () => reconnectMs,
    })
    return sentinel.on('error', () => undefined)
  })
  const asking = setInterval(() => void follow(), askEveryMs).unref()
  goOnUntilClosed(redis, () => {
    clearInterval(asking)
    for (const sentinel of sentinels) sentinel.disconnect()
  })
  return redis

  async function follow(): Promise<void> {
    const before = ledTo
    const answers = await Promise.allSettled(sentinels.map(naming))
    const namings = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    const latest = namings.toSorted((a, b) => b.epoch - a.epoch)[0]
    const isAstray = latest !== undefined && latest.address !== ledTo
    // Where it was led elsewhere meanwhile, that may be what is newer.
    if (isAstray && ledTo === before && redis.status === 'ready') redis.disconnect(true)
  }

  async function naming(sentinel: Node): Promise<Naming> {
    const [named, said] = (await Promise.all([
      sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', primaryName),
      sentinel.call('SENTINEL', 'MASTER', primaryName),
    ])) as [[string, string], string[]]
    return { address: named.join(':'), epoch: Number(said[said.indexOf('config-epoch') + 1]) }
  }
}

/**
 * Connects again where the client has given up for good, as it does when a sentinel tells of a new primary in the moment
 * in which another sentinel is being asked for it.
 */
function goOnUntilClosed(redis: Node, onClosed: () => void): void {
  let closed = false
  const disconnect = redis.disconnect.bind(redis)
  redis.disconnect = (reconnect?: boolean) => {
    closed ||= !reconnect
    if (closed) onClosed()
    disconnect(reconnect)
  }
  redis.on('end', () => {
    const again = () => {
      if (!closed) redis.connect().catch(() => undefined)
    }
    setTimeout(again, retryMs).unref()
  })
}
