import { v4 } from 'uuid'
import { AppError } from '../errors.ts'
import type { Log, LogFields } from '../platform/log.ts'
import { problemOf, type Problem } from './problems.ts'

/** What is around every request, whichever way it is answered. */
export interface Around {
  log: Log
  stopping: () => boolean
}

export const jsonType = 'application/json; charset=utf-8'
export const problemType = 'application/problem+json; charset=utf-8'

/** One request and its answer, as they are told to the log. */
export class Exchange {
  readonly requestId = v4()
  readonly #startedAt = performance.now()
  readonly #around: Around
  #refusal: AppError | undefined

  constructor(around: Around) {
    this.#around = around
  }

  /** Whether the connection ends with this answer. */
  get isLast(): boolean {
    return this.#around.stopping()
  }

  /** What the caller is told of an error; what they are not told of it goes to the log. */
  refuse(error: unknown): Problem {
    const refusal = error instanceof AppError ? error : new AppError('internal-error', { cause: error })
    const problem = problemOf(refusal, this.requestId)
    this.#refusal = refusal
    const isUnavailable = problem.status === 503
    if (problem.status >= 500 && !(isUnavailable && refusal.isLogged))
      this.#around.log(isUnavailable ? 'store.failed' : 'request.failed', {
        request_id: this.requestId,
        ...causeOf(refusal),
      })
    return problem
  }

  /** Notes that it was answered. */
  done({ method, route, status }: { method: string; route: string; status: number }): void {
    const refusal = this.#refusal
    this.#around.log('request.done', {
      request_id: this.requestId,
      method,
      route,
      status,
      ...(refusal && { code: refusal.code, ...(refusal.reason !== undefined && { reason: refusal.reason }) }),
      duration_ms: Math.round((performance.now() - this.#startedAt) * 1000) / 1000,
    })
  }
}

/** What a log may say of a cause: its kind and where it came from, not its message, which may quote the caller. */
function causeOf({ cause }: AppError): LogFields {
  if (!(cause instanceof Error)) return {}
  const { code } = cause as { code?: unknown }
  return {
    error: typeof code === 'string' ? `${cause.name} ${code}` : cause.name,
    ...(cause.stack && {
      stack: cause.stack
        .split('\n')
        .filter((line) => line.startsWith('    at '))
        .join('\n'),
    }),
  }
}
