/** Whether `dist/` was built from the sources that are here; on nothing but Node itself, as it is asked before all else. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const inBuild = 'sources.sha256'

/** The digest of all that goes into a build: our code, and the versions of the packages. */
export function digestOfSources(root) {
  const hash = createHash('sha256')
  for (const place of ['src', 'migrations', 'package-lock.json'])
    for (const file of filesIn(path.join(root, place)))
      hash
        .update(`${path.relative(root, file)}\0`)
        .update(fs.readFileSync(file))
        .update('\0')
  return hash.digest('hex')
}

export function noteSources(outdir, digest) {
  fs.writeFileSync(path.join(outdir, inBuild), digest)
}

export function isBuilt(root) {
  try {
    return fs.readFileSync(path.join(root, 'dist', inBuild), 'utf8') === digestOfSources(root)
  } catch {
    return false
  }
}

/** A file itself, or all that are somewhere in a folder. */
function filesIn(place) {
  if (!fs.statSync(place).isDirectory()) return [place]
  const found = fs.readdirSync(place, { recursive: true }).map((name) => path.join(place, name))
  return found.filter((file) => fs.statSync(file).isFile()).toSorted()
}
