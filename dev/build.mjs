/** `npm run build`: compiles what runs in production into a fresh dist/, so that nothing of an older build stays in it. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true })
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const options = { cwd: root, stdio: 'inherit' }
process.exitCode = spawnSync(process.execPath, [tsc, '-p', 'dev/tsconfig.build.json'], options).status ?? 1
if (process.exitCode === 0) fs.chmodSync(path.join(root, 'dist/src/cli/main.js'), 0o755) // the bin `latchkey`
