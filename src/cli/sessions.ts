import type { Accounts } from '../accounts/index.ts'
import { AppError } from '../errors.ts'
import type { Session, Sessions } from '../sessions/index.ts'
import { operator } from './operator.ts'
import { readSecret } from './secret.ts'
import { inert, printTable } from './table.ts'

type Administration = Accounts['administration']

/** `sessions list` of one person, newest first */
export async function listSessions(
  administration: Administration,
  who: string,
  { json }: { json?: boolean },
): Promise<number> {
  const { id } = await administration.find(who)
  printSessions(await administration.sessions(id), json)
  return 0
}

/** `sessions show`, by the id, or by a token on standard input; the exit code tells whether it is open. */
export async function showSession(sessions: Sessions, id: string, { json }: { json?: boolean }): Promise<number> {
  if (id !== '-') {
    printSessions([await open(sessions, id)], json)
    return 0
  }
  const located = await sessions.locate((await readSecret('Token: ')).trim())
  if (!located) throw new AppError('not-found')
  const session = await sessions.find(located.userId, located.sessionId)
  if (session) printSessions([session], json)
  else
    console.error(`Session ${located.sessionId} of ${located.userId}: ${await sessions.reasonOf(located.sessionId)}.`)
  return session ? 0 : 1
}

/** `sessions revoke`: ends one session. */
export async function revokeSession(
  { sessions, administration }: { sessions: Sessions; administration: Administration },
  id: string,
): Promise<number> {
  const { userId } = await open(sessions, id)
  await administration.endSession(userId, id, operator)
  console.log('The session has ended.')
  return 0
}

/** An open session by its id. @throws AppError `not-found` */
async function open(sessions: Sessions, id: string): Promise<Session> {
  const session = await sessions.seek(id)
  if (!session) throw new AppError('not-found')
  return session
}

/** `sessions revoke-user`: ends all sessions of one person. */
export async function revokeUser(administration: Administration, who: string): Promise<number> {
  const { id } = await administration.find(who)
  const count = await administration.endSessions(id, operator)
  console.log(`${count} ${count === 1 ? 'session' : 'sessions'} ended.`)
  return 0
}

const heading = ['ID', 'USER', 'DEVICE', 'ADDRESS', 'CREATED', 'LAST SEEN', 'ENDS', 'USER AGENT']

function printSessions(sessions: Session[], json: boolean | undefined): void {
  if (json) for (const session of sessions) console.log(inert(JSON.stringify(asJson(session))))
  else printTable(heading, sessions.map(asRow))
}

const time = (ms: number) => new Date(ms).toISOString()

function asRow({ id, userId, deviceName, client, createdAt, lastSeenAt, idleExpiresAt }: Session): string[] {
  const cells = [id, userId, deviceName, client.address, time(createdAt), time(lastSeenAt), time(idleExpiresAt)]
  return [...cells, client.userAgent].map((cell) => cell ?? '')
}

function asJson(session: Session) {
  return {
    id: session.id,
    user_id: session.userId,
    device_name: session.deviceName,
    ip: session.client.address,
    user_agent: session.client.userAgent,
    created_at: time(session.createdAt),
    last_seen_at: time(session.lastSeenAt),
    idle_expires_at: time(session.idleExpiresAt),
    expires_at: time(session.expiresAt),
  }
}
