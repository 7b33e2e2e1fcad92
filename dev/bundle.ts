/** How the service is put together from its sources and packages, for the build and for the tests of many processes. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { parse, type AssignmentExpression, type AssignmentPattern, type Expression } from 'acorn'
import { build, type BuildOptions } from 'esbuild'
import { wrapper } from './compiled.ts'
import { root } from './places.ts'
import { startFlags } from './start-args.ts'

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

/**
 * As from Node.js 21 on. Without it the driver of PostgreSQL asks whether there is a `Response`, and Node.js loads all of
 * its fetch for that.
 */
const navigator = JSON.stringify({ userAgent: 'Node.js' })

/** A module, with what packages in the older form of modules expect to be there. */
const asModule: BuildOptions = {
  format: 'esm',
  define: { navigator },
  banner: {
    js: `
import { createRequire as requireFrom } from 'node:module'
const require = requireFrom(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname
`,
  },
}

/** What `loadCompiled()` takes, with what modules expect to be there. Like them it is strict all through. */
const toBeCompiled: BuildOptions = {
  format: 'cjs',
  banner: { js: `${wrapper.start} 'use strict'; const thisUrl = require('node:url').pathToFileURL(__filename).href` },
  footer: { js: wrapper.end },
  define: {
    navigator,
    'import.meta.url': 'thisUrl',
    'import.meta.filename': '__filename',
    'import.meta.dirname': '__dirname',
  },
  logOverride: { 'empty-import-meta': 'error' },
}

/**
 * Makes the service as it runs in production: a program that starts `process.cjs` beside it by what V8 has compiled of that.
 */
export async function bundleService(main: string): Promise<void> {
  await bundleCompiled(path.join(root, 'src/process.ts'), path.join(path.dirname(main), 'process.cjs'))
  await bundle({ entryPoints: [path.join(root, 'dev/launch.ts')], outfile: main })
}

/** Bundles a program for `loadCompiled()`, and lets V8 compile it for starts with the flags of `npm run start:prod`. */
export async function bundleCompiled(entryPoint: string, outfile: string): Promise<void> {
  await bundle({ entryPoints: [entryPoint], outfile }, toBeCompiled)
  execFileSync(process.execPath, [...startFlags, '--import', 'tsx', path.join(root, 'dev/compile.ts'), outfile], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' }, // no flags besides
    stdio: 'inherit',
  })
}

/**
 * Bundles programs with their packages, but for {@link external}, which must be found from where the bundle lies.
 *
 * Most of a start is finding and reading a thousand files: of a bundle it takes a third (figures: bench/README.md). The
 * code stays as it is written but for {@link keepFunctionsYoung}, with the names of the files in it, so that the lines of a
 * stack can be found.
 */
export async function bundle(
  options: Pick<BuildOptions, 'entryPoints' | 'outfile' | 'outdir' | 'outbase' | 'splitting'>,
  form = asModule,
) {
  const { outputFiles } = await build({
    ...options,
    ...form,
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    external,
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'error',
  })
  for (const { path: file, text } of outputFiles) {
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, inAscii(keepFunctionsYoung(text)))
  }
}

/**
 * Writes what is left of other characters, in comments and regular expressions, as escapes: one of them makes V8 keep the
 * whole file in two bytes a character, 6 MB more for as long as the process lives.
 */
function inAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Puts `(0, …)` around each function that is assigned to a member of an object, which means the same where each statement
 * ends with a semicolon, as in what esbuild writes; and keeps V8 from making it old from its start.
 *
 * V8 does so with every function on the right-hand side of such an assignment, as long as the code is not optimised. An
 * old object keeps all that it refers to until the next collection of everything. In ioredis each command has one such
 * function and each script two, in Knex each transaction has dozens: so the requests of the last seconds were copied with each
 * collection of young objects, though all were answered (figures: bench/README.md, "Where the time goes"). V8 has no
 * setting for it, and most of these functions are not ours to write otherwise.
 */
function keepFunctionsYoung(text: string): string {
  const functions: Expression[] = []
  const look = (part: unknown) => {
    if (typeof part !== 'object' || part === null) return
    if (isOfMember(part)) functions.push(part.right)
    Object.values(part).forEach(look)
  }
  look(parse(text, { sourceType: 'module', ecmaVersion: 'latest' }))
  const edges = functions
    .flatMap(({ start, end }) => [
      { at: start, put: '(0, ' },
      { at: end, put: ')' },
    ])
    .toSorted((one, other) => one.at - other.at)
  let written = ''
  let upTo = 0
  for (const { at, put } of edges) {
    written += text.slice(upTo, at) + put
    upTo = at
  }
  return written + text.slice(upTo)
}

/** Whether a part of a program assigns a function, written out just there, to a member of an object. */
function isOfMember(part: object): part is AssignmentExpression | AssignmentPattern {
  const { type, left, right } = part as Partial<AssignmentExpression | AssignmentPattern>
  return (
    (type === 'AssignmentExpression' || type === 'AssignmentPattern') &&
    left?.type === 'MemberExpression' &&
    (right?.type === 'FunctionExpression' || right?.type === 'ArrowFunctionExpression')
  )
}
