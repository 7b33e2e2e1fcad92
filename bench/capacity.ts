/** What a deployment has to hold besides sessions, and how fast a Redis that has forgotten is told of it. */
import { randomUUID } from 'node:crypto'
import { progress } from '../dev/process.ts'
import { inLanes } from './lanes.ts'
import { openSession, type Stage } from './stage.ts'

export interface CapacityFigures {
  rowCount: number
  /** Bytes of each table with its indexes, TOAST and free space, divided by its rows. */
  bytesPerRow: Record<CountedTable, number>
  /** What Redis keeps of a session that has ended, in its default settings. */
  bytesPerTombstone: number
  bytesPerStreamEntry: number
  replay: {
    endings: number
    /** Of those, the sessions that Redis had again. */
    revived: number
    perSecond: number
    /** When Redis has forgotten nothing. */
    perSecondIdle: number
  }
}

type CountedTable = 'users' | 'session_endings' | 'session_epochs' | 'audit_events' | 'known_devices'

const rowCount = 50_000
const endedCount = 20_000
const lanes = 100
const widestWindowMs = 3_600_000

/** Fills the tables with rows as the service writes them, and asks for their sizes. */
export async function measureCapacity(stage: Stage): Promise<CapacityFigures> {
  const { url } = await stage.startFreshRedis()
  const redis = stage.connectRedis(url)
  const services = await stage.openServices(url)
  const usedBytes = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])

  progress(`capacity: ${rowCount} rows of each table in PostgreSQL`)
  const knex = stage.connectPostgres()
  const digestText = 'md5(random()::text)'
  const hash =
    "'$argon2id$v=19$m=19456,t=2,p=1$' || substr(md5(random()::text), 1, 22) || '$' || substr(md5(random()::text) || md5(random()::text), 1, 43)"
  const fill: Record<CountedTable, string> = {
    users: `insert into users (id, email, username, name, password_hash, email_verified_at, created_at, updated_at)
      select gen_random_uuid(), 'user-' || n || '@example.com', 'user-' || n, 'User ' || n, ${hash}, now(), now(), now()
      from generate_series(1, ${rowCount}) n`,
    session_endings: `insert into session_endings (session_id, user_id, reason, actor_id, ended_at)
      select gen_random_uuid(), gen_random_uuid(), 'logged-out', gen_random_uuid(), now() - interval '2 days'
      from generate_series(1, ${rowCount})`,
    session_epochs: `insert into session_epochs (user_id, epoch, reason, moved_at)
      select gen_random_uuid(), 1, 'logged-out-everywhere', now() - interval '2 days' from generate_series(1, ${rowCount})`,
    audit_events: `insert into audit_events (id, at, event, user_id, actor, actor_id, session_id, address, user_agent)
      select gen_random_uuid(), now(), 'login.succeeded', id, 'person', id, gen_random_uuid(), '203.0.113.7',
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36' from users`,
    known_devices: `insert into known_devices (user_id, digest, last_seen_at) select id, ${digestText}, now() from users`,
  }
  const bytesPerRow = {} as Record<CountedTable, number>
  for (const [table, insert] of Object.entries(fill) as [CountedTable, string][]) {
    const before = await sizeOf(table)
    await knex.raw(insert)
    stage.signal.throwIfAborted()
    bytesPerRow[table] = ((await sizeOf(table)) - before) / rowCount
  }

  async function sizeOf(table: string): Promise<number> {
    const { rows } = (await knex.raw('select pg_total_relation_size(?) as bytes', [table])) as {
      rows: { bytes: string }[]
    }
    return Number(rows[0]!.bytes)
  }

  progress(`capacity: ${endedCount} sessions end, and Redis forgets it`)
  const opened = await inLanes(endedCount, lanes, () => openSession(services))
  const at = new Date()
  for (let i = 0; i < opened.length; i += 1000)
    await knex('session_endings').insert(
      opened.slice(i, i + 1000).map(({ session }) => ({
        session_id: session.id,
        user_id: session.userId,
        reason: 'logged-out',
        actor_id: randomUUID(),
        ended_at: at,
      })),
    )
  const replay = async () => {
    const startedAt = performance.now()
    const revived = await services.accounts.replay({
      withinMs: widestWindowMs,
      told: new Set(),
      concerns: () => true,
      seen: null,
    })
    return { revived, perSecond: (endedCount / (performance.now() - startedAt)) * 1000 }
  }
  const told = await replay()
  const idle = await replay()
  if (told.revived !== endedCount || idle.revived !== 0) throw new Error('the replay did not end what had ended')

  const ended = opened.map(({ session }) => `latchkey:ended:${session.id}`)
  const withTombstones = await usedBytes()
  for (let i = 0; i < ended.length; i += 1000) await redis.del(ended.slice(i, i + 1000))
  const withoutTombstones = await usedBytes()
  const entries = await redis.xlen('latchkey:revocations')
  await redis.del('latchkey:revocations')
  const withoutStream = await usedBytes()
  return {
    rowCount,
    bytesPerRow,
    bytesPerTombstone: (withTombstones - withoutTombstones) / endedCount,
    bytesPerStreamEntry: (withoutTombstones - withoutStream) / entries,
    replay: {
      endings: endedCount,
      revived: told.revived,
      perSecond: told.perSecond,
      perSecondIdle: idle.perSecond,
    },
  }
}
