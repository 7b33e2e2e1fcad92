import { pbkdf2Sync, scryptSync } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { dictionary } from '@zxcvbn-ts/language-common'
import { expect } from 'chai'
import { format } from 'prettier'
import { consequences, type AccountEvent } from '../../src/accounts/consequences.ts'
import { faultOfHash, matches } from '../../src/accounts/imported-hashes.ts'
import { auditEvents } from '../../src/audit/index.ts'
import type { Command } from 'commander'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { createProgram } from '../../src/cli/program.ts'
import { readConfig, variables } from '../../src/config.ts'
import { problemKinds, routes, type Route } from '../../src/http/index.ts'
import { problemOf } from '../../src/http/problems.ts'
import { metricDefinitions } from '../../src/metrics/index.ts'
import { codePoints } from '../../src/platform/label.ts'
import { logEvents } from '../../src/platform/log.ts'
import { createKeys } from '../../src/sessions/keys.ts'
import { encodeCard, encodeSession, endReasons, type Session } from '../../src/sessions/session.ts'
import { settingDefinitions, settingNames, type SettingName } from '../../src/settings/index.ts'
import { keyStart, type RuleName } from '../../src/throttle/index.ts'
import { blocksOf, brokenLink, documents, linksOf, readDocument, tableBelow } from '../support/documentation.ts'

const readme = readDocument('README.md')
const src = path.resolve(import.meta.dirname, '../../src')
const code = (text: string) => `\`${text}\``

describe('the README', () => {
  it('lists every variable with its default and meaning, and no other', () => {
    const declared = Object.entries(variables).map(([name, { initial, meaning }]) => [
      code(name),
      initial === null ? 'must be set' : initial === '' ? 'not set' : code(initial),
      meaning,
    ])

    expect(tableBelow(readme, 'Variables')).to.deep.equal(declared)
  })

  it('lists every runtime setting with its start value, bounds and meaning, and no other', () => {
    const declared = settingNames.map((name) => {
      const definition = settingDefinitions[name]
      const takes =
        definition.type === 'integer' ? `${definition.min} to ${definition.max}` : `${code('true')} or ${code('false')}`
      return [code(name), code(String(definition.initial)), takes, definition.meaning]
    })

    expect(tableBelow(readme, 'Runtime settings')).to.deep.equal(declared)
  })

  it('lists every exit code of the command line that tells one error from others, and no other', () => {
    const listed = tableBelow(readme, 'Exit codes').map(([exitCode, error]) => [error, Number(exitCode)])

    expect(listed.filter(([error]) => error !== '–')).to.deep.equal(
      Object.entries(exitCodes).map(([error, exitCode]) => [code(error), exitCode]),
    )
    expect(listed.filter(([error]) => error === '–').map(([, exitCode]) => exitCode)).to.deep.equal([0, 1])
  })

  it('lists every endpoint with its token, body and answers, and no other', () => {
    expect(tableBelow(readme, 'Endpoints')).to.deep.equal(routes.map(endpointRow))
  })

  it('lists every problem code with its status and words, and no other', () => {
    const declared = Object.entries(problemKinds).map(([name, { status, title, detail }]) => [
      code(name),
      String(status),
      title,
      detail,
    ])

    expect(tableBelow(readme, 'Problem codes')).to.deep.equal(declared)
  })

  it('lists every reason of a dead access token with what its bearer is told, and no other', () => {
    const told = ['unknown', ...endReasons].map((reason) => [
      code(reason),
      problemOf(
        { code: 'invalid-token', reason, faults: undefined, checks: undefined, retryAfterSeconds: undefined },
        '',
      ).body['detail'],
    ])

    const shown = tableBelow(readme, 'Why an access token is refused').map(([reason, detail]) => [reason, detail])
    expect(shown).to.deep.equal(told)
  })

  it('lists what every event ends, and no other', () => {
    const [none, stays] = ['–', 'stays']
    const tables = {
      thisSession: { ends: 'ends', stays, 'new-pair': 'stays, with a new pair' },
      otherSessions: { end: 'end', stay: 'stay', 'longest-unused-ends': 'the one unused for longest ends' },
    }
    const declared = Object.entries(consequences).map(([event, row]) => [
      happenings[event as AccountEvent],
      tables.thisSession[row.thisSession],
      tables.otherSessions[row.otherSessions],
      row.reason ? code(row.reason) : none,
      row.oneTimeTokens,
      row.notice ? (row.notice === 'email-changed' ? 'to the old address' : 'to the owner') : none,
    ])

    expect(tableBelow(readme, 'What ends what')).to.deep.equal(declared)
  })

  it('lists every audit event with its meaning, and no other', () => {
    const declared = Object.entries(auditEvents).map(([event, meaning]) => [code(event), meaning])

    expect(tableBelow(readme, 'Audit events')).to.deep.equal(declared)
  })

  it('lists every log event with its level and meaning, and no other', () => {
    const declared = Object.entries(logEvents).map(([event, { level, meaning }]) => [code(event), level, meaning])

    expect(tableBelow(readme, 'Log events')).to.deep.equal(declared)
  })

  it('lists every metric with its kind, labels and meaning, and no other', () => {
    const declared = Object.entries(metricDefinitions).map(([name, { type, labels, help }]) => [
      code(name),
      type,
      Object.keys(labels).map(code).join(', ') || '–',
      help,
    ])

    expect(tableBelow(readme, 'Metrics')).to.deep.equal(declared)
  })

  it('names no metric, in alerts or elsewhere, that is not declared', () => {
    const declared = new Set(
      Object.entries(metricDefinitions).flatMap(([name, { type }]) =>
        type === 'histogram' ? ['', '_bucket', '_sum', '_count'].map((end) => name + end) : [name],
      ),
    )
    const prose = documents().map(readDocument).join('\n')
    // With a dollar or an at sign before it, it is a name of a gateway.
    const named = [...prose.matchAll(/(?<![@$\w])latchkey_[a-z_]+/g)].map(([name]) => name)

    expect(named.length).to.be.greaterThan(Object.keys(metricDefinitions).length)
    expect(named.filter((name) => !declared.has(name))).to.deep.equal([])
  })

  it('lists every Redis key by its name, and no other', () => {
    const prefix = variables['KEY_PREFIX']!.initial!
    const keys = createKeys(prefix)
    const { sessionsStart, sessions, access, refresh, ended, revocations, unwritten, ...others } = keys
    expect(others).to.deep.equal({})
    expect(sessions('')).to.equal(`${sessionsStart}}`)

    expect(tableBelow(readme, 'Keys').map(([name]) => name)).to.deep.equal([
      code(sessions('<user id>')),
      code(access('<digest>')),
      code(refresh('<digest>')),
      code(ended('<session id>')),
      code(revocations),
      code(unwritten('<user id>')),
      code(`${keyStart(prefix)}:<rule>:<subject>`),
    ])
  })

  it('lists every limit with its figures, and no other', () => {
    const figures: Record<
      RuleName,
      [points: Extract<SettingName, `${string}_max`>, windowSeconds: Extract<SettingName, `${string}_window_seconds`>]
    > = {
      'wrong-passwords': ['wrong_passwords_max', 'wrong_passwords_window_seconds'],
      logins: ['logins_per_address_max', 'logins_per_address_window_seconds'],
      registrations: ['registrations_per_address_max', 'registrations_per_address_window_seconds'],
      'wrong-tokens': ['wrong_tokens_per_address_max', 'wrong_tokens_per_address_window_seconds'],
      'mail-requests': ['mail_requests_per_address_max', 'mail_requests_per_address_window_seconds'],
      mails: ['mails_per_person_max', 'mails_per_person_window_seconds'],
    }
    const windows: Record<number, string> = { 60: 'a minute', 900: '15 minutes', 3600: 'an hour' }

    expect(tableBelow(readme, 'Limits').map(([rule, , , most]) => [rule, most])).to.deep.equal(
      Object.entries(figures).map(([rule, [points, windowSeconds]]) => [
        code(rule),
        `${settingDefinitions[points].initial} in ${windows[settingDefinitions[windowSeconds].initial]}`,
      ]),
    )
  })

  it('lists every member of a stored session and of a card, and no other', () => {
    expect(membersOf('What a session holds')).to.deep.equal(namesIn(JSON.parse(encodeSession(wholeSession))))
    const card = { username: 'ada', email: 'ada@example.com', verified: true, role: 'user', updatedAt: 0 }
    expect(membersOf('What the card holds')).to.deep.equal(namesIn(JSON.parse(encodeCard(card))))
  })

  it('marks each block with a kind that is known, so that none escapes being run', () => {
    for (const { language, line } of blocksOf(readme))
      expect(['sh', 'json', 'text', 'sql', 'console', 'yaml'], `README.md, line ${line}`).to.include(language)
  })
})

describe('docs/operating.md', () => {
  it('lists every command with what it takes and does, and no other', () => {
    const nowhere = () => {
      throw new Error('no command is run here')
    }
    const program = createProgram({ config: nowhere, run: nowhere, withServices: nowhere })

    const declared = leavesOf(program).map((command) => [code(wordsOf(command)), command.description()])
    expect(tableBelow(readDocument('docs/operating.md'), 'Commands')).to.deep.equal(declared)
  })
})

describe('docs/apps.md', () => {
  it('says of every problem code what an app does, and of no other', () => {
    const listed = tableBelow(readDocument('docs/apps.md'), 'Problem codes, and what an app does')

    expect(listed.map(([name]) => name)).to.deep.equal(Object.keys(problemKinds).map(code))
    for (const [name, action] of listed) expect(action, name).to.match(/\.$/)
  })
})

describe('the page on reliability', () => {
  const page = readDocument('docs/reliability.md')
  const root = path.resolve(import.meta.dirname, '../..')
  const sources = (folder: string) =>
    fs
      .readdirSync(path.join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => path.join(folder, name))
  const rowsIn = (text: string) => [...new Set(text.match(/\bF\d\d\b/g))].toSorted()

  it('names every fault that the tests name, and no other, with a file in which it is', () => {
    const files = ['test/fault', 'test/e2e', 'test/integration'].flatMap(sources)
    const text = new Map(files.map((file) => [file, fs.readFileSync(path.join(root, file), 'utf8')]))
    expect(rowsIn(page)).to.deep.equal(rowsIn([...text.values()].join('\n')))
    for (const [line, row, named] of page.matchAll(/^\|(.+?)\|.*?\|(.*?\.test\.ts`)/gm)) {
      const inFiles = [...named!.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(([, name]) =>
        name!.includes('/') ? name! : `test/fault/${name}`,
      )
      for (const file of inFiles) expect(files, line).to.include(file)
      for (const id of rowsIn(row!))
        expect(
          inFiles.some((file) => text.get(file)!.includes(id)),
          line,
        ).to.equal(true)
    }
  })
})

describe('the page on security', () => {
  const page = readDocument('docs/security.md')
  const requirementsIn = (text: string) => text.match(/\b\d+\.\d+\.\d+\b/g) ?? []
  /** The first cell of each row that is about requirements, and all of the row. */
  const rows = [...page.matchAll(/^\| (\d+\.\d+\.\d+(?:, \d+\.\d+\.\d+)*) +\|.*$/gm)].map(([row, first]) => ({
    row,
    requirements: requirementsIn(first!),
  }))

  it('names tests that there are, by their file and title', () => {
    const named = [...page.matchAll(/`([\w/-]+\.test\.ts)`((?:,? “[^”]+”)+)/g)].flatMap(([, file, titles]) =>
      [...titles!.matchAll(/“([^”]+)”/g)].map(([, title]) => ({ file: file!, title: title! })),
    )
    const sources = new Map(named.map(({ file }) => [file, readDocument(path.join('test', file))]))
    const missing = named.filter(
      ({ file, title }) => !["'", '`', '"'].some((quote) => sources.get(file)!.includes(`it(${quote}${title}${quote}`)),
    )

    expect(named.length).to.be.greaterThan(100)
    expect([...page.matchAll(/\.test\.ts`/g)], 'a file without a title').to.have.lengthOf(
      [...page.matchAll(/\.test\.ts` “/g)].length,
    )
    expect(missing).to.deep.equal([])
  })

  it('says how many common passwords there are, by their least length', () => {
    const lengths = dictionary['passwords-common'].map(codePoints)
    const ofAtLeast = (least: number) => lengths.filter((length) => length >= least).length.toLocaleString('en-GB')
    const told =
      /has (\S+) passwords; .* It has (\S+) passwords of at least 8 characters, (\S+) of at least 10 and (\S+) of/

    expect(told.exec(page.replaceAll(/\s+/g, ' '))?.slice(1)).to.deep.equal([0, 8, 10, 15].map(ofAtLeast))
  })

  it('has each requirement once', () => {
    const told = rows.flatMap(({ requirements }) => requirements)

    expect(told.length).to.be.greaterThan(200)
    expect(told.filter((requirement, i) => told.indexOf(requirement) !== i)).to.deep.equal([])
  })

  it('counts them rightly', () => {
    const count = (chosen: typeof rows) => chosen.flatMap(({ requirements }) => requirements).length
    const start = page.indexOf('### What does not apply')
    const applying = rows.filter(({ row }) => page.indexOf(row) < start)
    const saying = (mark: string) => count(applying.filter(({ row }) => row.includes(`| **${mark}`)))
    const [inPart, notMet, yours] = [saying('In part.'), saying('Not met.'), saying('Yours')]
    const met = count(applying) - inPart - notMet - yours
    const figures =
      /there are (\d+) .* (\d+) do not apply.* (\d+) Latchkey meets (\d+), (\d+) in part and (\d+) not, and (\d+) are yours/

    expect(figures.exec(page.replaceAll('\n', ' '))?.slice(1).map(Number)).to.deep.equal([
      count(rows),
      count(rows) - count(applying),
      count(applying),
      met,
      inPart,
      notMet,
      yours,
    ])
  })

  it('tells again what it falls short of, and nothing else', () => {
    const short = rows
      .filter(({ row }) => /\*\*(?:In part|Not met)\.\*\*/.test(row))
      .flatMap(({ requirements }) => requirements)
    const list = /^### Of the standard\n([^]*?)^### /m.exec(page)![1]!

    expect(requirementsIn(list).toSorted()).to.deep.equal(short.toSorted())
  })
})

describe('the page on migrating', () => {
  it('changes hashes of others into such as are taken, and makes one that no password fits', async () => {
    const source = blocksOf(readDocument('docs/migrating.md')).find(({ meta }) => meta === 'hashes.mjs')!.text
    const url = `data:text/javascript,${encodeURIComponent(source)}`
    const { fromBetterAuth, fromPassportLocalMongoose, ofNobody } = (await import(url)) as {
      fromBetterAuth: (stored: string) => string
      fromPassportLocalMongoose: (stored: { salt: string; hash: string }) => string
      ofNobody: () => string
    }
    const [password, salt] = ['correct horse battery staple', 'c0ffee'.repeat(6)]
    const key = scryptSync(password, salt, 64, { N: 16_384, r: 16, p: 1, maxmem: 2 ** 26 }).toString('hex')
    const hash = pbkdf2Sync(password, salt, 25_000, 512, 'sha256').toString('hex')

    for (const taken of [fromBetterAuth(`${salt}:${key}`), fromPassportLocalMongoose({ salt, hash })]) {
      expect(faultOfHash(taken)).to.equal(null)
      expect(await matches(taken, password), taken).to.equal(true)
      expect(await matches(taken, `${password}!`), taken).to.equal(false)
    }
    expect(faultOfHash(ofNobody())).to.equal(null)
    expect(await matches(ofNobody(), password)).to.equal(false)
  })
})

describe('.env.example', () => {
  const example = readDocument('.env.example')

  it('has every variable, commented out, below its meaning and with its default', () => {
    const entries = [...example.matchAll(/^# (.+)\n# ?([A-Z0-9_]+)=(.*)$/gm)].map(([, meaning, name, value]) => [
      name,
      value,
      meaning,
    ])
    const declared = Object.entries(variables).map(([name, { initial, meaning }]) => [
      name,
      initial ?? required[name as 'REDIS_URL'],
      meaning,
    ])

    expect(entries).to.deep.equal(declared)
    expect(example.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).to.deep.equal([])
  })

  it('changes nothing but the addresses of the stores when all of it is taken', () => {
    const taken = Object.fromEntries(
      [...example.matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
    )

    expect(readConfig(taken)).to.deep.equal(readConfig(required))
  })
})

describe('the documents', () => {
  it('link only to files and headings that exist', () => {
    const broken = documents().flatMap((place) =>
      linksOf(readDocument(place)).flatMap((target) => brokenLink(place, target) ?? []),
    )

    expect(broken).to.deep.equal([])
  })

  it('define every reference that they use, and use every one that they define', () => {
    for (const place of documents()) {
      const prose = proseOf(readDocument(place)).join('\n')
      const named = (pattern: RegExp) => new Set(Array.from(prose.matchAll(pattern), ([, name]) => name))

      expect(named(/\]\[([^\]]+)\]/g), place).to.deep.equal(named(/^\[([^\]]+)\]: /gm))
    }
  })

  it('are in the list of documents near the top of the README, those for users', () => {
    const listed = linksOf(tableBelow(readme, 'Documents').flat().join('\n'))

    expect(listed).to.include.members(documents().filter((place) => place.startsWith(`docs${path.sep}`)))
  })

  it('are in British English', () => {
    const found = documents().flatMap((place) =>
      proseOf(readDocument(place)).flatMap((line, i) =>
        (line.match(americanWords) ?? []).map((word) => `${place}, line ${i + 1}: ${word}`),
      ),
    )

    expect(found).to.deep.equal([])
  })

  it('have YAML that can be read', async () => {
    const blocks = documents().flatMap((place) =>
      blocksOf(readDocument(place)).flatMap((block) => (block.language === 'yaml' ? [{ place, ...block }] : [])),
    )

    expect(blocks).to.not.have.length(0)
    for (const { place, line, text } of blocks)
      expect(await format(text, { parser: 'yaml', singleQuote: true }), `${place}, line ${line}`).to.equal(`${text}\n`)
  })

  it('have blocks to paste in the README and the guides only, where they are run', () => {
    const elsewhere = documents()
      .filter((place) => place !== 'README.md' && !place.startsWith(`docs${path.sep}`))
      .filter((place) => blocksOf(readDocument(place)).some(({ language }) => language === 'sh'))

    expect(elsewhere, 'documents with sh blocks; commands that no test runs are marked console').to.deep.equal([])
  })

  it('name every room of the house on its map', () => {
    const map = readDocument('src/README.md')
    const rooms = fs
      .readdirSync(src, { withFileTypes: true })
      .filter(({ name }) => name !== 'README.md')
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))

    const named = tableBelow(map, 'Rooms').map(([name]) => name!.replaceAll('`', ''))
    expect(named.toSorted()).to.deep.equal(rooms.toSorted())
  })

  it('mention no function on the map that the sources do not have', () => {
    const sources = fs
      .readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((place) => place.endsWith('.ts'))
      .map((place) => fs.readFileSync(path.join(src, place), 'utf8'))
      .join('\n')
    const called = [...readDocument('src/README.md').matchAll(/`(?:\w+\.)?(\w+)\(\)`/g)].map(([, name]) => name!)

    expect(called).to.not.have.length(0)
    expect(called.filter((name) => !new RegExp(`\\b${name}\\b`).test(sources))).to.deep.equal([])
  })
})

/** Words that are spelt otherwise in Britain, and -ize where these pages have -ise. A noun "license" cannot be told from the verb. */
const americanWords = new RegExp(
  String.raw`\b(?:${[
    '(?:colo|behavio|favo|hono|labo|neighbo|endeavo|rumo)r(?:s|ed|ing|ite|ites|hood|al|able)?',
    '(?:cent|theat|lit|fib)er(?:s|ed)?',
    '(?:cata|dia|ana)logs?',
    '(?:defen|offen|licen)ses?',
    '(?:cancel|label|model|travel|signal|channel)(?:ed|ing|er)',
    '(?:fulfil|enrol)l(?:s|ment)?',
    'gray|skeptical|artifacts?|spelled|toward|afterward|anymore',
    '(?:real|organ|recogn|normal|initial|optim|minim|maxim|summar|custom|serial|token|synchron)iz(?:e|es|ed|er|ing|ation)|authoriz(?:e|es|ed|ing)',
    '(?:anal|paral)yz(?:e|es|ed|ing)',
  ].join('|')})\b`,
  'gi',
)

/** The lines of a document without what is not prose: blocks, code, links and titles of others. */
function proseOf(markdown: string): string[] {
  const blocks = blocksOf(markdown)
  return markdown
    .split('\n')
    .map((line, i) => (blocks.some((block) => i + 1 >= block.line && i + 1 < block.endLine) ? '' : line))
    .map((line) => line.replaceAll(/`[^`]*`|\]\([^)]*\)|https?:\S+/g, ' '))
}

/** What the README calls the events. */
const happenings: Record<AccountEvent, string> = {
  logout: '`POST /v1/auth/logout`',
  'logout-all': '`POST /v1/auth/logout-all`',
  'revoke-one': '`DELETE /v1/sessions/:id` of this session',
  'revoke-others': '`POST /v1/sessions/revoke-others`',
  'revoke-all': '`DELETE /v1/admin/users/:user_id/sessions`',
  'new-tokens': '`POST /v1/auth/tokens`',
  'password-change': '`POST /v1/me/password`',
  'password-reset': '`POST /v1/auth/reset-password`',
  'email-change': 'A new e-mail address is confirmed',
  disable: 'The account is disabled',
  delete: 'The account is deleted',
  'role-change': 'The person gets another role',
  reuse: 'A spent refresh token is used again',
  cap: 'A login when there are 50 sessions already',
}

/** What the examples say for the two variables that have no default. */
const required = {
  DATABASE_URL: 'postgres://latchkey:secret@localhost:5432/latchkey',
  REDIS_URL: 'redis://localhost:6379',
}

const wholeSession: Session = {
  id: '',
  userId: '',
  epoch: 1,
  createdAt: 0,
  refreshedAt: 0,
  lastSeenAt: 0,
  idleExpiresAt: 0,
  expiresAt: 0,
  deviceName: 'laptop',
  client: { address: '127.0.0.1', userAgent: 'curl' },
  access: { digestStart: '', expiresAt: 0 },
  refreshDigest: '',
  previous: {
    accessDigestStart: '',
    accessIssuedAt: 0,
    accessExpiresAt: 0,
    refreshDigestStart: '',
    graceEndsAt: 0,
    replay: '',
  },
}

/** The commands that do something, in the order of the help. */
function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf)
}

/** What is typed for a command: its names from the outside in, its arguments, and its options. */
function wordsOf(command: Command): string {
  const names: string[] = []
  for (let at = command; at.parent; at = at.parent) names.unshift(at.name())
  const given = command.registeredArguments.map((each) => (each.required ? `<${each.name()}>` : `[${each.name()}]`))
  const options = command.options.map(({ flags, mandatory }) => (mandatory ? flags : `[${flags}]`))
  return [...names, ...given, ...options].join(' ')
}

function namesIn(json: object): string[] {
  return Object.entries(json).flatMap(([name, value]) =>
    typeof value === 'object' && !Array.isArray(value)
      ? Object.keys(value as object).map((inner) => `${name}.${inner}`)
      : [name],
  )
}

function membersOf(heading: string): string[] {
  return tableBelow(readme, heading).flatMap(([names]) => names!.split(', ').map((name) => name.replaceAll('`', '')))
}

function endpointRow({ method, path: at, auth, query, body, summary, replies, problems }: Route): string[] {
  const tokens = {
    none: '–',
    bearer: 'access',
    'optional-bearer': body ? 'access or refresh' : 'access',
    admin: 'an admin’s',
    client: 'service client',
  }
  const membersIn = (schema: unknown) =>
    Object.entries(
      (schema as { shape: Record<string, { safeParse(value: unknown): { success: boolean } }> } | undefined)?.shape ??
        {},
    )
  const members = [
    ...membersIn(query).map(([name]) => code(`?${name}`)),
    ...membersIn(body).map(([name, schema]) => code(schema.safeParse(undefined).success ? `${name}?` : name)),
  ]
  const ours = problems.filter((problem) => auth === 'none' || problemKinds[problem].status !== 401)
  return [
    code(`${method.toUpperCase()} ${at}`),
    tokens[auth],
    members.join(', ') || (body ? '[settings](#runtime-settings)' : '–'),
    summary,
    [...Object.keys(replies), ...ours.map(code)].join(', '),
  ]
}
