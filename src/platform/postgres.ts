import knexModule, { type Knex } from 'knex'
import type { Client } from 'pg'
import { AppError } from '../errors.ts'

export type { Knex } from 'knex'

export interface PostgresOptions {
  url: string
  poolMax: number
  /** Bound on each single wait: for a place in the pool, a connection, an answer; a third of it for a lock. */
  timeoutMs: number
  /** Is told of each statement that was answered or has failed: what it does, in Knex's words or SQL's, and how long it took. */
  onQuery?: ((method: string | undefined, durationMs: number) => void) | undefined
}

/**
 * Opens a pool of connections that never keeps a caller waiting for long.
 *
 * The server is told to give up (statement and lock time-outs); for a server that says nothing at all the client gives
 * up a little later, and then drops the connection: what is still to come must not keep the next caller waiting.
 *
 * Whoever waits for a lock holds a connection, and while all of them do so, every statement of every caller waits for a
 * place first. So a lock is not waited for as long as an answer: the sum must stay bearable.
 */
export function openPostgres({ url, poolMax, timeoutMs, onQuery }: PostgresOptions): Knex {
  const readTimeoutMs = Math.round(timeoutMs * 1.2)
  const clients = new Map<string, Client>()
  const knex = knexModule({
    client: 'pg',
    connection: {
      connectionString: url,
      application_name: 'latchkey',
      keepAlive: true,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: readTimeoutMs,
      statement_timeout: timeoutMs,
      lock_timeout: Math.round(timeoutMs / 3),
      idle_in_transaction_session_timeout: timeoutMs * 2,
    } as Knex.PgConnectionConfig,
    pool: {
      min: 0,
      max: poolMax,
      destroyTimeoutMillis: timeoutMs,
      afterCreate(client: Client & { __knexUid: string }, done: (error: null, client: Client) => void) {
        clients.set(client.__knexUid, client)
        client.once('end', () => clients.delete(client.__knexUid))
        done(null, client)
      },
      // Knex notices a broken connection a moment later, when it may have handed it out again already.
      validate: ({ connection }: Client) => connection.stream.writable,
    },
    acquireConnectionTimeout: timeoutMs,
    // Otherwise the message of an error quotes the values of the statement, hashes and addresses among them.
    compileSqlOnError: false,
    log: { warn() {}, error() {}, deprecate() {}, debug() {} },
  })
  knex.on('query-error', (error: Error, query: { __knexUid: string }) => {
    if (sqlState(error) === undefined) clients.get(query.__knexUid)?.connection.stream.destroy()
  })
  if (onQuery) timeQueries(knex, onQuery)
  return knex
}

interface QueryEvent {
  __knexQueryUid: string
  method?: string
  sql: string
}

/** Times every statement, from when it has a connection. */
function timeQueries(knex: Knex, onQuery: NonNullable<PostgresOptions['onQuery']>): void {
  const startedAt = new Map<string, number>()
  const ended = ({ __knexQueryUid: id, method, sql }: QueryEvent) => {
    const at = startedAt.get(id)
    if (at === undefined) return
    startedAt.delete(id)
    onQuery(method === 'raw' ? /\w+/.exec(sql)?.[0] : method, performance.now() - at)
  }
  knex.on('query', ({ __knexQueryUid: id }: QueryEvent) => startedAt.set(id, performance.now()))
  knex.on('query-response', (_response: unknown, query: QueryEvent) => ended(query))
  knex.on('query-error', (_error: unknown, query: QueryEvent) => ended(query))
}

/** Error classes (SQLSTATE, appendix A) that are a defect of ours; all others say that the server cannot do it now. */
const ourFault = new Set(['22', '23', '42'])
/** Undefined table or column: the migrations have not run yet. Insufficient privilege: the operator's to mend. */
const notOurFault = new Set(['42P01', '42703', '42501'])

/**
 * Runs a query and turns every failure that is not a defect of ours into `unavailable`.
 *
 * @throws AppError `unavailable` when PostgreSQL is away, stalled, full, read-only or not migrated yet
 */
export async function fromPostgres<T>(query: PromiseLike<T>): Promise<T> {
  try {
    return await query
  } catch (error) {
    if (error instanceof AppError) throw error
    const state = sqlState(error)
    if (state && ourFault.has(state.slice(0, 2)) && !notOurFault.has(state)) throw error
    throw new AppError('unavailable', { cause: error })
  }
}

const deleteBatch = 5000

/**
 * Deletes the rows of a table that a condition chooses, some thousand at a time: so no statement takes long, however
 * many there are, and what is done stays done when a later one fails.
 *
 * @returns how many rows that were
 * @throws AppError `unavailable`
 */
export async function deleteInBatches(
  knex: Knex,
  table: string,
  chosen: (rows: Knex.QueryBuilder) => Knex.QueryBuilder,
): Promise<number> {
  let count = 0
  for (;;) {
    const batch = chosen(knex(table).select('ctid')).limit(deleteBatch)
    const deleted = await fromPostgres(knex(table).whereRaw('ctid = any(array(?))', [batch]).delete())
    count += deleted
    if (deleted < deleteBatch) return count
  }
}

const pageSize = 500

/**
 * Reads the rows since a time, the oldest first, a page at a time; the time and the id are to be indexed together.
 *
 * It goes on by the text of a time: a Date would lose what is below a millisecond, and with it the place.
 *
 * @throws AppError `unavailable`
 */
export async function* pagesSince<Row>(
  rows: Knex.QueryBuilder,
  time: string,
  id: string,
  since: Date,
): AsyncGenerator<Row[]> {
  let from: [time: Date | string, id: string] = [since, '00000000-0000-0000-0000-000000000000']
  for (;;) {
    const found = (await fromPostgres(
      rows
        .clone()
        .select('*')
        .select({ place_id: id })
        .select(rows.client.raw('??::text as place_time', [time]))
        .whereRaw('(??, ??) >= (?::timestamptz, ?)', [time, id, ...from])
        .orderBy([time, id])
        .limit(pageSize + 1),
    )) as (Row & { place_id: string; place_time: string })[]
    yield found.slice(0, pageSize)
    const next = found[pageSize]
    if (!next) return
    from = [next.place_time, next.place_id]
  }
}

/** The unique constraint that an insert or update ran into, if that is what the error says. */
export function violatedConstraint(error: unknown): string | undefined {
  if (sqlState(error) !== '23505') return undefined
  return (error as { constraint?: string }).constraint
}

/** The SQLSTATE, if the error is an answer of the server; a broken connection or a time-out has none. */
function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE' ? code : undefined
}
