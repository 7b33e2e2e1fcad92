import type { Accounts } from '../accounts/index.ts'
import type { Session } from '../sessions/index.ts'
import { operator } from './operator.ts'
import { printTable } from './table.ts'

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

/** `sessions revoke-user`: ends all sessions of one person. */
export async function revokeUser(administration: Administration, who: string): Promise<number> {
  const { id } = await administration.find(who)
  const count = await administration.endSessions(id, operator)
  console.log(`${count} ${count === 1 ? 'session' : 'sessions'} ended.`)
  return 0
}

const heading = ['ID', 'USER', 'DEVICE', 'ADDRESS', 'CREATED', 'LAST SEEN', 'ENDS', 'USER AGENT']

export function printSessions(sessions: Session[], json: boolean | undefined): void {
  if (json) for (const session of sessions) console.log(JSON.stringify(asJson(session)))
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
