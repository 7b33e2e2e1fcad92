import fs from 'node:fs'
import path from 'node:path'
import { bundleService } from '../../dev/bundle.ts'
import { root } from '../../dev/places.ts'

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
  const folder = path.join(root, 'node_modules/.cache/latchkey', `service-${process.pid}`)
  const main = path.join(folder, 'main.mjs')
  await bundleService(main)
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  return main
}
