/**
 * `npm run build`: bundles what runs in production into a fresh dist/, so that nothing of an older build stays in it. Types
 * are not looked at here but by `npm run typecheck`.
 */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { bundle } from './bundle.ts'

const root = path.resolve(import.meta.dirname, '..')
const outdir = path.join(root, 'dist')
fs.rmSync(outdir, { recursive: true, force: true })
await bundle({
  // The second is for the tests, which run the service in their own process.
  entryPoints: ['cli/main', 'serve'].map((name) => path.join(root, 'src', `${name}.ts`)),
  outdir,
  outbase: root,
  splitting: true,
})
fs.chmodSync(path.join(outdir, 'src/cli/main.js'), 0o755) // the bin `latchkey`

const program = path.join(outdir, 'src/process.cjs')
await bundle({ entryPoints: [path.join(root, 'src/process.ts')], outfile: program }, 'to be compiled')
await bundle({ entryPoints: [path.join(root, 'dev/launch.ts')], outfile: path.join(outdir, 'src/main.js') })
execFileSync(process.execPath, [...startFlags(), '--import', 'tsx', path.join(root, 'dev/compile.ts'), program], {
  cwd: root,
  stdio: 'inherit',
})

/** What `npm run start:prod` and the image give to V8: with other flags it takes nothing of what was compiled. */
function startFlags(): string[] {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<'start:prod', string>
  }
  return scripts['start:prod'].split(' ').filter((word) => word.startsWith('--'))
}
