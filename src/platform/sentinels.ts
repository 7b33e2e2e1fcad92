import { Redis as Node, type RedisOptions } from 'ioredis'
import type { RedisPlace } from './redis-url.ts'

/** How often the sentinels are asked who the primary is, besides when they announce another one. */
const askEveryMs = 1000
/** Who has not answered by then is not heard this time: one that hangs must not hold up what the others know. */
const answerMaxMs = 500
/** How long after it was lost a connection to a sentinel is made again. */
const reconnectMs = 500
/** How long after the client has given up for good it is made to connect again. */
const retryMs = 50

/** Whom a sentinel names as the primary, and since which failover: a later one has a higher epoch. */
interface Naming {
  host: string
  port: number
  epoch: number
}

/**
 * Connects to the primary that the sentinels name, and goes where they say when they name another.
 *
 * They announce that once. Whoever is not subscribed then, as between being led to a primary and having subscribed, would
 * stay with the one before for as long as that takes writes, which is ten seconds; and what was opened there is lost when
 * it becomes a replica. So they are asked each second as well. They may differ, and only one that knows of a later
 * failover than that of where the connection leads is followed (Redis Sentinel, "Configuration epochs").
 *
 * @param retryStrategy as that of the connection, for when no sentinel names anybody
 */
export function connectThroughSentinels(
  { hosts, primaryName, login, tls }: Extract<RedisPlace, { kind: 'sentinel' }>,
  options: Omit<RedisOptions, 'replyMapping'> & { commandTimeout: number },
  retryStrategy: (attempt: number) => number,
): Node {
  /** Of each server that was ever named, the latest failover that made it the primary. */
  const epochs = new Map<string, number>()
  let ledTo = { address: '', epoch: -1 }
  /** For whom a primary was left since the sentinels were asked last. */
  let leftFor: Naming | undefined
  const redis = new Node({
    ...options,
    ...login,
    sentinels: hosts,
    name: primaryName,
    failoverDetector: true,
    sentinelCommandTimeout: options.commandTimeout,
    sentinelRetryStrategy: retryStrategy,
    sentinelReconnectStrategy: () => reconnectMs,
    natMap: lead,
    ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
  })
  const sentinels = hosts.map((host) => {
    const sentinel = new Node({
      ...host,
      ...(tls && { tls: {} }),
      connectTimeout: options.commandTimeout,
      commandTimeout: answerMaxMs,
      socketTimeout: askEveryMs,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      autoResendUnfulfilledCommands: false,
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

  /**
   * Is told by the client of every address that a sentinel gives it, that of the primary last, and puts another in its
   * place where that was left for it, or is older yet: the first sentinel in line may not have heard of the failover.
   */
  function lead(named: string): { host: string; port: number } | null {
    const epoch = epochs.get(named)
    const instead = leftFor && epoch !== undefined && epoch < leftFor.epoch ? leftFor : undefined
    const address = instead ? addressOf(instead) : named
    ledTo = { address, epoch: epochs.get(address) ?? Math.max(-1, ...epochs.values()) }
    return instead ? { host: instead.host, port: instead.port } : null
  }

  async function follow(): Promise<void> {
    const before = ledTo
    const answers = await Promise.allSettled(sentinels.map(naming))
    const namings = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    for (const one of namings) {
      const address = addressOf(one)
      epochs.set(address, Math.max(one.epoch, epochs.get(address) ?? -1))
    }
    const latest = namings.toSorted((a, b) => b.epoch - a.epoch)[0]
    leftFor = undefined
    if (!latest || ledTo !== before || redis.status !== 'ready') return
    ledTo.epoch = epochs.get(ledTo.address) ?? ledTo.epoch
    if (latest.epoch <= ledTo.epoch) return
    leftFor = latest
    // Nobody who is asked has ever named it: should somebody else lead there again, that is taken for as new.
    if (!epochs.has(ledTo.address)) epochs.set(ledTo.address, latest.epoch)
    redis.stream.destroy(new Error('REPLACED by another primary, say the sentinels'))
  }

  async function naming(sentinel: Node): Promise<Naming> {
    // In this order: should a failover come in between, a new address of an old epoch does no harm.
    const [said, [host, port]] = (await Promise.all([
      sentinel.call('SENTINEL', 'MASTER', primaryName),
      sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', primaryName),
    ])) as [string[], [string, string]]
    return { host, port: Number(port), epoch: Number(said[said.indexOf('config-epoch') + 1]) }
  }
}

/** In the words of the sentinels, as the client joins them. */
const addressOf = ({ host, port }: Naming) => `${host}:${port}`

/**
 * Connects again where the client has given up for good, as it does when a sentinel tells of a new primary in the moment
 * in which another sentinel is being asked for it.
 */
function goOnUntilClosed(redis: Node, onClosed: () => void): void {
  let closed = false
  const disconnect = redis.disconnect.bind(redis)
  redis.disconnect = (reconnect?: boolean) => {
    if (!reconnect && !closed) {
      closed = true
      onClosed()
    }
    disconnect(reconnect)
  }
  redis.on('end', () => {
    const again = () => {
      if (!closed) redis.connect().catch(() => undefined)
    }
    setTimeout(again, retryMs).unref()
  })
}
