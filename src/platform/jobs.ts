import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Logger, parseCronItems, run, type TaskList, type Worker, type WorkerEvents } from 'graphile-worker'
import pg from 'pg'
import type { Log } from './log.ts'
import { fromPostgres, type Knex } from './postgres.ts'

/** What one kind of job does; `signal` is aborted when the process stops. A job that throws is run again later. */
export type Task = (payload: Record<string, unknown>, signal: AbortSignal) => Promise<void>

export interface Jobs {
  /** Stops looking for jobs and waits, some seconds at most, for those under way. */
  stop(): Promise<void>
}

/** graphile-worker would write messages and stacks of errors to the console; the service logs codes, in one place. */
export const silentLogger = new Logger(() => () => undefined)

const restartDelayMs = 1000
/** How often a worker looks for jobs that have become due, or that no notification told of. */
const pollMs = 2000
/** Old connections are replaced, so that one which has silently died is not used for long. */
const connectionLifeSeconds = 60
/** How far back a time of the schedule is made up for that came while no worker ran, or none could reach PostgreSQL. */
const missedForMs = 3_600_000
/** What is still under way then is run again, by another process or at the next start. */
const stopTimeoutMs = 5000

/**
 * Lets workers that die with PostgreSQL be over, before graphile-worker rejects them: of a rejected one it writes a stack
 * to the console, past every logger. A released worker dies so when it was looking for a job and PostgreSQL is away.
 */
function withoutTraces(): WorkerEvents {
  const events: WorkerEvents = new EventEmitter()
  const released = new WeakSet<Worker>()
  events.on('worker:release', ({ worker }) => released.add(worker))
  events.on('worker:getJob:error', ({ worker }) => {
    if (released.has(worker)) void worker.release(true)
  })
  return events
}

/**
 * Lets a connection be given back twice: graphile-worker does so with the one that listens when it is told to stop before
 * PostgreSQL has answered the LISTEN. The pool would throw, and nobody is there to catch it.
 */
function givenBackOnce(pool: pg.Pool): pg.Pool {
  type GiveBack = (broken?: unknown) => void
  type Take = (error: Error | undefined, client: pg.PoolClient | undefined, giveBack?: GiveBack) => void
  const connect = pool.connect.bind(pool) as (take?: Take) => Promise<pg.PoolClient>
  const once = (giveBack: GiveBack): GiveBack => {
    let isOut = true
    return (broken) => {
      if (isOut) giveBack(broken)
      isOut = false
    }
  }
  const connectOnce = (take?: Take) =>
    connect(take && ((error, client, giveBack) => take(error, client, giveBack && once(giveBack))))
  return Object.assign(pool, { connect: connectOnce as pg.Pool['connect'] })
}

/**
 * Runs jobs from the queue in PostgreSQL, at most `concurrency` at a time, on connections of its own, until stopped.
 *
 * It never ends by itself: when PostgreSQL is away it tries again every second until it is back.
 *
 * @param schedule which tasks to run by the clock, by a cron pattern in UTC: once each time, however many workers there
 *   are, and at the start if the time came less than an hour before it; one that still waits to be tried again is replaced
 */
export function startJobs({
  url,
  timeoutMs,
  concurrency,
  tasks,
  schedule,
  log,
}: {
  url: string
  timeoutMs: number
  concurrency: number
  tasks: Record<string, Task>
  schedule: { task: string; match: string }[]
  log: Log
}): Jobs {
  const stopping = new AbortController()
  const { signal } = stopping
  let told: string | undefined

  const taskList = Object.fromEntries(
    Object.entries(tasks).map(([name, task]) => [
      name,
      (payload: unknown) => task(payload as Record<string, unknown>, signal),
    ]),
  ) as TaskList

  async function work(): Promise<void> {
    const pool = givenBackOnce(
      new pg.Pool({
        connectionString: url,
        application_name: 'latchkey jobs',
        max: concurrency + 2, // one listens, one schedules
        connectionTimeoutMillis: timeoutMs,
        query_timeout: timeoutMs * 2,
        statement_timeout: timeoutMs * 2,
        keepAlive: true,
        maxLifetimeSeconds: connectionLifeSeconds,
      }),
    )
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    try {
      const runner = await run({
        pgPool: pool,
        concurrency,
        taskList,
        parsedCronItems: parseCronItems(
          schedule.map(({ task, match }) => ({
            task,
            match,
            identifier: task,
            options: { backfillPeriod: missedForMs, jobKey: task },
          })),
        ),
        pollInterval: pollMs,
        noHandleSignals: true,
        events: withoutTraces(),
        logger: silentLogger,
        // In batches the end of a job is written with retries; without, a failure to write it is an unhandled rejection.
        preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      })
      told = undefined
      const stop = () => void runner.stop().catch(() => undefined)
      if (signal.aborted) stop()
      else signal.addEventListener('abort', stop, { once: true })
      await runner.promise.finally(() => signal.removeEventListener('abort', stop))
    } finally {
      await Promise.race([pool.end(), delay(timeoutMs)])
    }
  }

  async function workUntilStopped(): Promise<void> {
    while (!signal.aborted) {
      const reason = await work().then(
        () => 'ended',
        (error: unknown) => (error as { code?: string }).code ?? (error as Error).name,
      )
      if (signal.aborted) return
      if (reason !== told) log('jobs.lost', { error: reason })
      told = reason
      await delay(restartDelayMs, undefined, { signal }).catch(() => undefined)
    }
  }

  const working = workUntilStopped()
  return {
    async stop() {
      stopping.abort()
      await Promise.race([working, delay(stopTimeoutMs, undefined, { ref: false })])
    },
  }
}

/**
 * Puts a job into the queue, in the transaction of the caller when there is one: then it exists from the commit on.
 *
 * @param key of the jobs that wait under one key, only the one put last stays; one that runs already is not touched
 * @param delayMs counted from the beginning of the transaction, by the clock of PostgreSQL
 * @throws AppError `unavailable` when PostgreSQL does not answer
 */
export async function addJob(
  knex: Knex,
  { task, payload, key, delayMs = 0 }: { task: string; payload: object; key: string; delayMs?: number },
): Promise<void> {
  await fromPostgres(
    knex.raw(
      `select 1 from graphile_worker.add_job(
        ?, payload => ?::json, job_key => ?, run_at => now() + ? * interval '1 millisecond')`,
      [task, JSON.stringify(payload), key, delayMs],
    ),
  )
}

/** Takes the job that waits under a key out of the queue. */
export async function removeJob(knex: Knex, key: string): Promise<void> {
  await fromPostgres(knex.raw('select 1 from graphile_worker.remove_job(?)', [key]))
}
