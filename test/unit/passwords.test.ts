import { mock } from 'node:test'
import argon2 from 'argon2'
import { expect } from 'chai'
import { createAdmission } from '../../src/accounts/admission.ts'
import { faultOfHash } from '../../src/accounts/imported-hashes.ts'
import { createPasswords } from '../../src/accounts/index.ts'

const password = 'correct horse battery staple'
const cost = { memoryKib: 1024, timeCost: 2, parallelism: 1 }
const passwords = createPasswords(cost, { atOnce: 2, waitingMax: 50 })

/**
 * Made by others: Python's hashlib, the reference implementation of Argon2, the test vectors of crypt_blowfish. Django's
 * argon2 is from its own tests (tests/auth_tests/test_hashers.py); its bcrypt kinds are what its hashers do, done with
 * Python's hashlib and the bcrypt of libxcrypt.
 */
const imported: Record<string, [hash: string, password: string]> = {
  'Django pbkdf2_sha256': ['pbkdf2_sha256$260000$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A=', password],
  'Django scrypt': [
    'scrypt$16384$seasalt$8$1$0p7hdYaH/83kW4afG1RM9Faf3JuSGOZD8gLda92PSbUUzN27ATHsXCuHq9UfsHmQ23/FS7YsSkQewq+XitVu8g==',
    password,
  ],
  'Django bcrypt_sha256': [
    'bcrypt_sha256$$2b$05$CCCCCCCCCCCCCCCCCCCCC.d313R/0E/uxPsXDdVk8c8V8G.lZMH2K',
    'VSK0UYV6FFQVZ0KG88DYN9WADAADZO1CTSIVDJUNZSUML6IBX7LN7ZS3R5JGB3RGZ7VI7G7DJQ9NI8BQFSRPTG6UWTTVESA5ZPUN',
  ],
  'Django bcrypt_sha256 of a password beyond ASCII': [
    'bcrypt_sha256$$2b$05$CCCCCCCCCCCCCCCCCCCCC.bdNwF18LmuBgx.3vdUAHc5aN/.UHaVC',
    'lètmein',
  ],
  'Django bcrypt': ['bcrypt$$2b$05$CCCCCCCCCCCCCCCCCCCCC.poIKaw08HWUz4zkVKLs8VPIydUmXBPC', password],
  'Django argon2id': ['argon2$argon2id$v=19$m=102400,t=2,p=8$Y041dExhNkljRUUy$TMa6A8fPJhCAUXRhJXCXdw', 'secret'],
  'Django argon2i': ['argon2$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$YC9+jJCrQhs5R6db7LlN8Q', 'secret'],
  'scrypt as PHC': [
    '$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$11kKyiyYAc8G7rp3KmncMc44YlkdllIqxOa7pq0fMaU',
    password,
  ],
  argon2i: ['$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA', 'password'],
  'bcrypt 2a': ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  'bcrypt 2y': ['$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
}

const unusable = [
  '',
  'x',
  password,
  '$argon2id$v=19$m=1024,t=2,p=1$',
  '$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
  '$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
  '$2b$05$short',
  'pbkdf2_sha256$999999999$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A=',
  'pbkdf2_sha256$1$seasalt$',
  'scrypt$1073741824$seasalt$8$1$0p7hdYaH/83kW4afG1RM9A==',
  '$scrypt$ln=40,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$11kKyiyYAc8G7rp3KmncMc44YlkdllIqxOa7pq0fMaU',
  'md5$seasalt$0123456789abcdef0123456789abcdef',
  'argon2$',
  'bcrypt$$2b$31$CCCCCCCCCCCCCCCCCCCCC.poIKaw08HWUz4zkVKLs8VPIydUmXBPC',
  'argon2$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
]

describe('an imported hash', () => {
  for (const [kind, [hash, right]] of Object.entries(imported))
    it(`of ${kind} matches its password, no other, and gives way`, async () => {
      expect(await passwords.verify(hash, right)).to.equal(true)
      expect(await passwords.verify(hash, `${right}.`)).to.equal(false)
      expect(await passwords.verify(hash, right.toUpperCase().slice(1))).to.equal(false)
      expect(passwords.isOutdated(hash)).to.equal(true)
    })

  it('that is damaged, unknown or asks for the impossible matches nothing', async () => {
    for (const hash of [...unusable, ofAnotherKind])
      expect(await passwords.verify(hash, password), hash).to.equal(false)
  })

  it('is taken over by its form alone: all that match, and none of the others', async () => {
    const known = [...Object.values(imported).map(([hash]) => hash), await passwords.hash(password)]
    for (const hash of known) expect(faultOfHash(hash), hash).to.equal(null)
    for (const hash of [...unusable, ...outOfBounds]) expect(faultOfHash(hash), hash).to.be.a('string')
    for (const hash of known) expect(faultOfHash(`${hash} `), hash).to.be.a('string')
  })
})

/** Whole in form, but bcrypt without the SHA-256 that its name promises. */
const ofAnotherKind = 'bcrypt_sha256$$2b$05$CCCCCCCCCCCCCCCCCCCCC.poIKaw08HWUz4zkVKLs8VPIydUmXBPC'

const outOfBounds = [
  '$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
  '$argon2id$v=19$m=1024,t=0,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
  '$argon2id$v=19$m=8,t=1,p=4$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
  'scrypt$16383$seasalt$8$1$0p7hdYaH/83kW4afG1RM9Q==',
  'pbkdf2_sha256$0$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A=',
]

describe('a hash of ours', () => {
  it('is argon2id of the configured cost, and salted', async () => {
    const [one, two] = [await passwords.hash(password), await passwords.hash(password)]
    expect(one).to.match(/^\$argon2id\$v=19\$m=1024,t=2,p=1\$[\w+/]{22}\$/)
    expect(one).to.not.equal(two)
    expect(passwords.isOutdated(one)).to.equal(false)
  })

  it('gives way when the cost rises, and not when it falls', async () => {
    const made = await argon2.hash(password, { type: argon2.argon2id, memoryCost: 1024, timeCost: 2, parallelism: 1 })
    const costing = (timeCost: number) => createPasswords({ ...cost, timeCost }, { atOnce: 1, waitingMax: 1 })
    expect(costing(3).isOutdated(made)).to.equal(true)
    expect(costing(1).isOutdated(made)).to.equal(false)
  })
})

/** Counts real computations of argon2, the only kind that the hashes of these tests need. */
async function computationsOf(work: () => Promise<unknown>): Promise<number> {
  const { hash, verify } = argon2
  let count = 0
  const counted =
    <A extends unknown[], R>(compute: (...given: A) => R) =>
    (...given: A): R => {
      count++
      return compute(...given)
    }
  Object.assign(argon2, { hash: counted(hash), verify: counted(verify) })
  await work()
  Object.assign(argon2, { hash, verify })
  return count
}

describe('a check of a password', () => {
  const composed = 'caf\u00e9 au lait, s\u2019il vous pla\u00eet'
  const decomposed = composed.normalize('NFD')

  it('gives an account that has none yet a hash like every other, which no password fits', async () => {
    const [one, other] = [passwords.hashOfNobody(), passwords.hashOfNobody()]

    expect(one).to.not.equal(other)
    expect(passwords.isOutdated(one)).to.equal(false)
    for (const text of ['', password, one]) expect(await passwords.verify(one, text), text).to.equal(false)
    const { memoryKib: memoryCost, timeCost, parallelism } = cost
    expect(argon2.needsRehash(one, { memoryCost, timeCost, parallelism })).to.equal(false)
  })

  it('computes one hash, with an account and without one, from the first check on', async () => {
    const fresh = createPasswords(cost, { atOnce: 2, waitingMax: 50 })
    const hash = await passwords.hash(password)

    expect(await computationsOf(() => fresh.verify(null, password))).to.equal(1)
    expect(await computationsOf(() => fresh.verify(null, password))).to.equal(1)
    expect(await computationsOf(() => fresh.verify(hash, password))).to.equal(1)
    expect(await computationsOf(() => fresh.verify(hash, `${password}.`))).to.equal(1)
  })

  it('computes two where the password was not typed in NFC, whether or not there is an account and it is right', async () => {
    const asTyped = await argon2.hash(decomposed, { memoryCost: 1024, timeCost: 2, parallelism: 1 })
    for (const hash of [await passwords.hash(composed), asTyped, await passwords.hash(password), null])
      expect(await computationsOf(() => passwords.verify(hash, decomposed))).to.equal(2)
    expect(await passwords.verify(asTyped, decomposed)).to.equal(true)
    expect(await passwords.verify(await passwords.hash(composed), decomposed)).to.equal(true)
    expect(await passwords.verify(null, decomposed)).to.equal(false)
  })

  it('makes up for a hash that was cheaper to make, right or wrong', async () => {
    const { verify } = argon2
    const today = createPasswords({ memoryKib: 2048, timeCost: 3, parallelism: 1 }, { atOnce: 2, waitingMax: 50 })
    const work: number[] = []
    Object.assign(argon2, {
      verify: (hash: string, text: string) => {
        const [, memoryKib, passes] = /m=(\d+),t=(\d+)/.exec(hash)!
        work.push(Number(memoryKib) * Number(passes))
        return verify(hash, text)
      },
    })
    const workOf = async (hash: string | null, text: string) => {
      work.length = 0
      await today.verify(hash, text)
      return work.reduce((sum, each) => sum + each, 0)
    }
    const cheap = await passwords.hash(password)
    const dear = await today.hash(password)

    expect(await workOf(null, password)).to.equal(6144)
    expect(await workOf(cheap, password)).to.equal(6144)
    expect(await workOf(cheap, `${password}.`)).to.equal(6144)
    expect(await workOf(dear, password)).to.equal(6144)
    expect(await today.verify(cheap, password)).to.equal(true)
    Object.assign(argon2, { verify })
  })

  it('of nobody costs as much as a hash of today', async () => {
    const seen: string[] = []
    const { verify } = argon2
    Object.assign(argon2, { verify: (hash: string, text: string) => (seen.push(hash), verify(hash, text)) })
    await passwords.verify(null, password)
    Object.assign(argon2, { verify })

    expect(seen).to.have.length(1)
    expect(seen[0]!.length).to.equal((await passwords.hash(password)).length)
    expect(passwords.isOutdated(seen[0]!)).to.equal(false)
  })
})

describe('the admission of costly work', () => {
  it('runs so many at once, lets so many wait, and turns the rest away at once', async () => {
    const admit = createAdmission({ atOnce: 2, waitingMax: 3 })
    const ends: (() => void)[] = []
    let inside = 0
    let most = 0
    const work = () =>
      admit(async () => {
        most = Math.max(most, ++inside)
        await new Promise<void>((end) => ends.push(end))
        inside--
      })

    const let_in = Array.from({ length: 5 }, work)
    const refused = await Promise.allSettled([work(), work()])
    expect(refused.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected'])
    expect(refused[0]).to.have.nested.property('reason.code', 'unavailable')
    for (let ended = 0; ended < 5; ended++) {
      ends.shift()!()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(let_in)
    expect(most).to.equal(2)
  })

  it('holds for making a hash as for checking one', async () => {
    const crowded = createPasswords(cost, { atOnce: 1, waitingMax: 0 })
    for (const work of [() => crowded.hash(password), () => crowded.verify(null, password)]) {
      const outcomes = await Promise.allSettled([work(), work()])
      expect(outcomes[0].status).to.equal('fulfilled')
      expect(outcomes[1]).to.have.nested.property('reason.code', 'unavailable')
    }
  })

  it('turns away at once whoever would wait for too long, going by what the work has taken', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const now = mock.method(performance, 'now', () => 0)
    try {
      const admit = createAdmission({ atOnce: 2, waitingMax: 100 })
      await admit(async () => now.mock.mockImplementation(() => 400))
      const stay = () => admit(() => new Promise<void>(() => undefined))
      for (let i = 0; i < 2 + 15; i++) void stay() // two have a place, and fifteen wait three seconds at most
      expect(admit.load()).to.deep.equal({ running: 2, waiting: 15 })
      expect(await stay().catch((error: { code: string }) => error.code)).to.equal('unavailable')
    } finally {
      now.mock.restore()
      mock.timers.reset()
    }
  })

  it('goes on taking in as many after the machine has stood still for a moment', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    let at = 0
    const now = mock.method(performance, 'now', () => at)
    try {
      const admit = createAdmission({ atOnce: 1, waitingMax: 100 })
      for (const tookMs of [20, 20, 60_000]) await admit(async () => void (at += tookMs))
      for (let i = 0; i < 1 + 100; i++) void admit(() => new Promise<void>(() => undefined))
      expect(admit.load()).to.deep.equal({ running: 1, waiting: 100 })
    } finally {
      now.mock.restore()
      mock.timers.reset()
    }
  })

  it('turns away those who are on their way to a place that they will not get, before they do anything else', async () => {
    const { before } = createAdmission({ atOnce: 1, waitingMax: 1 })
    const ends: (() => void)[] = []
    const onTheWay = () => before(() => new Promise<void>((end) => ends.push(end)))
    const first = onTheWay()
    const second = onTheWay()
    expect(await onTheWay().catch((error: { code: string }) => error.code)).to.equal('unavailable')
    expect(ends).to.have.length(2)
    ends.shift()!()
    await first
    const third = onTheWay()
    for (const end of ends) end()
    await Promise.all([second, third])
  })

  it('lets a crowd begin bit by bit, so that others get their turn of the event loop in between', async () => {
    const { mustHaveRoom } = createAdmission({ atOnce: 2, waitingMax: 10 })
    const begun: number[] = []
    for (let i = 0; i < 8; i++) void mustHaveRoom().then(() => begun.push(i))
    const seen: number[] = []
    for (let turn = 0; turn < 4; turn++) {
      await new Promise(setImmediate)
      seen.push(begun.length)
    }
    expect(seen).to.deep.equal([3, 6, 8, 8])
    expect(begun).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7])
    await mustHaveRoom()
  })

  it('lets a very large crowd begin within some hundreds of turns', async () => {
    const { mustHaveRoom } = createAdmission({ atOnce: 1, waitingMax: 10 })
    let begun = 0
    for (let i = 0; i < 10_000; i++) void mustHaveRoom().then(() => begun++)
    await new Promise(setImmediate)
    expect(begun).to.equal(100)
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate)
    expect(begun).to.equal(10_000)
  })

  it('turns away eight of a crowd at once while no place is left, and lets two begin again when one is', async () => {
    const { mustHaveRoom, before } = createAdmission({ atOnce: 1, waitingMax: 2 })
    const leaves: (() => void)[] = []
    const comes = async () => {
      await mustHaveRoom()
      await before(() => new Promise<void>((leave) => leaves.push(leave)))
    }
    const refused: { code: string; isLogged: boolean }[] = []
    const come = (count: number) => {
      for (let i = 0; i < count; i++) void comes().catch((error: (typeof refused)[0]) => refused.push(error))
    }
    const turns = async (count: number) => {
      const seen: number[] = []
      for (let turn = 0; turn < count; turn++) {
        await new Promise(setImmediate)
        seen.push(refused.length)
      }
      return seen
    }
    come(16)
    expect(await turns(4)).to.deep.equal([0, 1, 9, 13])
    expect(refused.every(({ code, isLogged }) => code === 'unavailable' && isLogged)).to.equal(true)
    leaves[0]!()
    leaves[1]!()
    await new Promise(setImmediate)
    come(12)
    expect(await turns(3)).to.deep.equal([13, 21, 23])
  })

  it('tells of a crowd once a minute at most', async () => {
    let at = 0
    const now = mock.method(performance, 'now', () => at)
    try {
      let told = 0
      const admit = createAdmission({ atOnce: 1, waitingMax: 0 }, { onCrowded: () => told++ })
      void admit(() => new Promise<void>(() => undefined))
      const comes = () => admit(async () => undefined).catch(() => undefined)
      expect(told).to.equal(0)
      for (const [cameAt, toldBy] of [
        [1000, 1],
        [60_999, 1],
        [61_000, 2],
        [61_001, 2],
      ] as const) {
        at = cameAt
        await Promise.all([comes(), comes()])
        expect(told).to.equal(toldBy)
      }
    } finally {
      now.mock.restore()
    }
  })

  it('lets only two see to what comes before their work while one is at it, and the others wait ahead of that', async () => {
    const { before, load } = createAdmission({ atOnce: 1, waitingMax: 10 })
    const begun: (() => void)[] = []
    const logins = Array.from({ length: 6 }, () =>
      before(async (run) => {
        await new Promise<void>((lookedUp) => begun.push(lookedUp))
        return run(async () => 'hashed')
      }),
    )
    for (let login = 1; login <= 6; login++) {
      await new Promise(setImmediate)
      expect(begun).to.have.length(Math.min(login + 2, 6))
      expect(load()).to.deep.equal({ running: 0, waiting: Math.max(4 - login, 0) })
      begun[login - 1]!()
      expect(await logins[login - 1]).to.equal('hashed')
    }
  })

  it('lets the next come near when somebody takes long over what comes before', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { before } = createAdmission({ atOnce: 1, waitingMax: 10 })
      let begun = 0
      for (let login = 1; login <= 8; login++)
        void before(async () => {
          begun += 1
          await new Promise(() => undefined)
        })
      expect(begun).to.equal(3)
      mock.timers.tick(25)
      await new Promise(setImmediate)
      expect(begun).to.equal(6)
    } finally {
      mock.timers.reset()
    }
  })

  it('gives the place of work that failed to the next', async () => {
    const waits: number[] = []
    const admit = createAdmission({ atOnce: 1, waitingMax: 1 }, { onAdmitted: (waitedMs) => waits.push(waitedMs) })
    const failed = admit(() => Promise.reject(new Error('of the work')))
    const next = admit(async () => 'done')
    expect(admit.load()).to.deep.equal({ running: 1, waiting: 1 })
    expect(await failed.catch((error: Error) => error.message)).to.equal('of the work')
    expect(await next).to.equal('done')
    expect(admit.load()).to.deep.equal({ running: 0, waiting: 0 })
    expect(waits).to.have.length(2)
  })

  it('lets nobody wait for longer than four seconds, and then serves those behind them', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      let told = 0
      const admit = createAdmission({ atOnce: 1, waitingMax: 2 }, { onCrowded: () => told++ })
      let end!: () => void
      const long = admit(() => new Promise<void>((resolve) => (end = resolve)))
      const impatient = admit(async () => 'too late').catch((error: unknown) => error)
      mock.timers.tick(3999)
      const behind = admit(async () => 'served')
      mock.timers.tick(1)
      expect(await impatient).to.include({ code: 'unavailable', isLogged: true })
      expect(told).to.equal(1)
      end()
      await long
      expect(await behind).to.equal('served')
    } finally {
      mock.timers.reset()
    }
  })
})
