/**
 * `npm run build`: bundles what runs in production into a fresh dist/, so that nothing of an older build stays in it. Types
 * are not looked at here but by `npm run typecheck`.
 */
import fs from 'node:fs'
import path from 'node:path'
import { bundle, bundleService } from './bundle.ts'
import { root } from './places.ts'
import { digestOfSources, forgetBuild, noteBuild } from './sources.mjs'

const outdir = path.join(root, 'dist')
const digest = digestOfSources(root)
forgetBuild(root)
fs.rmSync(outdir, { recursive: true, force: true })
await bundle({
  // The second is for the tests, which run the service in their own process.
  entryPoints: ['cli/main', 'serve'].map((name) => path.join(root, 'src', `${name}.ts`)),
  outdir,
  outbase: root,
  splitting: true,
})
fs.chmodSync(path.join(outdir, 'src/cli/main.js'), 0o755) // the bin `latchkey`

await bundleService(path.join(outdir, 'src/main.js'))
noteBuild(root, digest)
