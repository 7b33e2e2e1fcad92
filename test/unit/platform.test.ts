import { execFile } from 'node:child_process'
import { createDecipheriv, hkdfSync } from 'node:crypto'
import { promisify } from 'node:util'
import { expect } from 'chai'
import fc from 'fast-check'
import { isAmbiguous } from '../../src/http/json.ts'
import { gather } from '../../src/platform/gather.ts'
import { createLog } from '../../src/platform/log.ts'
import { seal, unseal } from '../../src/platform/secret.ts'

describe('a sealed text', () => {
  const bytes = fc.uint8Array().map((array) => Buffer.from(array))

  it('opens for the secret and the context it was sealed for', () => {
    fc.assert(
      fc.property(bytes, fc.string(), fc.string(), (plain, secret, context) => {
        expect(unseal(seal(plain, secret, context), secret, context)?.equals(plain)).to.equal(true)
      }),
    )
  })

  it('opens for nothing else', () => {
    const sealed = seal(Buffer.from('the pair'), 'secret', 'session 1')
    const bent = Buffer.from(sealed, 'base64')
    bent[bent.length - 1]! ^= 1
    expect(unseal(sealed, 'Secret', 'session 1')).to.equal(null)
    expect(unseal(sealed, 'secret', 'session 2')).to.equal(null)
    expect(unseal(bent.toString('base64'), 'secret', 'session 1')).to.equal(null)
    for (const text of ['', 'AA==', 'no base64']) expect(unseal(text, 'secret', 'session 1')).to.equal(null)
  })

  it('has the key that HKDF-SHA256 of Node derives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ unit: 'binary' }), (secret, context) => {
        const sealed = Buffer.from(seal(Buffer.from('the pair'), secret, context), 'base64')
        const key = new Uint8Array(hkdfSync('sha256', secret, '', context, 32))
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
        decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(12, 28))
        expect(decipher.update(sealed.subarray(28), undefined, 'utf8') + decipher.final('utf8')).to.equal('the pair')
      }),
    )
  })

  it('is another one each time', () => {
    const sealed = Array.from({ length: 1000 }, () => seal(Buffer.from('the pair'), 'secret', 'session 1'))
    const nonces = sealed.map((text) => Buffer.from(text, 'base64').subarray(0, 12).toString('hex'))
    expect(new Set(nonces).size).to.equal(1000)
    expect(Buffer.from(sealed[0]!, 'base64').includes('the pair')).to.equal(false)
  })
})

describe('a JSON text', () => {
  it('is ambiguous when an object has a member twice, at any depth and in any spelling', () => {
    for (const json of ['{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '[{"a":1,"a":1}]', '{"a":1,"\\u0061":2}'])
      expect(isAmbiguous(json), json).to.equal(true)
    expect(isAmbiguous('{"a":{"a":1},"b":[{"a":1},{"a":1}],"c":"a\\":{","d":"}"}')).to.equal(false)
  })

  it('is fine when it was written by JSON.stringify, unless a member would be a prototype', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (json) => {
        const names: string[] = []
        JSON.parse(json, (name, value: unknown) => {
          names.push(name)
          return value
        })
        expect(isAmbiguous(json)).to.equal(names.includes('__proto__'))
      }),
      { examples: [['[{"__proto__":null}]']] },
    )
  })

  it('is refused when it is absurdly deep', () => {
    expect(isAmbiguous(`${'['.repeat(16)}${']'.repeat(16)}`)).to.equal(false)
    expect(isAmbiguous(`${'['.repeat(17)}${']'.repeat(17)}`)).to.equal(true)
  })
})

describe('the log', () => {
  const linesAt = (level: 'info' | 'debug') => {
    const lines: string[] = []
    const log = createLog(level, { write: (line) => lines.push(line) })
    log('service.started', { address: 'http://127.0.0.1:3000\r\nforged' })
    log('request.done', { status: 200 })
    return lines
  }

  it('writes one JSON line an event, in UTC', () => {
    const [line = ''] = linesAt('info')
    expect(line.trimEnd()).to.not.match(/[\r\n]/)
    expect(JSON.parse(line)).to.include({ level: 'info', event: 'service.started', pid: process.pid })
    expect(JSON.parse(line).time).to.match(/Z$/)
  })

  it('keeps to its level', () => {
    expect(linesAt('info')).to.have.length(1)
    expect(linesAt('debug')).to.have.length(2)
  })
})

describe('questions of one turn of the event loop', () => {
  const batches: number[][] = []
  const double = gather<number, number>(3, async (batch) => {
    batches.push(batch.map(({ question }) => question))
    for (const { question, resolve } of batch) resolve(question * 2)
  })
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
  beforeEach(() => (batches.length = 0))

  it('are asked in batches when the turn has ended, and each gets its own answer', async () => {
    const answers = Promise.all(upTo(11).map(double))
    expect(batches).to.eql([])
    expect(await answers).to.eql(upTo(11).map((question) => question * 2))
    expect(batches.map(({ length }) => length)).to.eql([3, 3, 3, 2])
  })

  it('are asked four batches at a time while a crowd goes on coming', async () => {
    const answers = Promise.all(upTo(25).map(double))
    expect(batches.map(({ length }) => length)).to.eql([3, 3, 3, 3, 3, 3, 3, 3])
    expect(await answers).to.eql(upTo(25).map((question) => question * 2))
    expect(batches.at(-1)).to.eql([24])
  })

  it('are asked at the end of a later turn too, after a crowd', async () => {
    await Promise.all(upTo(12).map(double))
    for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate) // what was to be sent at the end of that one was sent
    expect(await double(12)).to.equal(24)
    expect(batches.flat()).to.eql(upTo(13))
  })

  it('fail with their own batch, and with no other', async () => {
    const halve = gather<number, number>(2, async (batch) => {
      if (batch.some(({ question }) => question % 2 === 1)) throw new Error('odd')
      for (const { question, resolve } of batch) resolve(question / 2)
    })
    const settled = await Promise.allSettled([2, 4, 6, 7, 8].map(halve))
    expect(settled.map(({ status }) => status)).to.eql(['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'])
  })
})

describe('the threads that hash passwords', () => {
  it('give way to all others on Linux, and the thread that answers requests does not', async function () {
    if (process.platform !== 'linux') this.skip()
    const script = `
      import os from 'node:os'
      import { lowerPoolPriority } from './src/platform/pool-priority.ts'
      const lowered = await lowerPoolPriority()
      console.log(JSON.stringify([[...lowered].map((id) => os.getPriority(id)), os.getPriority(process.pid)]))`
    // A process of its own: nobody may raise what was lowered.
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import=tsx',
      '--input-type=module',
      '--eval',
      script,
    ])
    const [pool, main] = JSON.parse(stdout) as [number[], number]
    expect(pool).to.deep.equal([10, 10, 10, 10])
    expect(main).to.equal(0)
  })
})

describe('objects of requests', () => {
  // More of them survive than V8 has ever seen die, which is when it makes the next ones old from their start.
  const decisions = async (before: string) => {
    const script = `
      import v8 from 'node:v8'
      ${before}
      v8.setFlagsFromString('--trace-pretenuring-statistics')
      const kept = []
      const make = (i) => ({ i, list: [i] })
      for (let i = 0; i < 300_000; i++) kept.push(make(i))`
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import=tsx',
      '--input-type=module',
      '--eval',
      script,
    ])
    return stdout.split('\n').filter((line) => /=> (maybe )?tenure$/.test(line)).length
  }

  it('are never made old from their start, as V8 would where many survive', async () => {
    expect(await decisions('')).to.be.greaterThan(0)
    const call = `import { keepRequestsYoung } from './src/platform/young-objects.ts'; keepRequestsYoung()`
    expect(await decisions(call)).to.equal(0)
  })
})
