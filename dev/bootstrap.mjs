/**
 * Runs before `npm start`, `npm test` and the like, on nothing but Node itself: checks Node's version and installs the
 * dependencies when node_modules is not what the lockfile says. `node dev/bootstrap.mjs FOLDER` does that in a folder of
 * the project that has a lockfile of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { withLock } from './lock.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const folder = path.join(root, process.argv[2] ?? '.')
const say = (text) => process.stderr.write(`latchkey: ${text}\n`)

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  say(`Node.js 20.19 or newer is needed; this is ${process.versions.node}.`)
  process.exit(1)
}
if (process.platform === 'win32') {
  say('Windows is not supported; run this inside WSL.')
  process.exit(1)
}

const packagesOf = (file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')).packages
const isSame = (a, b) => a?.version === b?.version && a?.integrity === b?.integrity
const allows = (list, value) => !list || list.includes(value)

/** Whether npm would install a package of the lockfile here. Where it also goes by the C library, we do not ask. */
function belongsHere({ optional, os, cpu, libc }) {
  return !optional || (allows(os, process.platform) && allows(cpu, process.arch) && !libc)
}

/**
 * Whether node_modules is what the lockfile says, whoever installed it: npm leaves a lockfile of what it installed, at
 * the very end, so an interrupted installation has none. Both are read in a few milliseconds.
 */
function isInstalled() {
  const wanted = packagesOf('package-lock.json')
  let installed
  try {
    installed = packagesOf('node_modules/.package-lock.json')
  } catch {
    return false
  }
  return (
    Object.keys(installed).every((place) => isSame(installed[place], wanted[place])) &&
    Object.keys(wanted).every((place) => place === '' || place in installed || !belongsHere(wanted[place]))
  )
}

/** Runs `npm ci` to its end and gives its exit code; a signal to us is passed on, so that no npm is left behind. */
async function install(lock) {
  say('installing dependencies (npm ci)')
  const [command, ...first] = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm']
  const options = ['--include=dev', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  const npm = spawn(command, [...first, 'ci', ...options], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  lock.share(npm.pid)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => npm.kill(name))
  const [code] = await once(npm, 'exit')
  return code ?? 1
}

if (!isInstalled()) {
  const data = path.join(root, '.data')
  fs.mkdirSync(data, { recursive: true, mode: 0o711 })
  process.exitCode = await withLock(path.join(data, 'bootstrap.lock'), (lock) => (isInstalled() ? 0 : install(lock)), {
    onWait: () => say('waiting for another npm ci in this folder'),
  })
}
