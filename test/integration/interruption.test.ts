import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { runningServer } from '../../dev/process.ts'
import { stateDir } from '../../dev/stores.ts'
import { eventually } from '../support/eventually.ts'

const root = path.resolve(import.meta.dirname, '../..')

const waiting = `
  it('goes on until it is interrupted', function () {
    this.timeout(0)
    process.stdout.write('waiting: ' + process.pid + '\\n')
    return new Promise(() => undefined)
  })
`

describe('a run of the tests that is interrupted', function () {
  this.timeout(60_000)

  let folder: string
  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-interruption-'))
    fs.writeFileSync(path.join(folder, 'waiting.test.mjs'), waiting)
  })
  after(() => fs.rmSync(folder, { recursive: true }))

  it('by Ctrl-C, which all of its processes get, fails and leaves no server', async () => {
    const run = start()
    const dir = await stateOf(run)
    process.kill(-run.pid!, 'SIGINT')
    await expectEnd(run, dir, 130)
  })

  it('by a signal to its first process, fails and leaves no server', async () => {
    const run = start()
    const dir = await stateOf(run)
    run.kill('SIGTERM')
    await expectEnd(run, dir, 143)
  })

  function start(): ChildProcess {
    return spawn(process.execPath, ['--import', 'tsx', 'dev/test.ts', path.join(folder, 'waiting.test.mjs')], {
      cwd: root,
      detached: true,
      env: { ...process.env, DATABASE_URL: '', REDIS_URL: '', TEST_REDIS: 'single' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }
})

/** Its state folder, once its stores are there and its test waits. */
async function stateOf({ stdout }: ChildProcess): Promise<string> {
  for await (const line of createInterface(stdout!)) {
    const pid = /^waiting: (\d+)$/.exec(line)?.[1]
    if (!pid) continue
    const dir = stateDir(`test-${pid}`)
    expect(servers(dir)).to.have.length(2)
    return dir
  }
  throw new Error('the run ended before its test began')
}

async function expectEnd(run: ChildProcess, dir: string, status: number): Promise<void> {
  const [code] = (await once(run, 'exit')) as [number | null]
  expect(code).to.equal(status)
  await eventually(() => expect(servers(dir)).to.deep.equal([]))
}

/** Those of a run that still are. */
function servers(dir: string): string[] {
  const names = fs.readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.process'))
  return names.filter((name) => runningServer(path.dirname(path.join(dir, name)), path.basename(name, '.process')))
}
