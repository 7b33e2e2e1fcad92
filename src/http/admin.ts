import { z } from 'zod'
import type { Caller } from '../accounts/index.ts'
import type { Actor, AuditEntry } from '../audit/index.ts'
import { AppError, type ErrorCode } from '../errors.ts'
import type { Route, Services } from './route.ts'

const uuid = z.uuid()
/** What says nothing about the caller: the service could not do its part, and the audit lies in the same store. */
const notTheirs: ReadonlySet<ErrorCode> = new Set(['unavailable', 'internal-error'])

/** An admin as the audit knows them. */
export function adminOf({ userId, client: { address, userAgent } }: Caller): Actor {
  return { kind: 'admin', id: userId, address, userAgent }
}

/** To be refused as no admin is an event of one's own account: nobody can write into what others see of theirs. */
function refusal(reason: ErrorCode, actor: Actor, userId: string | null, what: string): AuditEntry {
  return reason === 'forbidden'
    ? {
        event: 'admin.refused',
        actor: { ...actor, kind: 'person' },
        userId: actor.id,
        detail: { what, reason, user: userId },
      }
    : { event: 'admin.refused', actor, userId, detail: { what, reason } }
}

/**
 * Answers a call that is for admins, and sees to it that the audit has it.
 *
 * A change is recorded by who makes it, in its transaction. A look, and a refusal whatever its cause, are noted here.
 *
 * Whoever is no admin spends the points of their address for it, like somebody with a wrong token: or they could fill the
 * audit.
 *
 * @throws AppError `forbidden` when the caller is no admin now, `too-many-attempts` in its place, and what the route throws
 */
export async function underAudit<T>(
  { method, path }: Route,
  params: { user_id?: string },
  actor: Actor,
  { accounts, audit, throttle }: Services,
  answer: () => Promise<T>,
): Promise<T> {
  const what = `${method.toUpperCase()} ${path}`
  const userId = uuid.safeParse(params.user_id).data ?? null
  try {
    await accounts.administration.mustBeAdmin(actor.id!)
  } catch (error) {
    if (error instanceof AppError && error.code === 'forbidden')
      await throttle.mustSpend('wrong-tokens', { address: actor.address })
    await noteRefusal(error)
    throw error
  }
  try {
    const reply = await answer()
    if (method === 'get') await audit.note({ event: 'admin.viewed', actor, userId, detail: { what } })
    return reply
  } catch (error) {
    await noteRefusal(error)
    throw error
  }

  async function noteRefusal(error: unknown): Promise<void> {
    if (error instanceof AppError && !notTheirs.has(error.code))
      await audit.note(refusal(error.code, actor, userId, what))
  }
}
