/** How the service is put together from its sources and packages, for the build and for the tests of many processes. */
import fs from 'node:fs'
import path from 'node:path'
import { build, type BuildOptions } from 'esbuild'

/**
 * Parts in machine code, and drivers of databases that Knex would load if there were any. The list of common passwords is
 * outside too, since it is asked for by name when it is needed (`src/accounts/rules.ts`).
 */
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

/** What packages in the older form of modules expect to be there. */
const preface = `
import { createRequire as requireFrom } from 'node:module'
const require = requireFrom(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname
`

/**
 * Bundles programs with their packages, but for {@link external}, which must be found from where the bundle lies.
 *
 * Most of a start is finding and reading a thousand files: of a bundle it takes a third (figures: bench/README.md). The
 * code stays as it is written, with the names of the files in it, so that the lines of a stack can be found.
 */
export async function bundle(
  options: Pick<BuildOptions, 'entryPoints' | 'outfile' | 'outdir' | 'outbase' | 'splitting'>,
) {
  const { outputFiles } = await build({
    ...options,
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external,
    banner: { js: preface },
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'error',
  })
  for (const { path: file, text } of outputFiles) {
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, inAscii(text))
  }
}

/**
 * Writes what is left of other characters, in comments and regular expressions, as escapes: one of them makes V8 keep the
 * whole file in two bytes a character, 6 MB more for as long as the process lives.
 */
function inAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
