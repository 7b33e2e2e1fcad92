import type { Command } from 'commander'
import type { Clients, ServiceClient } from '../clients/index.ts'
import { AppError } from '../errors.ts'
import { examples, type Context } from './context.ts'
import { operator } from './operator.ts'
import { printTable } from './table.ts'

export function addClientCommands(program: Command, { withServices }: Context): void {
  const clients = program.command('clients').description('the services that may ask about tokens')

  clients
    .command('create')
    .description('create credentials; the secret is shown once')
    .requiredOption('--name <name>', 'what people call the service')
    .option('--json', 'one JSON object')
    .addHelpText('after', examples(['clients create --name orders', 'prints id and secret']))
    .action((options: Parameters<typeof createClient>[1]) =>
      withServices((services) => createClient(services.clients, options)),
    )

  clients
    .command('list')
    .description('list clients, newest first')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', examples(['clients list', 'with when each was last used']))
    .action((options: Parameters<typeof listClients>[1]) =>
      withServices((services) => listClients(services.clients, options)),
    )

  clients
    .command('revoke')
    .description('revoke the credentials of a client, at once and for good')
    .argument('<id>', 'as clients list shows it')
    .addHelpText('after', examples(['clients revoke 5b0c7b1e-6d0f-4a5e-9a55-0f6f3c1a2b3d', 'within a second']))
    .action((id: string) => withServices((services) => revokeClient(services.clients, id)))
}

/** `clients create`: prints the id and the secret, which can be read here and never again. */
async function createClient(clients: Clients, { name, json }: { name: string; json?: boolean }): Promise<number> {
  const { client, secret } = await clients.create(name, operator)
  if (json) console.log(JSON.stringify({ ...asJson(client), secret }))
  else {
    console.log(`id      ${client.id}\nsecret  ${secret}`)
    console.error('Keep the secret now: it is stored as a digest only, and is not shown again.')
  }
  return 0
}

/** `clients list`: those that were revoked as well. */
async function listClients(clients: Clients, { json }: { json?: boolean }): Promise<number> {
  const all = await clients.list()
  if (json) for (const client of all) console.log(JSON.stringify(asJson(client)))
  else printTable(['ID', 'NAME', 'CREATED', 'LAST USED', 'REVOKED'], all.map(asRow))
  return 0
}

/** `clients revoke`: the exit code tells whether it is revoked now. */
async function revokeClient(clients: Clients, id: string): Promise<number> {
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
