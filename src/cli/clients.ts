import type { Clients, ServiceClient } from '../clients/index.ts'
import { AppError } from '../errors.ts'
import { operator } from './operator.ts'
import { printTable } from './table.ts'

/** `clients create`: prints the id and the secret, which can be read here and never again. */
export async function createClient(
  clients: Clients,
  { name, json }: { name: string; json?: boolean },
): Promise<number> {
  const { client, secret } = await clients.create(name, operator)
  if (json) console.log(JSON.stringify({ ...asJson(client), secret }))
  else {
    console.log(`id      ${client.id}\nsecret  ${secret}`)
    console.error('Keep the secret now: it is stored as a digest only, and is not shown again.')
  }
  return 0
}

/** `clients list`: those that were revoked as well. */
export async function listClients(clients: Clients, { json }: { json?: boolean }): Promise<number> {
  const all = await clients.list()
  if (json) for (const client of all) console.log(JSON.stringify(asJson(client)))
  else printTable(['ID', 'NAME', 'CREATED', 'LAST USED', 'REVOKED'], all.map(asRow))
  return 0
}

/** `clients revoke`: the exit code tells whether it is revoked now. */
export async function revokeClient(clients: Clients, id: string): Promise<number> {
  try {
    await clients.revoke(id, operator)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not-found') throw error
    console.error('There is no client with this id.')
    return 1
  }
  console.log('The client is revoked.')
  return 0
}

function asRow({ id, name, createdAt, lastUsedAt, revokedAt }: ServiceClient): string[] {
  return [id, name, createdAt.toISOString(), lastUsedAt?.toISOString() ?? '', revokedAt?.toISOString() ?? '']
}

function asJson({ id, name, createdAt, createdBy, lastUsedAt, revokedAt }: ServiceClient) {
  return {
    id,
    name,
    created_at: createdAt.toISOString(),
    created_by: createdBy,
    last_used_at: lastUsedAt?.toISOString() ?? null,
    revoked_at: revokedAt?.toISOString() ?? null,
  }
}
