import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import knexModule, { type Knex } from 'knex'
import { discard, provide, startCluster, startRedis, startSentinel, stateDir } from '../../dev/stores.ts'
import type { ApiClient } from './client.ts'
import { openShell, type Shell } from './documentation.ts'
import { eventually } from './eventually.ts'
import { catchMailsIn } from './mail-catcher.ts'
import { startService } from './service.ts'
import { chosenTopology, connectRedis, databaseUrl, withDatabase, type AnyRedis } from './stores.ts'

const root = path.resolve(import.meta.dirname, '../..')

export interface Machine {
  shell: Shell
  client: ApiClient
  /** Where the service is to the tests. */
  address: string
  redis: AnyRedis
  knex: Knex
  stopApi(): Promise<void>
  close(): Promise<void>
}

/**
 * A machine on which somebody has just typed `npm start`: to curl the service is at 127.0.0.1:3000 and its metrics at port
 * 9464, its Redis in `.data/` and its mails in `.data/mail/`, wherever they really are.
 */
export async function aFreshMachine(
  shellName: string,
  label = 'readme',
  env: Record<string, string> = {},
): Promise<Machine> {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'latchkey-readme-'))
  const state = path.join(stateDir(`test-${process.pid}`), `${label}-${shellName}`)
  const bin = path.dirname(await provide('curl'))
  await provide('redis-cli')
  const store = await aRedisOfThisRunsForm(state)

  const databaseName = `latchkey_${label}_${process.pid}_${shellName}`
  const admin = knexModule({ client: 'pg', connection: databaseUrl(), pool: { min: 0, max: 1 } })
  await admin.raw('create database ??', [databaseName])
  const ownDatabase = withDatabase(databaseUrl(), databaseName)
  const catcher = await catchMailsIn(home)
  const service = await startService(
    { ...catcher.env, DATABASE_URL: ownDatabase, REDIS_URL: store.url, KEY_PREFIX: '', OPS_PORT: '0', ...env },
    { clock: { now: () => Date.now(), pass: () => undefined } }, // one that goes by itself, as a reader's does
  )
  await eventually(async () => expect((await service.client.get('/health/ready')).status).to.equal(200))

  bringCommandLineTo(home)
  fs.writeFileSync(path.join(home, '.data/env'), `DATABASE_URL='${ownDatabase}'\nREDIS_URL='${store.url}'\n`)
  store.bringTo(home, bin)
  const [{ port }, ops] = [new URL(service.url), new URL(service.opsUrl!)]
  const connections = [`127.0.0.1:3000:127.0.0.1:${port}`, `127.0.0.1:9464:127.0.0.1:${ops.port}`]
  fs.writeFileSync(path.join(home, '.curlrc'), connections.map((one) => `connect-to = "${one}"\n`).join(''))
  const environment = { PATH: `${bin}:${process.env['PATH']}`, HOME: home, CURL_HOME: home, LC_ALL: 'C' }

  const shell = openShell(shellName, { cwd: home, env: environment })
  const redis = connectRedis(store.url)
  const knex = knexModule({ client: 'pg', connection: ownDatabase, pool: { min: 0, max: 1 } })
  return {
    shell,
    client: service.client,
    address: `127.0.0.1:${port}`,
    redis,
    knex,
    stopApi: () => service.close(),
    async close() {
      await shell.close()
      redis.disconnect()
      await knex.destroy()
      await service.close()
      await catcher.stop()
      await admin.raw('drop database ?? with (force)', [databaseName])
      await admin.destroy()
      await discard(state)
      if (fs.readdirSync(path.dirname(state)).length === 0) fs.rmdirSync(path.dirname(state))
      fs.rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Makes `npm run latchkey` in a home lead to the build in this folder where that is under test, and else to the sources. */
function bringCommandLineTo(home: string): void {
  if (process.env['LATCHKEY_UNDER_TEST'] === 'build') {
    fs.symlinkSync(path.join(root, 'dev/latchkey.mjs'), path.join(home, 'dev/latchkey.mjs')) // looks for it in here
    return
  }
  for (const name of ['dev/latchkey.mjs', 'dev/sources.mjs']) fs.cpSync(path.join(root, name), path.join(home, name))
  fs.symlinkSync(path.join(root, 'src'), path.join(home, 'src'))
}

interface ShownRedis {
  url: string
  /** Makes `.data/bin/redis-cli -s .data/redis.sock` in a home lead to it. */
  bringTo: (home: string, bin: string) => void
}

/** Where an operator has Sentinel or a Cluster, they give redis-cli other words; what they ask it is the same. */
async function aRedisOfThisRunsForm(dir: string): Promise<ShownRedis> {
  const form = chosenTopology()
  if (form === 'single') {
    const { url } = await startRedis({ dir, ephemeral: true })
    return {
      url,
      bringTo(home, bin) {
        fs.symlinkSync(bin, path.join(home, '.data/bin'))
        fs.symlinkSync(url.slice('unix:'.length), path.join(home, '.data/redis.sock'))
      },
    }
  }
  const { url, nodes } = await (form === 'cluster' ? startCluster : startSentinel)({ dir, ephemeral: true })
  const words = `${form === 'cluster' ? '-c ' : ''}-p ${nodes[0]!.port}`
  return {
    url,
    bringTo(home, bin) {
      fs.mkdirSync(path.join(home, '.data/bin'))
      const script = `#!/bin/sh\nshift 2\nexec '${bin}/redis-cli' ${words} "$@"\n`
      fs.writeFileSync(path.join(home, '.data/bin/redis-cli'), script, { mode: 0o755 })
    },
  }
}
