/** What sessions take in Redis. */
import { progress } from '../dev/process.ts'
import { digest } from '../src/platform/digest.ts'
import { inLanes } from './lanes.ts'
import { openSession, type Stage } from './stage.ts'

export interface SessionMemory {
  sessionsPerUser: number
  /** The setting of Redis above which the value of a hash field is no longer stored compactly; 64 unless it is changed. */
  listpackValueMaxBytes: number
  /** Growth of used_memory, divided by the sessions: everything, the tables of the key space included. */
  bytesPerSession: number
}

export interface MemoryFigures {
  sessionCount: number
  sessions: SessionMemory[]
  /**
   * The same after a refresh, with one session a user and the default setting: the session then also holds its
   * predecessor's digests and the sealed pair, and the old access pointer is still there. Without the spent pointer.
   */
  bytesPerRefreshedSession: number
  /** What used_memory lost when spent refresh pointers were deleted, divided by their number. */
  bytesPerSpentRefreshPointer: number
}

const sessionCount = 10_000
const lanes = 100
const listpackValueDefaultBytes = 64

/** Opens sessions by Latchkey's own door in a Redis that holds nothing else, and sees how much it grew. */
export async function measureMemory(stage: Stage): Promise<MemoryFigures> {
  const { url } = await stage.startFreshRedis()
  const redis = stage.connectRedis(url)
  const services = await stage.openServices(url)
  const usedBytes = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])

  const open = async (perUser: number) => {
    const opened = await inLanes(sessionCount / perUser, lanes, async () => {
      const first = await openSession(services)
      const further = await inLanes(perUser - 1, 1, () => openSession(services, first.session.userId))
      return [first, ...further]
    })
    stage.signal.throwIfAborted()
    return opened.flat()
  }
  const empty = async () => {
    await redis.flushall('SYNC')
    return usedBytes()
  }

  progress(`memory: ${sessionCount} sessions in a fresh Redis`)
  await open(1) // so that the buffers and scripts that Redis keeps are there before
  const sessions: SessionMemory[] = []
  for (const listpackValueMaxBytes of [listpackValueDefaultBytes, 512])
    for (const sessionsPerUser of [1, 5]) {
      await redis.config('SET', 'hash-max-listpack-value', listpackValueMaxBytes)
      const before = await empty()
      await open(sessionsPerUser)
      const bytesPerSession = ((await usedBytes()) - before) / sessionCount
      sessions.push({ sessionsPerUser, listpackValueMaxBytes, bytesPerSession })
      progress(`memory: ${Math.round(bytesPerSession)} bytes a session at ${sessionsPerUser} a user`)
    }

  progress(`memory: ${sessionCount} spent refresh pointers`)
  await redis.config('SET', 'hash-max-listpack-value', listpackValueDefaultBytes)
  const atFirst = await empty()
  const opened = await open(1)
  const spentKeys = await inLanes(sessionCount, lanes, async () => {
    const { session, pair } = opened.pop()!
    const presented = await services.sessions.present(pair.refreshToken)
    if (presented.kind !== 'usable') throw new Error(`a fresh refresh token is ${presented.kind}`)
    const card = { username: null, email: 'user@example.com', verified: true, role: 'user', updatedAt: 0 }
    const refreshed = await services.sessions.refresh(presented.held, {
      card,
      client: session.client,
    })
    if (refreshed.kind !== 'rotated') throw new Error(`a fresh refresh token is ${refreshed.kind}`)
    return `latchkey:rt:${digest(pair.refreshToken)}`
  })
  await services.sessions.settle()
  const withSpent = await usedBytes()
  let deleted = 0
  for (let i = 0; i < spentKeys.length; i += 1000) deleted += await redis.del(spentKeys.slice(i, i + 1000))
  if (deleted !== sessionCount) throw new Error(`${deleted} spent refresh pointers were there, not ${sessionCount}`)
  const withoutSpent = await usedBytes()
  return {
    sessionCount,
    sessions,
    bytesPerRefreshedSession: (withoutSpent - atFirst) / sessionCount,
    bytesPerSpentRefreshPointer: (withSpent - withoutSpent) / sessionCount,
  }
}
