import argon2 from 'argon2'
import { expect } from 'chai'
import { createAdmission } from '../../src/accounts/admission.ts'
import { createPasswords } from '../../src/accounts/index.ts'

const password = 'correct horse battery staple'
const cost = { memoryKib: 1024, timeCost: 2, parallelism: 1 }
const passwords = createPasswords(cost, { atOnce: 2, waitingMax: 50 })

/** Made by others: Python's hashlib, the reference implementation of Argon2, the test vectors of crypt_blowfish. */
const imported: Record<string, [hash: string, password: string]> = {
  'Django pbkdf2_sha256': ['pbkdf2_sha256$260000$seasalt$E2mD54hHRBD9/QaYlRQ0tKByc/hoeW8FUsx1qlfLA7A=', password],
  'Django scrypt': [
    'scrypt$16384$seasalt$8$1$0p7hdYaH/83kW4afG1RM9Faf3JuSGOZD8gLda92PSbUUzN27ATHsXCuHq9UfsHmQ23/FS7YsSkQewq+XitVu8g==',
    password,
  ],
  'scrypt as PHC': [
    '$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$11kKyiyYAc8G7rp3KmncMc44YlkdllIqxOa7pq0fMaU',
    password,
  ],
  argon2i: ['$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA', 'password'],
  'bcrypt 2a': ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  'bcrypt 2y': ['$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
}

describe('an imported hash', () => {
  for (const [kind, [hash, right]] of Object.entries(imported))
    it(`of ${kind} matches its password, no other, and gives way`, async () => {
      expect(await passwords.verify(hash, right)).to.equal(true)
      expect(await passwords.verify(hash, `${right}.`)).to.equal(false)
      expect(await passwords.verify(hash, right.toUpperCase().slice(1))).to.equal(false)
      expect(passwords.isOutdated(hash)).to.equal(true)
    })

  it('that is damaged, unknown or asks for the impossible matches nothing', async () => {
    for (const hash of [
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
    ])
      expect(await passwords.verify(hash, password), hash).to.equal(false)
  })
})

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

  it('gives the place of work that failed to the next', async () => {
    const waits: number[] = []
    const admit = createAdmission({ atOnce: 1, waitingMax: 1 }, (waitedMs) => waits.push(waitedMs))
    const failed = admit(() => Promise.reject(new Error('of the work')))
    const next = admit(async () => 'done')
    expect(admit.load()).to.deep.equal({ running: 1, waiting: 1 })
    expect(await failed.catch((error: Error) => error.message)).to.equal('of the work')
    expect(await next).to.equal('done')
    expect(admit.load()).to.deep.equal({ running: 0, waiting: 0 })
    expect(waits).to.have.length(2)
  })
})
