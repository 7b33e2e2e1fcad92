import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { Knex } from 'knex'
import { startPostgres, type Service } from '../../dev/stores.ts'
import { eventually } from './eventually.ts'
import { connectPostgres } from './own-stores.ts'
import { withDatabase } from './stores.ts'

export interface PostgresPair {
  primary: Service
  standby: Service
  /** To the database of the service on each. */
  url: string
  standbyUrl: string
  /** Of an operator, on the standby. */
  standbyOperator: Knex
  /** Lets the primary confirm what the standby has not got. */
  cutReplication: () => Promise<void>
  promote: () => Promise<void>
  close: () => Promise<void>
}

/**
 * Starts a primary, and a standby that confirms each commit with it (synchronous replication).
 *
 * The copy is made as pg_basebackup makes it, which is not among the programs that there are.
 *
 * @param newDir makes the folder of a server; whoever makes it discards it
 */
export async function startPostgresPair(newDir: (name: string) => string): Promise<PostgresPair> {
  const settings = ['wal_level=replica', 'max_wal_senders=4', 'fsync=off', 'synchronous_commit=remote_apply']
  const primary = await startPostgres({ dir: newDir('primary'), ephemeral: true, settings })
  const operator = connectPostgres(primary.url)
  await operator.raw('create database latchkey')
  const { rows } = (await operator.raw('show data_directory')) as { rows: { data_directory: string }[] }
  const sockets = new URL(primary.url).searchParams.get('host')!

  /** Between the two calls the files may change, and what has changed is made good from the log that is copied last. */
  async function copyTo(data: string): Promise<void> {
    const backup = await operator.client.acquireConnection()
    const ask = (sql: string) => operator.raw(sql).connection(backup) as Promise<{ rows: { label: string }[] }>
    await ask("select pg_backup_start('standby', true)")
    const copied = spawnSync('cp', ['-a', `${rows[0]!.data_directory}/.`, data])
    const label = (await ask('select labelfile as label from pg_backup_stop(false)')).rows[0]!.label
    const logCopied = spawnSync('cp', ['-a', path.join(rows[0]!.data_directory, 'pg_wal/.'), path.join(data, 'pg_wal')])
    await operator.client.releaseConnection(backup)
    if (copied.status !== 0 || logCopied.status !== 0) throw new Error(String(copied.stderr))
    fs.rmSync(path.join(data, 'postmaster.pid'))
    for (const [name, text] of [
      ['backup_label', label],
      ['standby.signal', ''],
      ['postgresql.auto.conf', `primary_conninfo = 'host=${sockets} user=postgres application_name=standby'\n`],
    ] as const) {
      fs.writeFileSync(path.join(data, name), text)
      const { uid, gid } = fs.statSync(path.join(data, 'PG_VERSION'))
      fs.chownSync(path.join(data, name), uid, gid)
    }
  }

  const standby = await startPostgres({ dir: newDir('standby'), ephemeral: true, settings, fill: copyTo })
  const standbyOperator = connectPostgres(standby.url)
  await operator.raw("alter system set synchronous_standby_names = 'standby'")
  await operator.raw('select pg_reload_conf()')
  await eventually(async () => {
    const { rows: replicas } = (await operator.raw('select sync_state from pg_stat_replication')) as {
      rows: { sync_state: string }[]
    }
    if (replicas[0]?.sync_state !== 'sync') throw new Error('the standby does not confirm yet')
  }, 15_000)

  return {
    primary,
    standby,
    url: withDatabase(primary.url, 'latchkey'),
    standbyUrl: withDatabase(standby.url, 'latchkey'),
    standbyOperator,
    async cutReplication() {
      await operator.raw("alter system set synchronous_standby_names = ''")
      await operator.raw('select pg_reload_conf()')
      await standbyOperator.raw("alter system set primary_conninfo = ''")
      await standbyOperator.raw('select pg_reload_conf()')
      await eventually(async () => {
        const { rows: replicas } = (await operator.raw('select 1 from pg_stat_replication')) as { rows: unknown[] }
        if (replicas.length > 0) throw new Error('the standby still follows')
      }, 15_000)
    },
    async promote() {
      await standbyOperator.raw('select pg_promote(true, 30)')
    },
    async close() {
      await Promise.all([operator.destroy(), standbyOperator.destroy()])
    },
  }
}
