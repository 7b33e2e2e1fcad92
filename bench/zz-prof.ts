import fs from 'node:fs'
import path from 'node:path'
import { provide } from '../dev/stores.ts'
import { load } from './load.ts'
import { openSession, openStage } from './stage.ts'
import { cpuSecondsOf } from './cores.ts'
const [target = '/forward-auth', out = '/tmp/prof/p', env = '{}', conns = '64'] = process.argv.slice(2)
const stop = new AbortController()
const stage = await openStage(stop.signal)
try {
  const services = await stage.openServices(stage.redisUrl)
  const wrk = await provide('wrk', { signal: stop.signal })
  fs.rmSync(out, { recursive: true, force: true })
  const tokens = await Promise.all(Array.from({ length: 400 }, async () => (await openSession(services)).pair.accessToken))
  const tokensFile = path.join(stage.dir, 'tokens')
  fs.writeFileSync(tokensFile, `${tokens.join('\n')}\n`)
  const run = async (name: string, extra: Record<string, string>) => {
    const server = await stage.startLatchkey(name, { ...(JSON.parse(env) as object), ...extra })
    await load({ wrk, url: server.url + target, tokensFile, connections: Number(conns), seconds: 3, cores: stage.cores, signal: stop.signal })
    const before = cpuSecondsOf(server.pid)!
    const burst = await load({ wrk, url: server.url + target, tokensFile, connections: Number(conns), seconds: 5, cores: stage.cores, signal: stop.signal })
    const cpu = cpuSecondsOf(server.pid)! - before
    console.log(name, Math.round(burst.perSecond), 'us', ((cpu * 1e6) / (burst.perSecond * 5)).toFixed(1), 'p99', burst.p99Ms)
    await server.stop()
  }
  await run('plain', {})
  if (out !== '-') { fs.mkdirSync(out, { recursive: true }); await run('profiled', { NODE_OPTIONS: '--import=/tmp/prof/hook.mjs', PROF_OUT: out }) }
} finally {
  await stage.close()
}
