/** How the service is put together from its sources and packages, for the build and for the tests of many processes. */
import { build, type BuildOptions } from 'esbuild'

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
  await build({
    ...options,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external,
    banner: { js: preface },
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'error',
  })
}
