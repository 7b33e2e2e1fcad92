import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import knexModule, { type Knex } from 'knex'
import { discard, distributionsPostgres, provide, startPostgres, stateDir } from '../../dev/stores.ts'
import { asRedisUser, recommendedRules } from '../support/acl.ts'
import { expectProblem, type ApiClient } from '../support/client.ts'
import { blocksOf, documents, openShell, readDocument, tableBelow, type Shell } from '../support/documentation.ts'
import { eventually } from '../support/eventually.ts'
import { aFreshMachine, type Machine } from '../support/fresh-machine.ts'
import { recipe, startNginx, type Gateway } from '../support/gateways.ts'
import { connectPostgres } from '../support/own-stores.ts'
import { aPerson, aSession, password, type Someone } from '../support/people.ts'
import { startService } from '../support/service.ts'
import { withDatabase } from '../support/stores.ts'
import { ownSingle, type OwnTopology } from '../support/topologies.ts'

/**
 * What the documents show beside the tours: blocks marked `console`, each pasted where it is for. Such a line harms, takes
 * another machine, or does not end; so each of them has a test that prepares what it speaks of.
 */

const root = path.resolve(import.meta.dirname, '../..')
const printed = documents().flatMap((place) =>
  blocksOf(readDocument(place))
    .filter(({ language }) => language === 'console')
    .map(({ text, line }) => ({ place, line, text })),
)
const pasted = new Set<string>()

/** The lines of the one block of a document that begins like this. */
function linesOf(place: string, beginning: string): string[] {
  const found = printed.filter((block) => block.place === place && block.text.startsWith(beginning))
  expect(found, `${place}: ${beginning}`).to.have.length(1)
  pasted.add(`${place}, line ${found[0]!.line}`)
  return found[0]!.text.split('\n')
}

/** What is printed and pasted nowhere, and why. */
const notPasted: Record<string, RegExp> = {
  'the scripts of package.json, with the two commands that do everything':
    /^(git clone .*\ncd latchkey\n)?npm (start|test|run format)/,
  'the options of the benchmarks': /^npm run bench/,
  'made for a machine in production; test/e2e/container.test.ts does as much in folders': /^npm ci\n/,
  'needs an engine of Docker': /^docker compose|\ndocker compose/,
}

/** Pastes lines, expects that all went well, and returns what was said. */
async function paste(shell: Shell, script: string | string[]): Promise<string> {
  const { exitCode, said } = await shell.paste([script].flat().join('\n'))
  expect(exitCode, said).to.equal(0)
  return said.trim()
}

const operating = path.join('docs', 'operating.md')
/** Defines `latchkey` and `field`, as the page has its reader do first. */
const firstBlock = blocksOf(readDocument(operating)).find(({ language }) => language === 'sh')!.text

describe('what is printed for the service', function () {
  this.timeout(60_000)
  let machine: Machine
  before(async () => {
    machine = await aFreshMachine('sh', 'printed', { TRUSTED_PROXIES: '127.0.0.1' })
    await paste(machine.shell, firstBlock)
  })
  after(() => machine.close())

  it('reads and changes a setting', async () => {
    const lines = linesOf('README.md', 'npm run -s latchkey -- settings list')
    await paste(machine.shell, 'set -a; . .data/env; set +a')
    const said = []
    for (const line of lines) said.push(await paste(machine.shell, line))

    expect(said[0]).to.match(/^access_token_ttl_seconds\b/m)
    expect(said[1]).to.match(/\b900\b/)
    expect(said[2]).to.match(/\b300\b/)
    expect(said[3]).to.match(/\b900\b/)
  })

  it('makes, lists and revokes the credentials of a service', async () => {
    const [create, list, revoke] = linesOf('README.md', 'npm run -s latchkey -- clients create') as [
      string,
      string,
      string,
    ]
    const created = await paste(machine.shell, create)
    const [id] = /[0-9a-f-]{36}/.exec(created)!

    expect(await paste(machine.shell, list))
      .to.include(id)
      .and.include('orders')
    expect(await paste(machine.shell, revoke.replace(/[0-9a-f-]{36}$/, id))).to.equal('The client is revoked.')
  })

  it('makes an admin at once, and of somebody who is there', async () => {
    const [create, role] = linesOf('README.md', 'npm run -s latchkey -- users create') as [string, string]
    const ada = { email: 'ada@example.com', password }
    expect((await machine.client.register(ada)).status).to.equal(201)

    await paste(machine.shell, `echo '${password}' | ${create}`)
    await paste(machine.shell, role)

    for (const email of ['root@example.com', ada.email])
      expect((await machine.client.login({ email, password })).body.user.role, email).to.equal('admin')
  })

  it('lists and sends again what a mail server has refused', async () => {
    const [list, retry] = linesOf('README.md', 'npm run -s latchkey -- mail list') as [string, string]
    const { id: failed } = await eventually(async () => {
      const sent = await machine.knex('mails').where({ status: 'sent' }).first()
      expect(sent).to.not.equal(undefined)
      return sent as { id: string }
    })
    await machine.knex('mails').where({ id: failed }).update({ status: 'failed', last_error: '550 5.1.1 at RCPT TO' })

    expect(await paste(machine.shell, list)).to.include(failed)
    expect(await paste(machine.shell, retry.replace(/[0-9a-f-]{36}$/, failed))).to.equal('The mail is queued again.')
  })

  it('signs everybody out by a life that is short for a moment', async () => {
    const lines = linesOf(operating, 'latchkey settings get session_absolute')
    const before = await aPerson(machine.client)
    // In the place of a rest that is long enough: the wait for what it is there for.
    const untilRefused = `sleep() {
      for i in $(seq 300); do
        [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer ${before.tokens.access_token}' \\
          http://127.0.0.1:3000/v1/me)" = 401 ] && return
        command sleep 0.05
      done
    }`

    const said = await paste(machine.shell, [untilRefused, ...lines])

    expect(said.split('\n')[0]).to.match(/\b2592000\b/)
    expectProblem(await machine.client.me(before.tokens.access_token), 401, 'invalid-token', 'expired')
    expect((await machine.client.refresh(before.tokens.refresh_token)).status).to.equal(401)
    await eventually(async () => {
      const { expires_in } = await aSession(machine.client, before)
      expect(expires_in).to.equal(900)
    })
    expectProblem(await machine.client.me(before.tokens.access_token), 401, 'invalid-token', 'expired')
  })

  it('shows the metrics of the internal listener', async () => {
    expect(await paste(machine.shell, linesOf(operating, 'curl -sS http://127.0.0.1:9464/metrics'))).to.include(
      '# TYPE latchkey_logins_total counter',
    )
  })
})

describe('what is printed to check a gateway', function () {
  this.timeout(120_000)
  const place = path.join('docs', 'gateways.md')
  let machine: Machine
  let gateway: Gateway
  let application: ChildProcess
  before(async () => {
    await provide('nginx')
    machine = await aFreshMachine('sh', 'gateways', { TRUSTED_PROXIES: '127.0.0.1' })
    await paste(machine.shell, firstBlock)
    // The service of the page, on a port that is free; it says which.
    const [line] = linesOf(place, 'node -e') as [string]
    expect(line).to.include('.listen(4000, "127.0.0.1")')
    const script = line.replace(
      '(4000, "127.0.0.1")',
      '(0, "127.0.0.1", function () { console.log(this.address().port) })',
    )
    application = spawn('sh', ['-c', `exec ${script}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [port] = (await once(application.stdout!, 'data')) as [Buffer]
    gateway = await startNginx(
      recipe('nginx', {
        'listen 8080;': 'listen LISTEN;',
        '127.0.0.1:3000': machine.address,
        '127.0.0.1:4000': `127.0.0.1:${String(port).trim()}`,
      }),
    )
    const { host } = new URL(gateway.url)
    await paste(machine.shell, `echo 'connect-to = "127.0.0.1:8080:${host}"' >> "$HOME/.curlrc"`)
    await machine.client.register({ email: 'ada@example.com', username: 'ada', password })
  })
  after(async () => {
    application.kill()
    await gateway.stop()
    await machine.close()
  })

  it('logs in through it, and each row of the table is as it says', async () => {
    await paste(machine.shell, linesOf(place, 'LOGIN='))
    const typed = tableBelow(readDocument(place), 'Check it').map(([cell]) => cell!)
    const said: string[] = []
    for (const cell of typed) {
      const [, code] = /`([^`]+)`/.exec(cell)!
      if (cell.startsWith('stop Latchkey')) await machine.stopApi()
      said.push(await paste(machine.shell, code!.replace('curl ', 'curl -s ')))
    }

    const ada = (await machine.knex('users').where({ email: 'ada@example.com' }).first()) as { id: string }
    const statuses = said.map((text) => Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1]))
    expect(statuses).to.deep.equal([401, 200, 200, 200, 200, 204, 503])
    expect(said[0]).to.match(/^www-authenticate: bearer/im)
    expect(said[1]).to.include(`"x-auth-user": "${ada.id}"`).and.include('"x-auth-username": "ada"')
    expect(said[2]).to.include('"x-auth-role": "user"').and.not.include('admin')
    expect(said[3]).to.include('"host"').and.not.include('forged')
    expect(said[4]).to.match(/"ip":"127\.0\.0\.1"/)
    expect(said[6]).to.not.include('"host"')
  })
})

describe('what is printed for Redis', function () {
  this.timeout(60_000)
  let redis: OwnTopology
  let folder: string
  let shell: Shell
  before(async () => {
    redis = await ownSingle()
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-redis-lines-'))
    const client = await provide('redis-cli')
    const script = `#!/bin/sh\nexec '${client}' -p ${redis.nodes[0]!.port} "$@"\n`
    fs.writeFileSync(path.join(folder, 'redis-cli'), script, { mode: 0o755 })
    shell = openShell('sh', { cwd: folder, env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` } })
  })
  after(async () => {
    await shell.close()
    await redis.discard()
    fs.rmSync(folder, { recursive: true })
  })

  it('changes the password of the service, and no request is refused meanwhile', async () => {
    const [add, remark, remove] = linesOf(operating, 'redis-cli ACL SETUSER latchkey') as [string, string, string]
    expect(remark).to.match(/^# now change REDIS_URL/)
    const words = ['latchkey', 'on', '>the-old-password', ...recommendedRules('latchkey:').rules]
    await redis.operator(redis.nodes[0]!).call('ACL', 'SETUSER', ...words)
    const start = (secret: string) =>
      startService({
        KEY_PREFIX: 'latchkey:',
        REDIS_URL: asRedisUser(redis.url, { username: 'latchkey', password: secret }),
      })
    const [old, someone] = await start('the-old-password').then(
      async (service) => [service, await aPerson(service.client)] as const,
    )
    const stillChecks = async ({ client }: { client: ApiClient }) =>
      expect((await client.me(someone.tokens.access_token)).status).to.equal(200)

    expect(await paste(shell, add)).to.equal('OK')
    await stillChecks(old)
    const fresh = await start('the-new-password')
    await stillChecks(fresh)
    expect(await paste(shell, remove)).to.equal('OK')
    await Promise.all([old, fresh].map(stillChecks))

    const late = new Redis(redis.nodes[0]!.port)
    expect(String(await late.call('AUTH', 'latchkey', 'the-old-password').catch((error: Error) => error))).to.match(
      /WRONGPASS/,
    )
    late.disconnect()
    await Promise.all([old, fresh].map((service) => service.close()))
  })

  it('makes a user who may follow the stream of revocations, and do nothing else', async () => {
    const lines = linesOf(path.join('docs', 'services.md'), 'redis-cli ACL SETUSER orders')
    expect(await paste(shell, lines)).to.equal('OK')
    const service = await startService({ KEY_PREFIX: 'latchkey:', REDIS_URL: redis.url })
    const someone = await aPerson(service.client)
    await service.client.logout(someone.tokens.access_token)

    const reader = new Redis(asRedisUser(redis.url, { username: 'orders', password: 'a long password' }))
    const entries = await reader.xread('STREAMS', 'latchkey:revocations', '0')
    expect(JSON.stringify(entries)).to.include(someone.tokens.session.id)
    expect(await reader.xrevrange('latchkey:revocations', '+', '-', 'COUNT', 1)).to.have.length(1)
    for (const forbidden of [
      reader.hgetall(`latchkey:sessions:{${someone.id}}`),
      reader.xadd('latchkey:revocations', '*', 'a', 'b'),
      reader.keys('*'),
    ])
      expect(await Promise.resolve(forbidden).then(JSON.stringify, String)).to.include('NOPERM')
    reader.disconnect()
    await service.close()
  })
})

describe('what is printed for PostgreSQL', function () {
  this.timeout(120_000)
  const dir = path.join(stateDir(`test-${process.pid}`), 'distributions-postgres')
  let server: string
  let superuser: Knex
  let folder: string
  let shell: Shell
  before(async () => {
    fs.mkdirSync(dir, { recursive: true, mode: 0o711 })
    const rules = path.join(dir, 'pg_hba.conf')
    fs.writeFileSync(rules, 'local all postgres trust\nlocal all all scram-sha-256\n', { mode: 0o644 })
    const binaries = await distributionsPostgres()
    const { url } = await startPostgres({ dir, ephemeral: true, binaries, settings: [`hba_file=${rules}`] })
    server = url
    superuser = knexModule({ client: 'pg', connection: url, pool: { min: 0, max: 1 } })
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-postgres-lines-'))
    shell = openShell('sh', {
      cwd: folder,
      env: {
        ...process.env,
        PATH: `${path.dirname(binaries.postgres)}:${process.env['PATH']}`,
        ...(binaries.libraries !== undefined && { LD_LIBRARY_PATH: binaries.libraries }),
        PGHOST: new URL(url).searchParams.get('host')!,
        PGUSER: 'postgres',
        LC_ALL: 'C',
      },
    })
  })
  after(async () => {
    await shell.close()
    await superuser.destroy()
    await discard(dir)
    fs.rmSync(folder, { recursive: true })
  })

  it('makes a database that npm start is content with', async () => {
    const [create, start] = linesOf(path.join('docs', 'quickstart.md'), 'createdb latchkey') as [string, string]
    expect(start).to.match(/^DATABASE_URL=postgres:\/\/localhost\/latchkey REDIS_URL=\S+ npm start$/)
    await paste(shell, create)

    const service = await startService({ DATABASE_URL: withDatabase(server, 'latchkey') })
    await service.migrated
    await aPerson(service.client)
    await service.close()
  })

  it('takes a backup, and brings back what was there then', async () => {
    const [dump, restore] = linesOf(operating, 'pg_dump') as [string, string]
    const url = withDatabase(server, 'backup')
    await superuser.raw('create database backup')
    await paste(shell, `DATABASE_URL='${url}'`)
    const serveFor = async <T>(work: (client: ApiClient) => Promise<T>) => {
      const service = await startService({ DATABASE_URL: url })
      await service.migrated
      const result = await work(service.client)
      await service.close()
      return result
    }

    const stayed = await serveFor(aPerson)
    expect(await paste(shell, dump)).to.equal('')
    const came = await serveFor(async (client) => {
      const changed = { current_password: password, new_password: 'another horse battery staple' }
      const answer = await client.post('/v1/me/password', { token: stayed.tokens.access_token, body: changed })
      expect(answer.status, answer.text).to.equal(200)
      return aPerson(client)
    })
    expect(await paste(shell, restore)).to.equal('')

    await serveFor(async (client) => {
      expect((await client.login({ email: stayed.email, password })).status).to.equal(200)
      expect((await client.login({ email: came.email, password })).status).to.equal(401)
      await aPerson(client)
    })
  })

  it('changes the user of the service, who goes on with its tables', async () => {
    const [make, act, remark, shut] = linesOf(operating, 'psql -c "create role accounts_b') as [
      string,
      string,
      string,
      string,
    ]
    expect(remark).to.match(/^# now change DATABASE_URL/)
    await superuser.raw("create role latchkey login password 'the-old-password'")
    await superuser.raw('create database accounts owner latchkey')
    const urlAs = (user: string, secret: string) => {
      const url = new URL(withDatabase(server, 'accounts'))
      url.username = user
      url.password = secret
      return url.href
    }
    const start = async (user: string, secret: string) => {
      const service = await startService({ DATABASE_URL: urlAs(user, secret) })
      await service.migrated
      return service
    }
    const old = await start('latchkey', 'the-old-password')
    const someone = await aPerson(old.client)

    expect(await paste(shell, [make, act])).to.equal('CREATE ROLE\nALTER ROLE')
    const fresh = await start('accounts_b', 'the-new-password')
    expect(await paste(shell, shut)).to.equal('ALTER ROLE')

    expect((await fresh.client.refresh(someone.tokens.refresh_token)).status).to.equal(200)
    await aPerson(fresh.client)
    await old.close()
    await fresh.close()
    const refused = connectPostgres(urlAs('latchkey', 'the-old-password'))
    expect(String(await refused.raw('select 1').catch((error: Error) => error))).to.include('not permitted to log in')
    await refused.destroy()
    const { rows } = (await superuser.raw(
      "select count(*)::int as count from pg_class where relowner = 'accounts_b'::regrole",
    )) as {
      rows: { count: number }[]
    }
    expect(rows[0]!.count, 'tables of the second user').to.equal(0)
  })

  it('maps the ids of imported people, and takes their new passwords back', async () => {
    const migrating = path.join('docs', 'migrating.md')
    const url = withDatabase(server, 'migrated')
    await superuser.raw('create database migrated')
    const service = await startService({ DATABASE_URL: url })
    await service.migrated
    const people: Someone[] = [await aPerson(service.client), await aPerson(service.client)]
    await service.close()
    await paste(shell, `DATABASE_URL='${url}'`)

    for (const beginning of [
      'psql "$DATABASE_URL" -c "\\copy (select email, id',
      'psql "$DATABASE_URL" -c "\\copy (select email, \'argon2',
    ])
      expect(await paste(shell, linesOf(migrating, beginning))).to.equal('COPY 2')

    const [ids, changed] = ['ids.csv', 'changed.csv'].map((name) =>
      fs.readFileSync(path.join(folder, name), 'utf8').trim().split('\n'),
    )
    expect(ids!.slice(1)).to.have.members(people.map(({ email, id }) => `${email},${id}`))
    expect(changed!.slice(1)).to.have.length(2)
    for (const line of changed!.slice(1)) expect(line).to.match(/^u-\S+@example\.com,"?argon2\$argon2id\$v=19\$/)
  })
})

describe('a printed line', () => {
  it('is pasted by a test, or it is known why not', () => {
    for (const { place, line, text } of printed) {
      const isPasted = pasted.has(`${place}, line ${line}`)
      const reasons = Object.values(notPasted).filter((form) => form.test(text))
      expect(reasons.length + Number(isPasted), `${place}, line ${line}: ${text}`).to.equal(1)
    }
    for (const [reason, form] of Object.entries(notPasted))
      expect(
        printed.some(({ text }) => form.test(text)),
        reason,
      ).to.equal(true)
  })

  it('runs no script that package.json does not have', () => {
    const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: object }
    const named = printed.flatMap(({ text }) =>
      Array.from(text.matchAll(/\bnpm run (?:-s )?([\w:]+)|\bnpm (test|start)\b/g)),
    )

    expect(named).to.not.have.length(0)
    for (const [words, script, short] of named) expect(scripts, words).to.have.property(script ?? short!)
  })
})
