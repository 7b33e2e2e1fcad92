import { randomBytes, timingSafeEqual } from 'node:crypto'
import { v4, validate } from 'uuid'
import type { Actor, Audit } from '../audit/index.ts'
import { AppError } from '../errors.ts'
import { announce } from '../platform/bulletin.ts'
import type { Clock } from '../platform/clock.ts'
import { digest } from '../platform/digest.ts'
import { canonicalLabel, labelMaxCodePoints } from '../platform/label.ts'
import { fromPostgres, type Knex } from '../platform/postgres.ts'

/** A service that may ask about tokens. Its secret is kept as a digest, and told once. */
export interface ServiceClient {
  id: string
  name: string
  createdAt: Date
  /** The admin who created it; null when an operator did. */
  createdBy: string | null
  /** To the minute. */
  lastUsedAt: Date | null
  revokedAt: Date | null
}

interface ClientRow {
  id: string
  name: string
  secret_digest: string
  created_at: Date
  created_by: string | null
  last_used_at: Date | null
  revoked_at: Date | null
}

export type Clients = ReturnType<typeof createClients>

const secretBytes = 32
const lastUsedStepMs = 60_000

/**
 * The services that may ask about tokens, and their credentials.
 *
 * Every process keeps a copy of those that are good, so that checking one costs a digest and no store. The copy is read
 * again whenever one was created or revoked ({@link Bulletin}, topic `clients`); whoever is cut off from PostgreSQL
 * goes on with the copy there is.
 */
export function createClients({ knex, audit, clock }: { knex: Knex; audit: Pick<Audit, 'record'>; clock: Clock }) {
  /** The digests of the secrets, by client; null until they were read. */
  let copy: Map<string, Buffer> | null = null
  /** Readings are numbered as they begin; one that began before the copy was last changed says nothing new. */
  let begun = 0
  let newest = 0
  const usedAt = new Map<string, number>()
  const behind = new Set<Promise<unknown>>()

  /** Reads the copy again. @throws AppError `unavailable` */
  async function reread(): Promise<void> {
    const reading = (begun += 1)
    const rows = await fromPostgres(
      knex<ClientRow>('service_clients').where({ revoked_at: null }).select('id', 'secret_digest'),
    )
    if (reading < newest) return
    newest = reading
    copy = new Map(rows.map(({ id, secret_digest }) => [id, Buffer.from(secret_digest)]))
  }

  /** Changes the copy of this process at once, and lets no reading that is under way undo it. */
  function amendCopy(change: (held: Map<string, Buffer>) => void): void {
    newest = begun += 1
    if (copy) change(copy)
  }

  /**
   * Creates a client with a secret of 256 random bits, which is in the answer and nowhere else.
   *
   * @throws AppError `validation-failed`, `unavailable`
   */
  async function create(name: string, actor: Actor): Promise<{ client: ServiceClient; secret: string }> {
    const called = canonicalLabel(name)
    if (called === null)
      throw new AppError('validation-failed', {
        faults: [{ member: 'name', detail: `must be 1 to ${labelMaxCodePoints} printable characters` }],
      })
    const secret = randomBytes(secretBytes).toString('base64url')
    const row: ClientRow = {
      id: v4(),
      name: called,
      secret_digest: digest(secret),
      created_at: new Date(clock.now()),
      created_by: actor.id,
      last_used_at: null,
      revoked_at: null,
    }
    await fromPostgres(
      knex.transaction(async (trx) => {
        await trx<ClientRow>('service_clients').insert(row)
        await audit.record(trx, { event: 'client.created', actor, detail: { client: row.id, name: called } })
        await announce(trx, 'clients')
      }),
    )
    amendCopy((held) => held.set(row.id, Buffer.from(row.secret_digest)))
    return { client: toClient(row), secret }
  }

  /** All clients there ever were, newest first. @throws AppError `unavailable` */
  async function list(): Promise<ServiceClient[]> {
    const rows = await fromPostgres(knex<ClientRow>('service_clients').orderBy('created_at', 'desc').orderBy('id'))
    return rows.map(toClient)
  }

  /**
   * Revokes a client: refused at once by this process, and within milliseconds by all others.
   *
   * Repeating it is harmless, and confirms what PostgreSQL had not.
   *
   * @throws AppError `not-found`, `unavailable`
   */
  async function revoke(id: string, actor: Actor): Promise<void> {
    if (!validate(id)) throw new AppError('not-found')
    await fromPostgres(
      knex.transaction(async (trx) => {
        const client = await trx<ClientRow>('service_clients').where({ id }).forUpdate().first()
        if (!client) throw new AppError('not-found')
        if (client.revoked_at === null) {
          await trx<ClientRow>('service_clients')
            .where({ id })
            .update({ revoked_at: new Date(clock.now()) })
          await audit.record(trx, { event: 'client.revoked', actor, detail: { client: id } })
        }
        await announce(trx, 'clients')
      }),
    )
    amendCopy((held) => held.delete(id.toLowerCase()))
  }

  /**
   * Whether these are the credentials of a client: one digest and one comparison in constant time, and no store.
   *
   * @throws AppError `unavailable` as long as the copy was not read
   */
  function verify(id: string, secret: string): boolean {
    if (!copy) throw new AppError('unavailable')
    const held = copy.get(id)
    const given = Buffer.from(digest(secret))
    const right = held !== undefined && held.length === given.length && timingSafeEqual(held, given)
    if (right) noteUse(id)
    return right
  }

  /** Writes behind the answer, at most once a minute, that a client was used. Its failure costs nobody anything. */
  function noteUse(id: string): void {
    const now = clock.now()
    if (now - (usedAt.get(id) ?? -Infinity) < lastUsedStepMs) return
    usedAt.set(id, now)
    const write = fromPostgres(
      knex<ClientRow>('service_clients')
        .where({ id })
        .update({ last_used_at: new Date(now) }),
    )
    const done = write.catch(() => usedAt.delete(id)).finally(() => behind.delete(done))
    behind.add(done)
  }

  /** Waits for the writes that go on behind answers. */
  async function settle(): Promise<void> {
    await Promise.all(behind)
  }

  return { create, list, revoke, verify, reread, settle }
}

function toClient(row: ClientRow): ServiceClient {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at,
    createdBy: row.created_by,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }
}
