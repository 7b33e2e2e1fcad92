/** What `npm run build` makes `dist/src/main.js` of: the service, from what was compiled of it. */
import path from 'node:path'
import { loadCompiled } from './compiled.ts'

const { exports } = loadCompiled(path.join(import.meta.dirname, 'process.cjs'))
await (exports as typeof import('../src/process.ts')).runProcess()
