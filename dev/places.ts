/** Where the private stores keep their things, and as whom they run. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

/** The project's folder. */
export const root = path.resolve(import.meta.dirname, '..')

/** What development leaves behind: never committed, and safe to delete while nothing runs. */
export const dataDir = path.join(root, '.data')

export interface Owner {
  uid: number
  gid: number
}

const us = process.getuid?.() ?? 0

/** Who runs PostgreSQL when we are root, because it refuses to run as root; undefined when we are not. */
export function databaseOwner(): Owner | undefined {
  if (us !== 0) return undefined
  const rows = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const row = rows.find(([name]) => name === 'postgres') ?? rows.find(([name]) => name === 'nobody')
  if (!row) throw new Error('PostgreSQL does not run as root, and /etc/passwd has neither "postgres" nor "nobody".')
  return { uid: Number(row[2]), gid: Number(row[3]) }
}

/** Whether everyone may pass through every folder of a path, and run it if it is a file. In root's home: no. */
export function isOpenToAll(place: string): boolean {
  for (let at = path.resolve(place); ; at = path.dirname(at)) {
    if ((fs.statSync(at).mode & 0o001) === 0) return false
    if (at === path.dirname(at)) return true
  }
}

/** Makes a folder of ours and refuses one that belongs to somebody else, who could read or replace what is in it. */
function ownFolder(folder: string, mode: number, owner = us): string {
  fs.mkdirSync(folder, { recursive: true, mode })
  const found = fs.lstatSync(folder)
  if (!found.isDirectory() || (found.uid !== us && found.uid !== owner))
    throw new Error(`${folder} belongs to another user (uid ${found.uid}). Run this as that user, or remove it.`)
  if (found.uid === us) fs.chmodSync(folder, mode) // whatever the umask made of it
  return folder
}

/**
 * The folder all state folders are in: `.data/`, or one under /var/tmp when we are root and the project is closed to
 * the user PostgreSQL has to run as.
 */
export function stateBase(): string {
  ownFolder(dataDir, 0o711)
  if (us !== 0 || isOpenToAll(root)) return dataDir
  return ownFolder(path.join('/var/tmp', `latchkey-${shortHash(root)}`), 0o711)
}

/** The folder of one set of stores, made if need be: `dev` for `npm start`, another for every test run. */
export function stateDir(name: string): string {
  return ownFolder(path.join(stateBase(), name), 0o711)
}

/** The longest socket path that macOS takes, in bytes; Linux takes four more. */
const maxSocketPathBytes = 103

/** Where the sockets of a state folder are, when their path would be too long inside it. */
export function shortSocketDir(dir: string): string {
  return path.join('/tmp', `latchkey-${shortHash(dir)}`)
}

/** The folder for the sockets of a state folder, open to nobody but us and the database's user. */
export function socketDir(dir: string): string {
  const inside = path.join(dir, 'run')
  const fits = Buffer.byteLength(path.join(inside, '.s.PGSQL.5432')) <= maxSocketPathBytes
  const owner = databaseOwner()
  const folder = ownFolder(fits ? inside : shortSocketDir(dir), 0o700, owner?.uid)
  if (owner) fs.chownSync(folder, owner.uid, owner.gid)
  return folder
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}

/** Where `npm start` is reached unless it is told. */
export const startUrl = `http://127.0.0.1:${process.env['PORT'] || '3000'}`
