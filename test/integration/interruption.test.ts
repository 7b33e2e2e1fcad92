import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { isAlive } from '../../dev/lock.mjs'
import { runningServer } from '../../dev/process.ts'
import { stateDir } from '../../dev/stores.ts'
import { eventually } from '../support/eventually.ts'

const root = path.resolve(import.meta.dirname, '../..')

/** It ends by itself, should nobody interrupt it. */
const waiting = `
  it('goes on until it is interrupted', function () {
    this.timeout(60_000)
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
    const marks = await serversOf(run)
    process.kill(-run.pid!, 'SIGINT')
    await expectEnd(run, marks, 130)
  })

  it('by a signal to its first process, fails and leaves no server', async () => {
    const run = start()
    const marks = await serversOf(run)
    run.kill('SIGTERM')
    await expectEnd(run, marks, 143)
  })

  function start(): ChildProcess {
    const run = spawn(process.execPath, ['--import', 'tsx', 'dev/test.ts', path.join(folder, 'waiting.test.mjs')], {
      cwd: root,
      detached: true,
      env: { ...process.env, DATABASE_URL: '', REDIS_URL: '', TEST_REDIS: 'single', REACHED_STATUSES_FILE: undefined },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    process.once('exit', () => run.kill())
    return run
  }
})

/** The marks of its servers, once its test waits. */
async function serversOf({ stdout }: ChildProcess): Promise<string[]> {
  for await (const line of createInterface(stdout!)) {
    const pid = /^waiting: (\d+)$/.exec(line)?.[1]
    if (!pid) continue
    const dir = stateDir(`test-${pid}`)
    const marks = ['postgres', 'redis'].flatMap((name) => runningServer(dir, name) ?? [])
    expect(marks).to.have.length(2)
    return marks
  }
  throw new Error('the run ended before its test began')
}

async function expectEnd(run: ChildProcess, marks: string[], status: number): Promise<void> {
  const [code] = (await once(run, 'exit')) as [number | null]
  expect(code).to.equal(status)
  await eventually(() => expect(marks.filter(isAlive)).to.deep.equal([]), 20_000)
}
