import fs from 'node:fs'
import type { Readable } from 'node:stream'
import { Option, type Command } from 'commander'
import { importBatchMax, importMembers, type Accounts, type Foreign, type Rehearsal } from '../accounts/index.ts'
import { AppError } from '../errors.ts'
import { examples, type Context } from './context.ts'
import { readCsv, readNdjson, type ImportLine } from './import-lines.ts'
import { operator } from './operator.ts'
import { createProgress } from './progress.ts'
import { inert } from './table.ts'

const formats = ['ndjson', 'csv'] as const
type Format = (typeof formats)[number]

interface Options {
  format?: Format
  allowAdmins?: boolean
  dryRun?: boolean
  json?: boolean
}

export function addImportCommand(users: Command, { withServices }: Context): void {
  users
    .command('import')
    .description('take over the accounts of another system, with the hashes of their passwords')
    .argument('<file>', 'one person a line; - for standard input')
    .addOption(new Option('--format <format>', 'when the name of the file does not tell').choices(formats))
    .option('--dry-run', 'check every line, also whether names are free, and write nothing')
    .option('--allow-admins', 'take over the role admin, too; otherwise such a line is bad')
    .option('--json', 'the counts as one JSON object')
    .addHelpText('after', `\nMembers: ${importMembers.join(', ')}; only the first two must be there.`)
    .addHelpText(
      'after',
      examples(
        ['users import people.ndjson --dry-run', 'what would happen'],
        ['users import people.csv 2>bad-lines.txt', 'keeps what was refused'],
        ['users import - --format ndjson <people.json', 'from standard input'],
      ),
    )
    .action((file: string, options: Options) => withServices(({ accounts }) => importFrom(accounts, file, options)))
}

/**
 * `users import`: bad lines are told and the import goes on; the exit code tells whether there were any.
 *
 * A batch is read while the one before is written, and never more than that; so memory does not grow with the file.
 */
async function importFrom(
  accounts: Accounts,
  file: string,
  { format = formatOf(file), allowAdmins = false, dryRun = false, json }: Options,
): Promise<number> {
  const { input, percentRead } = await open(file)
  const progress = createProgress()
  const counts = { imported: 0, skipped: 0, bad: 0 }
  const rehearsal: Rehearsal | null = dryRun ? await accounts.rehearseImport() : null
  const { importPeople } = rehearsal ?? accounts

  const refuse = (line: number, reason: string) => {
    counts.bad += 1
    progress.say(`line ${line}: ${inert(reason)}`)
  }

  async function write(batch: (ImportLine & { foreign: Foreign })[]): Promise<void> {
    const people = batch.map(({ foreign }) => foreign)
    const outcomes = await importPeople(people, operator, { allowAdmins }).catch((error: unknown) => {
      progress.say(`Stopped at line ${batch[0]!.line}: what comes before it is done, and the whole can be repeated.`)
      throw error
    })
    for (const [i, outcome] of outcomes.entries()) {
      const { line } = batch[i]!
      if (outcome.kind === 'imported') counts.imported += 1
      else if (outcome.kind === 'refused')
        refuse(line, outcome.faults.map(({ member, detail }) => `${member} ${detail}`).join('; '))
      else {
        counts.skipped += 1
        progress.say(`line ${line}: skipped, there is an account with this e-mail address`)
      }
    }
    const done = counts.imported + counts.skipped + counts.bad
    progress.show(`${percentRead()}${done} lines, ${counts.bad} bad`)
  }

  try {
    let batch: (ImportLine & { foreign: Foreign })[] = []
    let writing = Promise.resolve()
    for await (const read of format === 'csv' ? readCsv(input, importMembers) : readNdjson(input)) {
      if ('fault' in read) refuse(read.line, read.fault)
      else if (batch.push(read) === importBatchMax) {
        await writing
        writing = write(batch)
        writing.catch(() => undefined) // it is awaited later, and told then
        batch = []
      }
    }
    await writing
    if (batch.length > 0) await write(batch)
  } finally {
    progress.done()
    await rehearsal?.close()
  }
  const verb = dryRun ? 'would be imported' : 'imported'
  console.log(
    json ? JSON.stringify(counts) : `${counts.imported} ${verb}, ${counts.skipped} skipped, ${counts.bad} bad.`,
  )
  return counts.bad === 0 ? 0 : 1
}

function formatOf(file: string): Format {
  const [, ending] = /\.(csv|ndjson|jsonl)$/i.exec(file) ?? []
  if (ending) return ending.toLowerCase() === 'csv' ? 'csv' : 'ndjson'
  const detail = 'must say ndjson or csv, since the name of the file does not'
  throw new AppError('validation-failed', { faults: [{ member: '--format', detail }] })
}

/** Opens a file, or standard input, of which nobody knows how long it is. */
async function open(file: string): Promise<{ input: Readable; percentRead: () => string }> {
  if (file === '-') return { input: process.stdin, percentRead: () => '' }
  const handle = await fs.promises.open(file)
  const { size } = await handle.stat()
  const input = handle.createReadStream()
  return { input, percentRead: () => `${Math.floor((100 * input.bytesRead) / Math.max(size, 1))} %, ` }
}
