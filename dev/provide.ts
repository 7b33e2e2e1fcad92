/**
 * Programs that npm cannot install: found on PATH, else unpacked from the distribution's own package into `.data/`
 * (Debian and Ubuntu; needs no root and installs nothing), else installed by the package manager.
 */
import fs from 'node:fs'
import path from 'node:path'
import { withLock } from './lock.mjs'
import { dataDir } from './places.ts'
import { progress, run, shellQuoted } from './process.ts'

const managers = ['apk', 'dnf', 'pacman', 'zypper', 'brew'] as const
type Manager = (typeof managers)[number]
/** The packages to try, one after the other. */
type Packages = Partial<Record<Manager, string[]>>

interface Tool {
  commands: string[]
  /** Other names of the same binary, which goes by the name it is called by. */
  twins: string[]
  /** In Debian and Ubuntu. */
  debian: string[]
  packages: Packages
}

const redis = {
  // Not redis-server, which would be a service on port 6379 once installed. redis-tools holds the same binary.
  debian: ['redis-tools', 'valkey-tools'],
  packages: {
    apk: ['redis', 'valkey'],
    dnf: ['redis', 'valkey', 'redis6'],
    pacman: ['valkey'],
    zypper: ['redis'],
    brew: ['redis'],
  },
}

const everywhere = (name: string) => ({
  commands: [name],
  twins: [],
  debian: [name],
  packages: { apk: [name], dnf: [name], pacman: [name], zypper: [name], brew: [name] },
})

const tools = {
  'redis-server': {
    commands: ['redis-server', 'valkey-server', 'redis6-server'],
    twins: ['redis-check-rdb', 'valkey-check-rdb'],
    ...redis,
  },
  'redis-cli': { commands: ['redis-cli', 'valkey-cli', 'redis6-cli'], twins: [], ...redis },
  curl: everywhere('curl'),
  wrk: everywhere('wrk'),
} satisfies Record<string, Tool>

export type ToolName = keyof typeof tools

interface Found {
  file: string
  /** Where its package was unpacked; undefined when the system has it. */
  unpackedIn?: string
}

const binDir = path.join(dataDir, 'bin')

/** Makes sure of a program and gives the path of the script that runs it, always `.data/bin/<name>`. */
export async function provide(name: ToolName, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<string> {
  const tool: Tool = tools[name]
  const found = (await findTool(tool)) ?? (await fetchTool(name, tool, signal))
  if (!found)
    throw new Error(
      `There is no ${name} here and it could not be fetched. Install it with your package manager` +
        `${name.startsWith('redis') ? ' (Redis 6 or newer, or Valkey), or set REDIS_URL' : ''}, and run this again.`,
    )
  return writeScript(name, tool, found)
}

async function fetchTool(name: string, tool: Tool, signal: AbortSignal | undefined): Promise<Found | undefined> {
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o711 })
  return withLock(
    path.join(dataDir, 'provide.lock'),
    async () => {
      const meanwhile = await findTool(tool)
      if (meanwhile) return meanwhile
      if (await unpackDebianPackage(name, tool, signal)) return findTool(tool)
      return (await installWithPackageManager(name, tool.packages, signal)) ? findTool(tool) : undefined
    },
    { signal, onWait: () => progress(`waiting for another process that fetches programs`) },
  )
}

async function findTool(tool: Tool): Promise<Found | undefined> {
  for (const command of [...tool.commands, ...tool.twins]) {
    const file = which(command)
    if (file) return { file }
  }
  for (const name of tool.debian) {
    const unpackedIn = path.join(await packagesDir(), name)
    for (const command of [...tool.commands, ...tool.twins]) {
      const file = path.join(unpackedIn, 'usr/bin', command)
      if (isExecutable(file)) return { file, unpackedIn }
    }
  }
  return undefined
}

/** Looks in PATH, and where system programs are even if PATH does not say so. */
function which(command: string): string | undefined {
  const usual = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/opt/homebrew/bin', '/opt/local/bin']
  return [...(process.env.PATH ?? '').split(':'), ...usual]
    .filter((dir) => path.isAbsolute(dir) && path.resolve(dir) !== binDir)
    .map((dir) => path.join(dir, command))
    .find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}

/** Packages of one release of one distribution: a folder may be shared with a container or outlive an upgrade. */
async function packagesDir(): Promise<string> {
  const release = await fs.promises.readFile('/etc/os-release', 'utf8').catch(() => '')
  const value = (key: string) => new RegExp(`^${key}="?([\\w.-]*)`, 'm').exec(release)?.[1] ?? ''
  return path.join(dataDir, 'packages', `${value('ID')}${value('VERSION_ID')}-${process.arch}`)
}

/** Fetches a package with what it depends on and is not installed, and unpacks it all into one folder. */
async function unpackDebianPackage(name: string, tool: Tool, signal: AbortSignal | undefined): Promise<boolean> {
  if (!which('apt-get') || !which('dpkg-deb')) return false
  progress(`no ${name} here: unpacking your distribution's own into .data/ (nothing is installed)`)
  const packages = await packagesDir()
  fs.mkdirSync(packages, { recursive: true })
  for (const left of fs.readdirSync(packages).filter((each) => each.startsWith('.unfinished-')))
    fs.rmSync(path.join(packages, left), { recursive: true, force: true })
  const unfinished = fs.mkdtempSync(path.join(packages, '.unfinished-'))
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', TMPDIR: unfinished }
  const options = { signal, env }
  const archives = path.join(unfinished, 'cache/archives')
  for (const dir of ['lists/partial', 'state', 'cache/archives/partial'])
    fs.mkdirSync(path.join(unfinished, dir), { recursive: true })
  const aptGet = (...args: string[]) => run('apt-get', [...privateApt(unfinished), ...args], options)
  try {
    const update = await aptGet('update')
    if (update.status !== 0) return failed(update.output)
    for (const candidate of tool.debian) {
      const flags = ['-y', '--no-install-recommends', '--download-only', '--reinstall']
      const download = await aptGet(...flags, 'install', candidate)
      if (download.status !== 0) {
        failed(download.output)
        continue
      }
      const target = path.join(unfinished, candidate)
      for (const archive of fs.readdirSync(archives).filter((file) => file.endsWith('.deb'))) {
        const unpack = await run('dpkg-deb', ['-x', path.join(archives, archive), target], options)
        if (unpack.status !== 0) return failed(unpack.output)
      }
      const final = path.join(packages, candidate)
      fs.rmSync(final, { recursive: true, force: true })
      fs.renameSync(target, final)
      return true
    }
    return false
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true })
  }
}

/** Lets apt-get work in a folder of ours, without root and without touching the system's state. */
function privateApt(folder: string): string[] {
  return [
    `Dir::State=${folder}/state`,
    `Dir::State::Lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`,
    'Dir::State::status=/var/lib/dpkg/status',
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    'APT::Update::Post-Invoke=',
    'APT::Update::Post-Invoke-Success=',
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option])
}

function failed(output: string): false {
  progress(output.trimEnd().split('\n').at(-1) ?? '')
  return false
}

/** Tries the packages of whichever package manager there is; with sudo where that needs root. */
export async function installWithPackageManager(
  what: string,
  packages: Packages,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const install: Record<Manager, string[]> = {
    apk: ['add', '--no-cache'],
    dnf: ['install', '-y'],
    pacman: ['-S', '--noconfirm'],
    zypper: ['-n', 'install'],
    brew: ['install'],
  }
  for (const manager of managers) {
    const file = which(manager)
    if (!file) continue
    const needsSudo = manager !== 'brew' && process.getuid?.() !== 0
    if (needsSudo && !which('sudo')) continue
    const before = needsSudo ? ['sudo', ...(process.stdin.isTTY ? [] : ['-n'])] : []
    for (const name of packages[manager] ?? []) {
      const line = [...before, file, ...install[manager], name]
      progress(`no ${what} here: ${line.join(' ')}`)
      const { status } = await run('env', line, { stdio: ['inherit', 'ignore', 'inherit'], signal })
      if (status === 0) return true
    }
  }
  return false
}

/**
 * Writes `.data/bin/<name>`. Paths inside the project are relative, so that it may be moved. A twin is called through a
 * link that has the right name.
 */
function writeScript(name: ToolName, tool: Tool, { file, unpackedIn }: Found): string {
  fs.mkdirSync(binDir, { recursive: true })
  let program = file
  if (tool.twins.includes(path.basename(file))) {
    program = path.join(binDir, 'as', name)
    fs.mkdirSync(path.dirname(program), { recursive: true })
    replace(program, (fresh) => fs.symlinkSync(unpackedIn ? path.relative(path.dirname(program), file) : file, fresh))
  }
  const quoted = (place: string) =>
    place.startsWith(dataDir) ? `"$here/${path.relative(binDir, place)}"` : shellQuoted(place)
  const libraries = unpackedIn ? libraryDirs(unpackedIn).map(quoted).join(':') : ''
  const text = [
    '#!/bin/sh',
    `# Runs ${name}. Written by dev/provide.ts.`,
    'here=${0%/*}',
    ...(libraries ? [`export LD_LIBRARY_PATH=${libraries}`] : []),
    `exec ${quoted(program)} "$@"`,
    '',
  ].join('\n')
  const script = path.join(binDir, name)
  if (!fs.existsSync(script) || fs.readFileSync(script, 'utf8') !== text)
    replace(script, (fresh) => fs.writeFileSync(fresh, text, { mode: 0o755 }))
  return script
}

/** Where a Debian package has its libraries: in the folders of the architecture, else beside them. */
function libraryDirs(unpackedIn: string): string[] {
  const parents = ['usr/lib', 'lib'].map((dir) => path.join(unpackedIn, dir)).filter((dir) => fs.existsSync(dir))
  const children = parents.flatMap((dir) => fs.readdirSync(dir).map((name) => path.join(dir, name)))
  return [...children.filter((dir) => path.basename(dir).includes('-linux-')), ...parents]
}

/** Puts a file in its place in one step, because another process may be running the one that is there. */
function replace(file: string, make: (fresh: string) => void): void {
  const fresh = `${file}.${process.pid}`
  fs.rmSync(fresh, { force: true })
  make(fresh)
  fs.renameSync(fresh, file)
}
