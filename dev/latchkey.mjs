/**
 * `npm run latchkey`: the operator's command line as it was built, where that is of the sources that are here. Else it is
 * run from the sources, of which reading takes a second.
 */
import path from 'node:path'
import { isBuildCurrent } from './sources.mjs'

if (isBuildCurrent(path.resolve(import.meta.dirname, '..'))) await import('../dist/src/cli/main.js')
else {
  await import('tsx')
  await import('../src/cli/main.ts')
}
