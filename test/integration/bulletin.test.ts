import v8 from 'node:v8'
import vm from 'node:vm'
import { expect } from 'chai'
import { announce, createBulletin, type Bulletin } from '../../src/platform/bulletin.ts'
import { eventually } from '../support/eventually.ts'
import { connectPostgres, ownPostgres, type OwnPostgres } from '../support/own-stores.ts'

describe('the bulletin', () => {
  let postgres: OwnPostgres
  let writer: ReturnType<typeof connectPostgres>
  let bulletin: Bulletin
  let logged: string[]
  let read: { settings: number; clients: number }
  let failures: number

  beforeEach(async () => {
    postgres = await ownPostgres()
    writer = connectPostgres(postgres.url)
    logged = []
    read = { settings: 0, clients: 0 }
    failures = 0
    bulletin = createBulletin({ url: postgres.url, timeoutMs: 1000, log: (event) => logged.push(event) })
    bulletin.follow('settings', async () => {
      read.settings += 1
      if (failures-- > 0) throw new Error('no')
    })
    bulletin.follow('clients', async () => {
      read.clients += 1
    })
    await bulletin.start()
  })
  afterEach(async () => {
    await bulletin.stop()
    await writer.destroy()
    await postgres.discard()
  })

  it('has everything read before it says that it has begun', () => {
    expect(read).to.deep.equal({ settings: 1, clients: 1 })
  })

  it('has only that read again which was announced, once it is committed', async () => {
    const trx = await writer.transaction()
    await announce(trx, 'settings')
    await writer.transaction(async (other) => announce(other, 'clients'))
    await eventually(() => expect(read).to.deep.equal({ settings: 1, clients: 2 }))

    await trx.commit()

    await eventually(() => expect(read).to.deep.equal({ settings: 2, clients: 2 }))
  })

  it('hears nothing of what was taken back', async () => {
    const trx = await writer.transaction()
    await announce(trx, 'settings')
    await trx.rollback()
    await announce(writer, 'clients')

    await eventually(() => expect(read).to.deep.equal({ settings: 1, clients: 2 }))
  })

  it('reads again when a reading has failed', async () => {
    failures = 2

    await announce(writer, 'settings')

    await eventually(() => expect(failures).to.equal(-1))
    expect(logged).to.deep.equal(['bulletin.lost'])
  })

  it('makes up for what was announced while its connection was cut', async () => {
    await postgres.operator.raw(`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'latchkey bulletin'`)

    await eventually(() => expect(read).to.deep.equal({ settings: 2, clients: 2 }))
    await announce(writer, 'settings')
    await eventually(() => expect(read.settings).to.equal(3))
  })

  it('keeps nothing of the news it has had', async () => {
    v8.setFlagsFromString('--expose-gc')
    const collect = vm.runInNewContext('gc') as () => void
    const hear = async (count: number) => {
      for (const end = read.settings + count; read.settings < end;) {
        await announce(writer, 'settings')
        await new Promise(setImmediate)
      }
      collect()
      return process.memoryUsage().heapUsed
    }
    const before = await hear(1000)

    const perReading = ((await hear(5000)) - before) / 5000

    expect(perReading).to.be.lessThan(200)
  })

  it('comes back by itself when the server does, also one that had stopped to answer', async () => {
    postgres.pause()
    await eventually(() => expect(logged).to.deep.equal(['bulletin.lost']), 12_000)
    postgres.resume()

    await eventually(() => expect(read.clients).to.be.greaterThan(1))
    const before = read.settings
    await announce(writer, 'settings')
    await eventually(() => expect(read.settings).to.be.greaterThan(before), 1000)
  }).timeout(20_000)
})
