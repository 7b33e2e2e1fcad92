/** Fills a Redis with sessions faster than Latchkey's own door can open them, and exactly as the door leaves them. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { progress } from '../dev/process.ts'
import { createKeys, mintSessionId, pointerTo } from '../src/sessions/keys.ts'
import { encodeCard, encodeSession, startOf, type Session } from '../src/sessions/session.ts'
import { digestOfToken, mintPair, type TokenPair } from '../src/sessions/token.ts'
import { cardOf, openSession, type LocalServices, type Stage } from './stage.ts'

export interface Filling {
  sessionCount: number
  sessionsPerUser: number
  /** How many access tokens to give back, evenly from first to last. */
  tokenCount: number
}

const keys = createKeys('latchkey:')
const batchSessions = 500
const batchesUnderWay = 4
/** No check is to note that a session was used: that is a write once a minute for each, and not what is compared. */
const seenAheadMs = 3_600_000

/**
 * Writes sessions straight into an empty Redis, by pipelined commands; the first is opened by the door, and the others
 * are made after it: its times, its lengths, the same keys, encoders and lives.
 *
 * @throws Error when what this writes is not what the door has written
 */
export async function fillSessions(
  stage: Stage,
  services: LocalServices,
  url: string,
  { sessionCount, sessionsPerUser, tokenCount }: Filling,
): Promise<string[]> {
  const { session: model, pair: modelsPair } = await openSession(services)
  const written = entriesOf(model, modelsPair)
  const lives = await mustBeTheSame(stage, url, written)
  const pipe = await openPipe(url)
  const tokens: string[] = []
  let userId = ''
  try {
    for (let i = 0; i < sessionCount; i++) {
      if (i % sessionsPerUser === 0) userId = randomUUID()
      const { pair, accessDigest, refreshDigest } = mintPair()
      const { access, refresh, set, field, json, card, pointer } = entriesOf(
        {
          ...model,
          id: mintSessionId(userId),
          userId,
          lastSeenAt: model.lastSeenAt + seenAheadMs,
          access: { ...model.access, digestStart: startOf(accessDigest) },
          refreshDigest,
        },
        pair,
      )
      pipe.add(
        ['SET', access, pointer, 'PX', lives.access],
        ['SET', refresh, pointer, 'PX', lives.refresh],
        ['HSET', set, field, json, 'user', card],
        ['PEXPIRE', set, lives.set],
      )
      if (i % Math.max(1, Math.floor(sessionCount / tokenCount)) === 0) tokens.push(pair.accessToken)
      if ((i + 1) % batchSessions === 0) {
        stage.signal.throwIfAborted()
        await pipe.flush()
      }
      if ((i + 1) % 1_000_000 === 0) progress(`scale: ${(i + 1) / 1e6} of ${sessionCount / 1e6} million sessions`)
    }
    await pipe.flush()
    await pipe.settled()
  } finally {
    pipe.close()
  }
  return tokens
}

/** All that is in Redis of a session. */
function entriesOf(session: Session, pair: TokenPair) {
  return {
    access: keys.access(digestOfToken(pair.accessToken)!),
    refresh: keys.refresh(digestOfToken(pair.refreshToken)!),
    pointer: pointerTo({ userId: session.userId, sessionId: session.id }),
    set: keys.sessions(session.userId),
    field: session.id,
    json: encodeSession(session),
    card: encodeCard(cardOf(session.userId)),
  }
}

/** Compares with what the door has written, and gives the lives of its keys in milliseconds. */
async function mustBeTheSame(
  { connectRedis }: Stage,
  url: string,
  { access, refresh, pointer, set, field, json, card }: ReturnType<typeof entriesOf>,
) {
  const redis = connectRedis(url)
  assert.deepEqual(await redis.mget(access, refresh), [pointer, pointer])
  assert.deepEqual({ ...(await redis.hgetall(set)) }, { [field]: json, user: card })
  const lifeOf = async (key: string) => String(await redis.pttl(key))
  return { access: await lifeOf(access), refresh: await lifeOf(refresh), set: await lifeOf(set) }
}

/** A connection that is written to without waiting for each answer; every answer must be one line that is no error. */
async function openPipe(url: string) {
  const { hostname, port } = new URL(url)
  const socket = net.connect(Number(port), hostname)
  await once(socket, 'connect')
  const pipe = { sent: 0, answered: 0, fault: null as Error | null, wake: () => undefined as void }
  let text = ''
  let queued = 0
  socket.setNoDelay().setEncoding('latin1')
  socket.on('data', (answers: string) => {
    if (answers.includes('-')) pipe.fault = new Error(`Redis refused to be filled: ${answers.slice(0, 200)}`)
    pipe.answered += answers.split('\n').length - 1
    pipe.wake()
  })
  socket.on('error', (error) => (pipe.fault = error))
  socket.on('close', () => {
    pipe.fault ??= new Error('Redis closed the connection that fills it')
    pipe.wake()
  })

  /** Waits until no more than so many answers are missing. */
  async function untilMissing(count: number): Promise<void> {
    while (pipe.sent - pipe.answered > count && !pipe.fault)
      await new Promise<void>((resolve) => {
        pipe.wake = resolve
      })
    if (pipe.fault) throw pipe.fault
  }

  return {
    add(...commands: string[][]): void {
      for (const words of commands) {
        text += `*${words.length}\r\n`
        for (const word of words) text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`
      }
      queued += commands.length
    },
    /** Sends what was added, and waits while too much is under way. */
    async flush(): Promise<void> {
      socket.write(text)
      pipe.sent += queued
      const batch = queued
      ;[text, queued] = ['', 0]
      await untilMissing(batch * batchesUnderWay)
    },
    settled: () => untilMissing(0),
    close: () => socket.destroy(),
  }
}
