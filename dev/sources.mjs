/** Whether `dist/` was built from the sources that are here; on nothing but Node itself, as it is asked before all else. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const noteOf = (root) => path.join(root, 'dist/sources.sha256')

/** The digest of all that a build is made of and by: our code, how it is bundled, and the versions of the packages. */
export function digestOfSources(root) {
  const hash = createHash('sha256')
  const programs = ['src', 'migrations', 'dev'].flatMap((place) => programsIn(path.join(root, place)))
  const files = ['package.json', 'package-lock.json', 'tsconfig.json'].map((name) => path.join(root, name))
  for (const file of [...programs, ...files])
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(fs.readFileSync(file))
      .update('\0')
  return hash.digest('hex')
}

/** Before a build begins: what is cut short must not pass for one. */
export function forgetBuild(root) {
  fs.rmSync(noteOf(root), { force: true })
}

/** Once a build is done, unless what was changed meanwhile may be in it. */
export function noteBuild(root, digestBefore) {
  if (digestOfSources(root) === digestBefore) fs.writeFileSync(noteOf(root), digestBefore)
}

export function isBuildCurrent(root) {
  try {
    return fs.readFileSync(noteOf(root), 'utf8') === digestOfSources(root)
  } catch {
    return false
  }
}

/** Nothing that an editor leaves beside them. */
function programsIn(folder) {
  const found = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
  const programs = found.filter((one) => one.isFile() && one.name.endsWith('.ts') && !one.name.startsWith('.'))
  return programs.map(({ parentPath, name }) => path.join(parentPath, name)).toSorted()
}
