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
  /** The Debian package of the only fonts it may see, so that what it draws does not depend on the machine. */
  fonts?: string
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
  nginx: everywhere('nginx'),
  caddy: everywhere('caddy'),
  chromium: {
    ...everywhere('chromium'),
    commands: ['chromium', 'google-chrome', 'google-chrome-stable', 'chromium-browser'],
    fonts: 'fonts-liberation',
  },
} satisfies Record<string, Tool>

export type ToolName = keyof typeof tools

interface Found {
  file: string
  /** Where its package was unpacked; undefined when the system has it. */
  unpackedIn?: string
}

interface Provided extends Found {
  fonts: string | undefined
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
  const fonts = tool.fonts === undefined ? undefined : await provideFonts(tool.fonts, signal)
  return writeScript(name, tool, { ...found, fonts })
}

async function fetchTool(name: string, tool: Tool, signal: AbortSignal | undefined): Promise<Found | undefined> {
  return alone(signal, async () => {
    const meanwhile = await findTool(tool)
    if (meanwhile) return meanwhile
    if (await unpackDebianPackage(name, tool.debian, signal)) return findTool(tool)
    return (await installWithPackageManager(name, tool.packages, signal)) ? findTool(tool) : undefined
  })
}

/** The folder of a Debian package of fonts; undefined where there are no such packages. */
async function provideFonts(name: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const unpacked = await unpackedPackage(name, signal)
  return unpacked && path.join(unpacked, 'usr/share/fonts')
}

/** The folder with a Debian package and what it depends on; undefined where there are no such packages. */
export async function unpackedPackage(name: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const folder = path.join(await packagesDir(), name)
  if (!fs.existsSync(folder))
    await alone(signal, async () => fs.existsSync(folder) || unpackDebianPackage(name, [name], signal))
  return fs.existsSync(folder) ? folder : undefined
}

/** Lets one process at a time fetch what is missing. */
async function alone<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o711 })
  return withLock(path.join(dataDir, 'provide.lock'), work, {
    signal,
    onWait: () => progress(`waiting for another process that fetches programs`),
  })
}

async function findTool(tool: Tool): Promise<Found | undefined> {
  for (const command of [...tool.commands, ...tool.twins]) {
    const file = which(command)
    if (file) return { file }
  }
  for (const name of tool.debian) {
    const unpackedIn = path.join(await packagesDir(), name)
    for (const command of [...tool.commands, ...tool.twins]) {
      const file = programDirs(command)
        .map((dir) => path.join(unpackedIn, dir, command))
        .find(isExecutable)
      if (file) return { file, unpackedIn }
    }
  }
  return undefined
}

/** Where a Debian package has a program. One with a folder of its own has but a script with absolute paths in usr/bin. */
const programDirs = (command: string) => [`usr/lib/${command}`, 'usr/bin', 'usr/sbin']

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
async function unpackDebianPackage(
  name: string,
  candidates: string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
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
    for (const candidate of candidates) {
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
function writeScript(name: ToolName, tool: Tool, { file, unpackedIn, fonts }: Provided): string {
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
  if (fonts) writeFontsConf(fonts)
  const text = [
    '#!/bin/sh',
    `# Runs ${name}. Written by dev/provide.ts.`,
    'here=$(CDPATH= cd -- "${0%/*}" && pwd)',
    ...(libraries ? [`export LD_LIBRARY_PATH=${libraries}`] : []),
    ...(fonts ? [`export FONTCONFIG_FILE="$here/fonts.conf"`] : []),
    `exec ${quoted(program)} "$@"`,
    '',
  ].join('\n')
  const script = path.join(binDir, name)
  writeOnce(script, text, 0o755)
  return script
}

/** Names one folder of fonts to fontconfig, which then sees none of those that the machine has. */
function writeFontsConf(folder: string): void {
  const quoted = (place: string) => place.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const text = [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">',
    '<!-- Written by dev/provide.ts. -->',
    '<fontconfig>',
    `  <dir>${quoted(folder)}</dir>`,
    `  <cachedir>${quoted(path.join(dataDir, 'fontconfig'))}</cachedir>`,
    // Whatever is asked for and is not there.
    '  <match><edit name="family" mode="append_last"><string>Liberation Sans</string></edit></match>',
    '</fontconfig>',
    '',
  ].join('\n')
  writeOnce(path.join(binDir, 'fonts.conf'), text, 0o644)
}

/** Where a Debian package has its libraries: in the folders of the architecture and those inside, else beside them. */
export function libraryDirs(unpackedIn: string): string[] {
  const parents = ['usr/lib', 'lib'].map((dir) => path.join(unpackedIn, dir)).filter((dir) => fs.existsSync(dir))
  const architectures = parents.flatMap(foldersIn).filter((dir) => path.basename(dir).includes('-linux-'))
  const inside = architectures
    .flatMap(foldersIn)
    .filter((dir) => fs.readdirSync(dir).some((file) => /^lib.*\.so\b/.test(file)))
  return [...architectures, ...inside, ...parents]
}

const foldersIn = (parent: string) =>
  fs
    .readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(parent, entry.name))

function writeOnce(file: string, text: string, mode: number): void {
  if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text)
    replace(file, (fresh) => fs.writeFileSync(fresh, text, { mode }))
}

/** Puts a file in its place in one step, because another process may be running the one that is there. */
function replace(file: string, make: (fresh: string) => void): void {
  const fresh = `${file}.${process.pid}`
  fs.rmSync(fresh, { force: true })
  make(fresh)
  fs.renameSync(fresh, file)
}
