import fs from 'node:fs'
import path from 'node:path'
import { bundle } from '../../dev/bundle.ts'

const root = path.resolve(import.meta.dirname, '../..')

let made: Promise<string> | undefined

/**
 * The service as `npm run build` makes it, from the sources unless the build is under test: the fault tests need hundreds of
 * processes.
 */
export function bundledMain(): Promise<string> {
  made ??=
    process.env['LATCHKEY_UNDER_TEST'] === 'build' ? Promise.resolve(path.join(root, 'dist/src/main.js')) : make()
  return made
}

async function make(): Promise<string> {
  // Beside the packages, so that those with parts in machine code are found from there.
  const outfile = path.join(root, 'node_modules/.cache/latchkey', `main-${process.pid}.mjs`)
  await bundle({ entryPoints: [path.join(root, 'src/main.ts')], outfile })
  process.once('exit', () => fs.rmSync(outfile, { force: true }))
  return outfile
}
