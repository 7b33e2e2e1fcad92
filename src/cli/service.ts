import type { Command } from 'commander'
import { createLog } from '../platform/log.ts'
import { fromPostgres } from '../platform/postgres.ts'
import { createServices, type Services } from '../services.ts'
import { examples, type Context } from './context.ts'

/** `serve`, `migrate` and `prune`: what the service does by itself, begun by hand. */
export function addServiceCommands(program: Command, { config, run, withServices }: Context): void {
  program
    .command('serve')
    .description('serve the API until SIGTERM or SIGINT')
    .addHelpText('after', examples(['serve', 'listens on HOST and PORT']))
    .action(() =>
      run(async () => {
        const { serveUntilSignal } = await import('../workers.ts')
        await serveUntilSignal(config())
        return 0
      }),
    )

  program
    .command('migrate')
    .description('bring the database schema up to date, as every start of the service does')
    .addHelpText('after', examples(['migrate', 'waits for whoever is migrating already']))
    .action(() =>
      run(async () => {
        const services = createServices(config(), { log: createLog('silent') })
        try {
          return await migrateSchema(services)
        } finally {
          await services.close()
        }
      }),
    )

  program
    .command('prune')
    .description('delete what has lapsed, as the service does once an hour')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', examples(['prune', 'says what it deletes']))
    .action((options: { json?: boolean }) => withServices((services) => prune(services, options)))
}

async function migrateSchema({ schema }: Services): Promise<number> {
  const count = await fromPostgres(schema.migrate())
  console.log(count === 0 ? 'The schema is up to date.' : `${count} ${count === 1 ? 'migration' : 'migrations'} ran.`)
  return 0
}

async function prune({ chores }: Services, { json }: { json?: boolean }): Promise<number> {
  for (const { run } of chores)
    for (const [what, count] of Object.entries(await run()))
      console.log(json ? JSON.stringify({ deleted: what, count }) : `${count} ${what} deleted.`)
  return 0
}
