import { availableParallelism } from 'node:os'
import { expect } from 'chai'
import { parseRedisUrl, type RedisPlace } from '../../src/platform/redis-url.ts'
import fc from 'fast-check'
import { ConfigError, readConfig, settingVariable, variables } from '../../src/config.ts'
import { settingDefinitions, settingNames } from '../../src/settings/index.ts'

const needed = { DATABASE_URL: 'postgres://localhost/latchkey', REDIS_URL: 'redis://localhost' }

function complaintsOf(env: NodeJS.ProcessEnv): string {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('the configuration', () => {
  it('needs the two stores and nothing else', () => {
    expect(readConfig(needed)).to.include({
      host: '127.0.0.1',
      port: 3000,
      keyPrefix: 'latchkey:',
      registration: 'open',
    })
    expect(complaintsOf({})).to.include('DATABASE_URL must be set').and.include('REDIS_URL must be set')
  })

  it('divides the cores for hashing among the processes, and leaves each at least one', () => {
    const atOnce = (WEB_CONCURRENCY: string, HASHES_AT_ONCE = '') =>
      readConfig({ ...needed, WEB_CONCURRENCY, HASHES_AT_ONCE }).hashing.atOnce
    const cores = availableParallelism()

    expect(readConfig(needed).processes).to.equal(1)
    expect(atOnce('1')).to.equal(Math.max(1, Math.min(3, cores - 1)))
    expect(atOnce('2')).to.equal(Math.max(1, Math.min(3, Math.floor((cores - 1) / 2))))
    expect(atOnce('64')).to.equal(1)
    expect(atOnce('64', '5')).to.equal(5)
    for (const refused of ['0', '65', 'auto', '1.5'])
      expect(complaintsOf({ ...needed, WEB_CONCURRENCY: refused })).to.include('WEB_CONCURRENCY must be a whole number')
  })

  it('complains about everything at once and repeats no value', () => {
    const complaints = complaintsOf({
      DATABASE_URL: 'mysql://root:hunter2@localhost',
      REDIS_URL: 'redis://hunter2:no-port',
      PORT: '70000',
      REGISTRATION: 'hunter2',
      LOG_LEVEL: 'loud',
      KEY_PREFIX: 'no blanks',
      TRUSTED_PROXIES: '10.0.0.0/8, hunter2',
      SETTING_ACCESS_TOKEN_TTL_SECONDS: '1.5',
      SETTING_UNKNOWN: '1',
    })

    for (const name of [
      'DATABASE_URL',
      'REDIS_URL',
      'PORT',
      'REGISTRATION must be one of open, closed',
      'LOG_LEVEL',
      'KEY_PREFIX',
      'TRUSTED_PROXIES must be addresses or networks',
      'SETTING_ACCESS_TOKEN_TTL_SECONDS must be a whole number from 1 to 86400',
      'SETTING_UNKNOWN is no setting',
    ])
      expect(complaints).to.include(name)
    for (const value of ['hunter2', '70000', 'loud', '1.5']) expect(complaints).to.not.include(value)
  })

  it('reads who mails come from, and refuses what would break a header', () => {
    const mailFrom = (text: string) => readConfig({ ...needed, MAIL_FROM: text }).mailFrom
    expect(mailFrom('me@a.example')).to.deep.equal({ name: 'Latchkey', address: 'me@a.example' })
    expect(mailFrom('Ada & Co <me@a.example>')).to.deep.equal({ name: 'Ada & Co', address: 'me@a.example' })
    for (const text of ['x\r\nBcc: y <me@a.example>', 'Ada <me@a.example', 'me@a.example>', 'a@b, c@d', 'nobody'])
      expect(complaintsOf({ ...needed, MAIL_FROM: text }), text).to.include('MAIL_FROM must be')
  })

  it('wants a sender and a place for links where mails are sent', () => {
    const complaints = complaintsOf({ ...needed, SMTP_URL: 'smtp://127.0.0.1' })
    expect(complaints).to.include('MAIL_FROM must be set').and.include('FRONTEND_URL must be set')
  })

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ ...needed, PORT: '', SETTING_REFRESH_GRACE_SECONDS: '' })).to.include({ port: 3000 })
  })

  it('keeps every setting to its type and bounds', () => {
    const names = fc.constantFrom(...settingNames)
    const texts = fc.oneof(
      fc.integer({ min: -10, max: 100_000_000 }).map(String),
      fc.constantFrom('true', 'false', 'TRUE'),
    )
    fc.assert(
      fc.property(names, texts, (name, text) => {
        const definition = settingDefinitions[name]
        const env = { ...needed, [settingVariable(name)]: text }
        const value = /^\d+$/.test(text) ? Number(text) : { true: true, false: false }[text]
        const isRight =
          definition.type === 'boolean'
            ? typeof value === 'boolean'
            : typeof value === 'number' && value >= definition.min && value <= definition.max
        if (isRight) expect(readConfig(env).settings[name]).to.equal(value)
        else expect(complaintsOf(env)).to.match(/must be (a whole number from|one of true, false)/)
      }),
    )
  })

  it('takes several trusted proxies, and trusts none by default', () => {
    const { trustedProxies } = readConfig({ ...needed, TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::/32,192.0.2.1' })
    expect(trustedProxies).to.deep.equal(['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'])
    expect(readConfig(needed).trustedProxies).to.deep.equal([])
  })

  it('reads every form of the place of Redis', () => {
    const hosts = [
      { host: 'one', port: 26379 },
      { host: 'fd00::2', port: 7000 },
    ]
    const login = { username: 'latchkey', password: 'p@ss/:word' }
    const cases: [string, RedisPlace | null][] = [
      ['redis://localhost:6379/1', { kind: 'single', url: 'redis://localhost:6379/1' }],
      ['rediss://:secret@redis.example', { kind: 'single', url: 'rediss://:secret@redis.example' }],
      ['unix:/run/redis.sock', { kind: 'socket', path: '/run/redis.sock' }],
      [
        'redis+sentinel://latchkey:p%40ss%2F%3Aword@one,[fd00::2]:7000/main',
        { kind: 'sentinel', hosts, login, tls: false, primaryName: 'main' },
      ],
      [
        'rediss+sentinel://one/main',
        { kind: 'sentinel', hosts: [hosts[0]!], login: {}, tls: true, primaryName: 'main' },
      ],
      [
        'redis+cluster://:secret@one:26379,[fd00::2]:7000',
        { kind: 'cluster', hosts, login: { password: 'secret' }, tls: false },
      ],
      ['rediss+cluster://one', { kind: 'cluster', hosts: [{ host: 'one', port: 6379 }], login: {}, tls: true }],
      ['redis+sentinel://one,two', null],
      ['redis+sentinel://one,two/', null],
      ['redis+cluster://one,two/0', null],
      ['redis+cluster://', null],
      ['redis+cluster://one,,two', null],
      ['redis+cluster://one:0', null],
      ['redis+cluster://one:70000', null],
      ['redis+cluster://%zz:a@one', null],
      ['redis+cluster://one?tls=true', null],
      ['unix:relative', null],
      ['http://one', null],
    ]
    for (const [url, place] of cases) expect(parseRedisUrl(url), url).to.deep.equal(place)
  })

  it('accepts each of its own defaults', () => {
    const defaults = Object.entries(variables).map(([name, { initial }]) => [name, initial ?? undefined])
    expect(readConfig({ ...Object.fromEntries(defaults), ...needed })).to.deep.equal(readConfig(needed))
  })
})
