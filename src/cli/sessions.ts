import type { Command } from 'commander'
import type { Accounts } from '../accounts/index.ts'
import { AppError } from '../errors.ts'
import type { Session, Sessions } from '../sessions/index.ts'
import { examples, type Context } from './context.ts'
import { operator } from './operator.ts'
import { readSecret } from './secret.ts'
import { inert, printTable } from './table.ts'
import { whoever } from './users.ts'

type Administration = Accounts['administration']

export function addSessionCommands(program: Command, { withServices }: Context): void {
  const sessions = program.command('sessions').description('the open sessions')

  sessions
    .command('list')
    .description('list the open sessions of one person, newest first')
    .argument('<user>', whoever)
    .option('--json', 'one JSON object a line')
    .addHelpText('after', examples(['sessions list ada@example.com', 'with device, address and times']))
    .action((who: string, options: Parameters<typeof listSessions>[2]) =>
      withServices(({ accounts }) => listSessions(accounts.administration, who, options)),
    )

  sessions
    .command('show')
    .description('show one open session; to find it by its id all of Redis is read')
    .argument('<session>', 'its id, or - for a token on standard input')
    .option('--json', 'as JSON')
    .addHelpText('after', examples(['sessions show - < token.txt', 'whose token this is']))
    .action((id: string, options: Parameters<typeof showSession>[2]) =>
      withServices((services) => showSession(services.sessions, id, options)),
    )

  sessions
    .command('revoke')
    .description('end one session')
    .argument('<session>', 'its id')
    .addHelpText(
      'after',
      examples(['sessions revoke 5b0c7b1e-6d0f-4a5e-9a55-0f6f3c1a2b3d', 'its tokens are dead at once']),
    )
    .action((id: string) =>
      withServices((services) =>
        revokeSession({ sessions: services.sessions, administration: services.accounts.administration }, id),
      ),
    )

  sessions
    .command('revoke-user')
    .description('end all sessions of one person')
    .argument('<user>', whoever)
    .addHelpText('after', examples(['sessions revoke-user ada@example.com', 'says how many there were']))
    .action((who: string) => withServices(({ accounts }) => revokeUser(accounts.administration, who)))
}

/** `sessions list` of one person, newest first */
async function listSessions(
  administration: Administration,
  who: string,
  { json }: { json?: boolean },
): Promise<number> {
  const { id } = await administration.find(who)
  printSessions(await administration.sessions(id), json)
  return 0
}

/** `sessions show`, by the id, or by a token on standard input; the exit code tells whether it is open. */
async function showSession(sessions: Sessions, id: string, { json }: { json?: boolean }): Promise<number> {
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
async function revokeSession(
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
async function revokeUser(administration: Administration, who: string): Promise<number> {
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
