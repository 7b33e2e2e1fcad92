/** What else a session goes through: login, refresh, logout and logout-all, over HTTP and one after the other. */
import { progress } from '../dev/process.ts'
import { createClient, timeInLanes, timeOnce, timingOf, type Client, type Timing } from './client.ts'
import { inLanes } from './lanes.ts'
import { password, register, type Person } from './people.ts'
import { openSession, pin, unpin, type LocalServices, type Server, type Stage } from './stage.ts'
import { measureWrites, type WriteFigures } from './writes.ts'

export interface OperationFigures {
  operations: ({ name: string } & Timing)[]
  /** The medians of the two. */
  logoutAllToLogout: number
  writes: WriteFigures
}

const peopleCount = 64
const loginLanes = 8
const refreshLanes = 16
const logoutAllCount = 60
/** All that an account may have at once. */
const logoutAllSessions = 50
/** Between two logout-alls, so that both meet the same machine. */
const logoutsBetween = 5

/** Measures the operations of one Latchkey process, which may use every core for it, as in production. */
export async function measureOperations(
  stage: Stage,
  services: LocalServices,
  { fixed, latchkey }: { fixed: Server; latchkey: Server },
  load: { connections: number; rounds: number; seconds: number },
): Promise<OperationFigures> {
  const { cores, signal } = stage
  for (const { pid } of [fixed, latchkey]) await unpin(pid, cores)
  const client = createClient(latchkey.url)
  const bare = createClient(fixed.url)
  try {
    progress('operations: the client itself')
    const ask = () => bare.call('GET', '/', { expect: 200 })
    await timeInLanes(1, signal, ask) // warms up
    const ours = [await timeInLanes(1, signal, ask), await timeInLanes(refreshLanes, signal, ask)]

    progress(`operations: registering ${peopleCount + logoutAllCount} people`)
    const people = await inLanes(peopleCount + logoutAllCount, loginLanes, () => register(client))
    const regulars = people.slice(0, peopleCount)
    const leavers = people.slice(peopleCount)

    progress('operations: login')
    let turn = 0
    const logIn = () => {
      const { email } = regulars[turn++ % regulars.length]!
      return client.call('POST', '/v1/auth/login', { expect: 200, body: { email, password } })
    }
    const logins = [await timeInLanes(1, signal, logIn), await timeInLanes(loginLanes, signal, logIn)]

    progress('operations: refresh')
    const refresh = async (lane: number) => {
      const person = regulars[lane]!
      const body = { refresh_token: person.refreshToken }
      const answer = await client.call('POST', '/v1/auth/refresh', { expect: 200, body })
      person.refreshToken = (JSON.parse(answer) as { refresh_token: string }).refresh_token
    }
    const refreshes = [await timeInLanes(1, signal, refresh), await timeInLanes(refreshLanes, signal, refresh)]

    progress('operations: logout and logout-all')
    const { logouts, logoutAlls } = await timeEndings({ client, services, leavers, regulars, signal })
    await unpin(stage.redisPid, cores)
    const writes = await measureWrites(stage, services, latchkey, { people: regulars, ...load })
    return {
      operations: [
        ...named('login', logins),
        ...named('refresh', refreshes),
        ...named('logout', [logouts]),
        ...named(`logout-all of ${logoutAllSessions} sessions`, [logoutAlls]),
        ...named('the client itself, against (a)', ours),
      ],
      logoutAllToLogout: logoutAlls.p50Ms / logouts.p50Ms,
      writes,
    }
  } finally {
    if (cores) await pin(stage.redisPid, cores.rest)
    client.close()
    bare.close()
  }
}

function named(name: string, timings: Timing[]) {
  return timings.map((timing) => ({ name, ...timing }))
}

/** Ends sessions that were opened without HTTP, as the logins for them would take minutes. */
async function timeEndings({
  client,
  services,
  leavers,
  regulars,
  signal,
}: {
  client: Client
  services: LocalServices
  leavers: Person[]
  regulars: Person[]
  signal: AbortSignal
}): Promise<{ logouts: Timing; logoutAlls: Timing }> {
  const logoutsMs: number[] = []
  const logoutAllsMs: number[] = []
  for (const [i, leaver] of leavers.entries()) {
    signal.throwIfAborted()
    for (let n = 0; n < logoutsBetween; n++) {
      const { pair } = await openSession(services, regulars[(i + n) % regulars.length]!.id)
      const call = { expect: 204, token: pair.accessToken }
      logoutsMs.push(await timeOnce(() => client.call('POST', '/v1/auth/logout', call)))
    }
    const { pair } = (await inLanes(logoutAllSessions - 1, 1, () => openSession(services, leaver.id)))[0]!
    let answer = ''
    const call = { expect: 200, token: pair.accessToken }
    logoutAllsMs.push(
      await timeOnce(async () => {
        answer = await client.call('POST', '/v1/auth/logout-all', call)
      }),
    )
    const { revoked } = JSON.parse(answer) as { revoked: number }
    if (revoked !== logoutAllSessions) throw new Error(`logout-all ended ${revoked} sessions, not ${logoutAllSessions}`)
  }
  return { logouts: timingOf(logoutsMs), logoutAlls: timingOf(logoutAllsMs) }
}
