import fs from 'node:fs'
import path from 'node:path'
import { build } from 'esbuild'

const root = path.resolve(import.meta.dirname, '../..')
/** Beside the packages, so that those with parts in machine code are found from there. */
const folder = path.join(root, 'node_modules/.cache/latchkey')
/** Parts in machine code, and drivers of databases that Knex would load if there were any. */
const external = [
  'argon2',
  'bcrypt',
  'pg-native',
  'mysql',
  'mysql2',
  'mariadb/callback',
  'oracledb',
  'sqlite3',
  'better-sqlite3',
  'tedious',
]
const preface = `
import { createRequire as requireFrom } from 'node:module'
const require = requireFrom(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname
`

let made: Promise<string> | undefined

/**
 * The service in one file: the same `main`, from the sources or the build, which starts in a third of the time.
 *
 * Most of a start is finding and reading a thousand files, and the fault tests need hundreds of processes.
 */
export function bundledMain(): Promise<string> {
  made ??= bundle()
  return made
}

async function bundle(): Promise<string> {
  const outfile = path.join(folder, `main-${process.pid}.mjs`)
  await build({
    entryPoints: [path.join(root, process.env['LATCHKEY_UNDER_TEST'] === 'build' ? 'dist/src/main.js' : 'src/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external,
    banner: { js: preface },
    logLevel: 'error',
  })
  process.once('exit', () => fs.rmSync(outfile, { force: true }))
  return outfile
}
