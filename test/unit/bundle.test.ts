import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { bundle, bundleCompiled } from '../../dev/bundle.ts'
import { root } from '../../dev/places.ts'
import { startFlags } from '../../dev/start-args.ts'
import { temporaryDir } from '../../dev/stores.ts'

const run = promisify(execFile)

describe('a bundle', () => {
  let dir: string

  before(() => {
    dir = temporaryDir('bundle')
  })

  after(() => fs.rmSync(dir, { recursive: true }))

  it('does what was written, with functions that are assigned to members', async () => {
    const written = await write(`
      class Held { inner = 1; constructor() { this.arrow = () => this.inner; this.plain = function () { return this } } }
      const held = new Held()
      const other = {}
      other.named = function again(n) { return n ? again(n - 1) : typeof again }
      other['computed'] = other.chained = async () => 'two'
      other.outer = () => { other.inner = function* () { yield 1; yield 2 } }
      other.outer()
      other.missing ??= () => 'logical'; other.missing &&= (0, other.missing); other.outer ||= () => 'never'
      ;({ given: other.given = () => 'by default' } = {}); [other.first = function () { return 'in a list' }] = []
      other.tail = () => other.last = (one, { two } = { two: 2 }) => [one, two]
      let called; ({ called } = { called: other.once = () => 'an expression' })
      const said = [
        held.arrow(), held.plain() === held, held.plain.call(other) === other, other.named(3),
        await other.computed(), other.computed === other.chained, [...other.inner()], other.tail()(1), called(),
        other.missing(), other.outer(), other.given(), other.first(),
        Object.values(other).map((one) => [one.name, one.length]), 'prototype' in held.plain, 'prototype' in held.arrow,
      ]
      console.log(JSON.stringify(said))
    `)
    const expected = await run(process.execPath, [written])
    const { stdout } = await run(process.execPath, [await bundled(written)])
    expect(stdout).to.equal(expected.stdout).and.include('an expression')
  })

  it('has no function made old that refers to what was made for one request', async () => {
    const written = await write(`
      import v8 from 'node:v8'
      class Command {
        constructor(args) {
          this.args = args
          this.reject = () => this.args
          this.resolve = function () { return args }
          this.retry ??= () => this.args
        }
      }
      const ask = () => new Command(new Array(1000).fill(0))
      const inNewSpace = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_used_size
      for (let i = 0; i < 100; i++) ask()
      gc()
      for (let i = 0; i < 500; i++) ask()
      const madeBytes = inNewSpace()
      gc({ type: 'minor' })
      console.log(JSON.stringify({ madeBytes, keptBytes: inNewSpace() }))
    `)
    const young = ['--expose-gc', '--no-opt', '--min-semi-space-size=32', '--max-semi-space-size=32']
    const { stdout } = await run(process.execPath, [...young, await bundled(written)])
    const { madeBytes, keptBytes } = JSON.parse(stdout) as { madeBytes: number; keptBytes: number }
    expect(madeBytes).to.be.above(500 * 1000 * 8)
    expect(keptBytes).to.be.below(madeBytes / 20)
  })

  it('is strict, and names its own file, in either form', async () => {
    const written = await write(`
      import path from 'node:path'
      export const isStrict = (function () { return this === undefined })()
      export const name = path.basename(new URL(import.meta.url).pathname)
      console.log(isStrict, name, path.relative(import.meta.dirname, import.meta.filename))
    `)
    expect((await run(process.execPath, [await bundled(written)])).stdout).to.equal('true bundled.mjs bundled.mjs\n')
    expect((await load(await compiled(written))).printed).to.equal('true program.cjs program.cjs')
  })

  it('keeps the fetch of Node.js out of a start that has no need of it', async () => {
    const written = await write(`
      import '${root}/node_modules/pg/lib/index.js'
      console.log(process.moduleLoadList.filter((name) => name.includes('undici')).length)
    `)
    expect((await run(process.execPath, [await bundled(written)])).stdout).to.equal('0\n')
  })

  it('is taken as it was compiled by a start with the same flags, and compiled anew by any other', async () => {
    const program = await compiled(await write('export const said = 6 * 7'))
    expect(await load(program)).to.deep.include({ isRejected: false, said: 42 })
    expect(await load(program, ['--stack-trace-limit=50'])).to.deep.include({ isRejected: true, said: 42 })
    fs.rmSync(`${program}.compiled`)
    expect(await load(program))
      .to.deep.include({ said: 42 })
      .and.not.have.property('isRejected')
  })

  it('is not taken as it was compiled where that is of another text or Node.js, or damaged', async () => {
    const program = await compiled(await write('export const said = 6 * 7'))
    const text = fs.readFileSync(program, 'utf8')
    fs.writeFileSync(program, text.replace('6 * 7', '6 * 6'))
    expect(await load(program), 'of the same length')
      .to.deep.include({ said: 36 })
      .and.not.have.property('isRejected')

    fs.writeFileSync(program, text)
    const asOther = 'data:text/javascript,Object.defineProperty(process, "version", { value: "v20.19.0" })'
    expect(await load(program, [...startFlags, '--import', asOther]), 'of another Node.js')
      .to.deep.include({ said: 42 })
      .and.not.have.property('isRejected')
    const kept = fs.readFileSync(`${program}.compiled`)
    const flipped = Buffer.from(kept)
    flipped[kept.length >> 1]! ^= 1
    for (const damaged of [Buffer.alloc(0), kept.subarray(0, -100), flipped]) {
      fs.writeFileSync(`${program}.compiled`, damaged)
      expect(await load(program))
        .to.deep.include({ said: 42 })
        .and.not.have.property('isRejected')
    }
  })

  async function compiled(written: string): Promise<string> {
    const outfile = path.join(path.dirname(written), 'program.cjs')
    await bundleCompiled(written, outfile)
    return outfile
  }

  /** What a program says that is loaded by a process with these flags. */
  async function load(program: string, given = startFlags) {
    const launch = await write(`
      import { loadCompiled } from '${root}/dev/compiled.ts'
      const { script, exports } = loadCompiled('${program}')
      console.log(JSON.stringify({ isRejected: script.cachedDataRejected, ...exports }))
    `)
    const args = [...given, '--import', 'tsx', launch]
    const lines = (await run(process.execPath, args, { cwd: root })).stdout.trimEnd().split('\n')
    return { printed: lines[0], ...(JSON.parse(lines.at(-1)!) as { isRejected?: boolean; said?: number }) }
  }

  async function write(program: string): Promise<string> {
    const file = path.join(fs.mkdtempSync(path.join(dir, 'program-')), 'written.mjs')
    fs.writeFileSync(file, program)
    return file
  }

  async function bundled(written: string): Promise<string> {
    const outfile = path.join(path.dirname(written), 'bundled.mjs')
    await bundle({ entryPoints: [written], outfile })
    return outfile
  }
})
