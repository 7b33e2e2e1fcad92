import { expect } from 'chai'
import fc from 'fast-check'
import { v4, version } from 'uuid'
import { mintSessionId, parsePointer, pointerTo } from '../../src/sessions/keys.ts'
import {
  decodeCard,
  decodeReason,
  decodeSession,
  encodeCard,
  encodeSession,
  encodeTombstone,
  endReasons,
  inForce,
  judgeAccess,
  judgeRefresh,
  lapseOf,
  startOf,
  type Lives,
  type Session,
} from '../../src/sessions/session.ts'
import { lapsedTo, lifeNames, nothingLapsed } from '../../src/settings/lives.ts'
import { digestOfToken, mintPair, packPair, unpackPair } from '../../src/sessions/token.ts'

const time = fc.integer({ min: 0, max: 4_102_444_800_000 })
const digest = fc.stringMatching(/^[0-9a-f]{32}$/)
const digestStart = digest.map(startOf)
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
const session: fc.Arbitrary<Session> = fc.record({
  id: fc.uuid(),
  userId: fc.uuid(),
  epoch: fc.nat(),
  createdAt: time,
  refreshedAt: time,
  lastSeenAt: time,
  idleExpiresAt: time,
  expiresAt: time,
  deviceName: maybe(fc.string()),
  client: fc.record({ address: maybe(fc.ipV6()), userAgent: maybe(fc.string()) }),
  access: fc.record({ digestStart, expiresAt: time }),
  refreshDigest: digest,
  previous: maybe(
    fc.record({
      accessDigestStart: digestStart,
      accessIssuedAt: time,
      accessExpiresAt: time,
      refreshDigestStart: digestStart,
      graceEndsAt: time,
      replay: fc.base64String(),
    }),
  ),
})

const wholeSecondsMs = fc.integer({ min: 0, max: 31_536_000 }).map((life) => life * 1000)
const given = fc.record({
  access: wholeSecondsMs,
  idle: wholeSecondsMs,
  absolute: wholeSecondsMs,
  grace: wholeSecondsMs,
})

/** A session with the ends that it is issued with: of lives in whole seconds, each cut short by the end of what holds it. */
function asIssued(made: Session, lifeMs: { access: number; idle: number; absolute: number; grace: number }): Session {
  const { createdAt, refreshedAt, access, previous } = made
  const expiresAt = createdAt + lifeMs.absolute
  const idleExpiresAt = Math.min(refreshedAt + lifeMs.idle, expiresAt)
  const graceEndsAt = refreshedAt + lifeMs.grace
  return {
    ...made,
    expiresAt,
    idleExpiresAt,
    access: { ...access, expiresAt: Math.min(refreshedAt + lifeMs.access, idleExpiresAt) },
    previous: previous && {
      ...previous,
      accessExpiresAt: Math.min(previous.accessIssuedAt + lifeMs.access, expiresAt, graceEndsAt),
      graceEndsAt,
    },
  }
}

describe('a session as it is stored', () => {
  it('comes back as it was, to the millisecond', () => {
    fc.assert(
      fc.property(session, given, (made, lifeMs) => {
        const stored = asIssued(made, lifeMs)
        expect(decodeSession(stored.userId, stored.id, encodeSession(stored))).to.deep.equal(stored)
      }),
    )
  })

  it('is none when it is damaged', () => {
    const whole = { times: [1, 1, 1], ttl: [1, 1, 1], pair: ['12345678', '12345678'] }
    expect(decodeSession('u', 's', JSON.stringify(whole))).to.not.equal(null)
    const damages: object[] = [
      { epoch: 'none' },
      { epoch: 0.5 },
      ...['times', 'ttl', 'pair'].flatMap((member) =>
        [undefined, null, 1, 'text', {}, [], [1, 1]].map((value) => ({ [member]: value })),
      ),
      { times: [1, 1, 1e300] },
      { times: [1, '1', 1] },
      { ttl: [1, 1, 0.5] },
      { ttl: [1, 1, null] },
      { previous: {} },
    ]
    const damaged = damages.map((damage) => JSON.stringify({ ...whole, ...damage }))
    for (const json of ['', '{', 'null', '[]', '"text"', '{}', '{"times":[1,1,1]}', ...damaged])
      expect(decodeSession('u', 's', json), json).to.equal(null)
  })

  it('keeps the card and the reason of its end likewise', () => {
    const card = { username: null, email: 'ada@example.com', verified: true, role: 'user', updatedAt: 5 }
    expect(decodeCard(encodeCard(card))).to.deep.equal(card)
    for (const damaged of [null, '', '['] as const) expect(decodeCard(damaged)).to.equal(null)
    for (const reason of endReasons) expect(decodeReason(encodeTombstone(reason, 5))).to.equal(reason)
    for (const damaged of [null, '', '{"reason":"made-up"}'] as const) expect(decodeReason(damaged)).to.equal(null)
  })
})

const lifeMs = fc.integer({ min: 0, max: 4_102_444_800_000 })
const lives: fc.Arbitrary<Lives> = fc.record({
  accessMs: lifeMs,
  idleMs: lifeMs,
  absoluteMs: lifeMs,
  graceMs: lifeMs,
  reuseWindowMs: lifeMs,
  perUserMax: fc.nat(),
  accessLapsedTo: time,
  idleLapsedTo: time,
  absoluteLapsedTo: time,
  graceLapsedTo: time,
})
/** Lives so long that only what is stored counts. */
const endless: Lives = {
  accessMs: Infinity,
  idleMs: Infinity,
  absoluteMs: Infinity,
  graceMs: Infinity,
  reuseWindowMs: Infinity,
  perUserMax: 1,
  accessLapsedTo: -1,
  idleLapsedTo: -1,
  absoluteLapsedTo: -1,
  graceLapsedTo: -1,
}

describe('a token of a session', () => {
  it('opens nothing once the session has lapsed, whatever else is stored', () => {
    fc.assert(
      fc.property(session, lives, time, (stored, today, now) => {
        const { expiresAt, idleExpiresAt, access: live } = inForce(stored, today)
        const access = judgeAccess(stored, stored.access.digestStart, today, now)
        const refresh = judgeRefresh(stored, stored.refreshDigest, today, now)
        if (now >= Math.min(expiresAt, idleExpiresAt))
          expect([access.kind, refresh.kind]).to.deep.equal(['dead', 'dead'])
        else {
          expect(access.kind).to.equal(now < live.expiresAt ? 'live' : 'dead')
          expect(refresh.kind).to.equal('live')
        }
      }),
    )
  })

  it('of the pair before counts in its grace window only, and any other is spent', () => {
    fc.assert(
      fc.property(session, digest, (stored, other) => {
        const now = Math.min(stored.expiresAt, stored.idleExpiresAt) - 1
        const { previous } = stored
        const inGrace = previous !== null && now < previous.graceEndsAt
        if (previous)
          expect(judgeRefresh(stored, previous.refreshDigestStart, endless, now).kind).to.equal(
            inGrace ? 'replay' : 'reused',
          )
        expect(judgeRefresh(stored, other, endless, now).kind).to.equal('reused')
        expect(judgeAccess(stored, other, endless, now).kind).to.equal('dead')
      }),
    )
  })
})

describe('a session under lives that have changed since', () => {
  it('ends at the earlier of what is stored and what the lives of today make of it', () => {
    fc.assert(
      fc.property(session, lives, (stored, today) => {
        const { createdAt, refreshedAt } = stored
        const { expiresAt, idleExpiresAt, access, previous } = inForce(stored, today)
        const endOf = (life: 'access' | 'idle' | 'absolute' | 'grace', beganAt: number) =>
          beganAt <= today[`${life}LapsedTo`] ? beganAt : beganAt + today[`${life}Ms`]
        expect(expiresAt).to.equal(Math.min(stored.expiresAt, endOf('absolute', createdAt)))
        expect(idleExpiresAt).to.equal(Math.min(stored.idleExpiresAt, endOf('idle', refreshedAt), expiresAt))
        expect(access.expiresAt).to.equal(
          Math.min(stored.access.expiresAt, endOf('access', refreshedAt), idleExpiresAt),
        )
        expect(previous === null).to.equal(stored.previous === null)
        if (!previous || !stored.previous) return
        const graceEndsAt = Math.min(stored.previous.graceEndsAt, endOf('grace', refreshedAt))
        expect(previous.graceEndsAt).to.equal(graceEndsAt)
        expect(previous.accessExpiresAt).to.equal(
          Math.min(stored.previous.accessExpiresAt, endOf('access', stored.previous.accessIssuedAt), graceEndsAt),
        )
      }),
    )
  })

  it('keeps all else, and is the very object that was stored where nothing is shorter', () => {
    fc.assert(
      fc.property(session, lives, (stored, today) => {
        const now = inForce(stored, today)
        const asStored = {
          ...now,
          expiresAt: stored.expiresAt,
          idleExpiresAt: stored.idleExpiresAt,
          access: { ...now.access, expiresAt: stored.access.expiresAt },
          previous: now.previous && {
            ...now.previous,
            graceEndsAt: stored.previous!.graceEndsAt,
            accessExpiresAt: stored.previous!.accessExpiresAt,
          },
        }
        expect(asStored).to.deep.equal(stored)
        expect(inForce(now, today)).to.equal(now)
        expect(inForce(now, endless)).to.equal(now)
      }),
    )
  })

  it('is judged by that in every way: lapse, access, refresh and retry', () => {
    fc.assert(
      fc.property(session, lives, time, (stored, today, now) => {
        const shown = inForce(stored, today)
        expect(lapseOf(stored, today, now)).to.equal(
          now >= shown.expiresAt ? 'expired' : now >= shown.idleExpiresAt ? 'idle' : null,
        )
        for (const digestOf of [stored.access.digestStart, stored.previous?.accessDigestStart ?? ''])
          expect(judgeAccess(stored, digestOf, today, now)).to.deep.equal(judgeAccess(shown, digestOf, endless, now))
        for (const digestOf of [stored.refreshDigest, stored.previous?.refreshDigestStart ?? ''])
          expect(judgeRefresh(stored, digestOf, today, now)).to.deep.equal(judgeRefresh(shown, digestOf, endless, now))
      }),
    )
  })

  const minute = 60_000
  const stored: Session = {
    id: 'id',
    userId: 'user',
    epoch: 0,
    createdAt: 0,
    refreshedAt: 10 * minute,
    lastSeenAt: 10 * minute,
    idleExpiresAt: 60 * minute,
    expiresAt: 90 * minute,
    deviceName: null,
    client: { address: null, userAgent: null },
    access: { digestStart: 'access', expiresAt: 25 * minute },
    refreshDigest: 'refresh',
    previous: {
      accessDigestStart: 'old at',
      accessIssuedAt: 0,
      accessExpiresAt: 11 * minute,
      refreshDigestStart: 'old rt',
      graceEndsAt: 11 * minute,
      replay: 'sealed',
    },
  }

  it('counts each life from where it began', () => {
    const at = 10.5 * minute
    expect(judgeAccess(stored, 'access', { ...endless, accessMs: minute / 2 }, at).kind).to.equal('dead')
    expect(judgeAccess(stored, 'access', { ...endless, accessMs: minute }, at).kind).to.equal('live')
    expect(judgeAccess(stored, 'old at', { ...endless, accessMs: minute }, at).kind).to.equal('dead')
    expect(judgeAccess(stored, 'old at', { ...endless, graceMs: 0 }, at).kind).to.equal('dead')
    expect(judgeAccess(stored, 'old at', endless, at).kind).to.equal('live')
    expect(judgeRefresh(stored, 'old rt', { ...endless, graceMs: 0 }, at).kind).to.equal('reused')
    expect(judgeRefresh(stored, 'old rt', endless, at).kind).to.equal('replay')
    expect(lapseOf(stored, { ...endless, idleMs: minute / 2 }, at)).to.equal('idle')
    expect(lapseOf(stored, { ...endless, absoluteMs: 10 * minute }, at)).to.equal('expired')
    expect(lapseOf(stored, endless, at)).to.equal(null)
  })
})

describe('a session under lives that change again and again', () => {
  const initial = {
    access_token_ttl_seconds: 5,
    session_idle_ttl_seconds: 8,
    session_absolute_ttl_seconds: 12,
    refresh_grace_seconds: 3,
  }
  const step = fc.record({
    passMs: fc.integer({ min: 0, max: 40 }).map((tenths) => tenths * 100),
    name: fc.constantFrom(...lifeNames),
    seconds: fc.integer({ min: 0, max: 12 }),
  })
  const steps = fc.array(step, { maxLength: 6 })

  /** The time with the lives that hold then. Each step lets time pass, and then changes a life as the settings do. */
  function world() {
    let now = 1_000_000
    let seconds = { ...initial }
    let lapsed = nothingLapsed
    return {
      now: () => now,
      take: (next: { passMs: number; name: (typeof lifeNames)[number]; seconds: number }, look: () => void) => {
        now += next.passMs
        look()
        lapsed = { ...lapsed, [next.name]: lapsedTo(lapsed[next.name], seconds[next.name], now) }
        seconds = { ...seconds, [next.name]: next.seconds }
        look()
      },
      lives: (): Lives => ({
        accessMs: seconds.access_token_ttl_seconds * 1000,
        idleMs: seconds.session_idle_ttl_seconds * 1000,
        absoluteMs: seconds.session_absolute_ttl_seconds * 1000,
        graceMs: seconds.refresh_grace_seconds * 1000,
        reuseWindowMs: 60_000,
        perUserMax: 1,
        accessLapsedTo: lapsed.access_token_ttl_seconds,
        idleLapsedTo: lapsed.session_idle_ttl_seconds,
        absoluteLapsedTo: lapsed.session_absolute_ttl_seconds,
        graceLapsedTo: lapsed.refresh_grace_seconds,
      }),
    }
  }

  /** A session that was opened and refreshed at two times, with the times that the lives of then gave it. */
  function aSession(opened: { at: number; lives: Lives }, refreshed: { at: number; lives: Lives }): Session {
    const expiresAt = opened.at + opened.lives.absoluteMs
    const graceEndsAt = refreshed.at + refreshed.lives.graceMs
    return {
      id: 'id',
      userId: 'user',
      epoch: 0,
      createdAt: opened.at,
      refreshedAt: refreshed.at,
      lastSeenAt: refreshed.at,
      idleExpiresAt: Math.min(refreshed.at + refreshed.lives.idleMs, expiresAt),
      expiresAt,
      deviceName: null,
      client: { address: null, userAgent: null },
      access: { digestStart: 'access', expiresAt: refreshed.at + refreshed.lives.accessMs },
      refreshDigest: 'refresh',
      previous: {
        accessDigestStart: 'old at',
        accessIssuedAt: opened.at,
        accessExpiresAt: Math.min(opened.at + opened.lives.accessMs, graceEndsAt),
        refreshDigestStart: 'old rt',
        graceEndsAt,
        replay: 'sealed',
      },
    }
  }

  it('never leaves dead: what has lapsed once stays so, be it the session, a token or a retry', () => {
    fc.assert(
      fc.property(steps, steps, steps, (before, between, after) => {
        const { now, take, lives: today } = world()
        for (const one of before) take(one, () => undefined)
        const opened = { at: now(), lives: today() }
        for (const one of between) take(one, () => undefined)
        const held = aSession(opened, { at: now(), lives: today() })
        const dead = new Set<string>()
        const look = () => {
          const alive = {
            session: lapseOf(held, today(), now()) === null,
            access: judgeAccess(held, 'access', today(), now()).kind === 'live',
            'old at': judgeAccess(held, 'old at', today(), now()).kind === 'live',
            retry: judgeRefresh(held, 'old rt', today(), now()).kind === 'replay',
          }
          for (const [what, isAlive] of Object.entries(alive))
            if (!isAlive) dead.add(what)
            else expect([...dead], what).to.not.include(what)
        }
        look()
        for (const one of after) take(one, look)
      }),
      { numRuns: 2000 },
    )
  })

  it('goes on where it had not lapsed when the life was put back', () => {
    const { now, take, lives: today } = world()
    const held = aSession({ at: now(), lives: today() }, { at: now(), lives: today() })
    const ignore = () => undefined
    take({ passMs: 1999, name: 'access_token_ttl_seconds', seconds: 2 }, ignore)
    take({ passMs: 0, name: 'access_token_ttl_seconds', seconds: 5 }, ignore)

    expect(inForce(held, today())).to.equal(held)

    take({ passMs: 0, name: 'access_token_ttl_seconds', seconds: 2 }, ignore)
    take({ passMs: 1, name: 'access_token_ttl_seconds', seconds: 5 }, ignore)
    expect(judgeAccess(held, 'access', today(), now()).kind).to.equal('dead')
    expect(lapseOf(held, today(), now())).to.equal(null)
  })
})

describe('a pointer', () => {
  it('says whose session it is, in 44 digits', () => {
    fc.assert(
      fc.property(fc.uuid({ version: 4 }), (userId) => {
        const target = { userId, sessionId: mintSessionId(userId) }
        expect(pointerTo(target)).to.match(/^[0-9a-f]{44}$/)
        expect(parsePointer(pointerTo(target))).to.deep.equal(target)
      }),
    )
  })

  it('is nothing else', () => {
    const [userId, sessionId] = [v4(), v4()]
    for (const text of [null, '', userId, `${userId}/${sessionId}`])
      expect(parsePointer(text), String(text)).to.equal(null)
  })

  it('leads to a session with an id of its own, of the form of any other', () => {
    const userId = v4()
    const ids = Array.from({ length: 1000 }, () => mintSessionId(userId))
    expect(new Set(ids).size).to.equal(1000)
    for (const id of ids) expect(version(id)).to.equal(4)
  })
})

describe('a pair of tokens', () => {
  it('is two different UUIDs of version 4', () => {
    const { pair, accessDigest, refreshDigest } = mintPair()
    const { accessToken, refreshToken } = pair
    for (const token of [accessToken, refreshToken]) {
      expect(token).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(digestOfToken(token)).to.match(/^[0-9a-f]{32}$/)
    }
    expect([accessDigest, refreshDigest]).to.deep.equal([digestOfToken(accessToken), digestOfToken(refreshToken)])
    expect(accessToken).to.not.equal(refreshToken)
  })

  it('survives packing', () => {
    const { pair } = mintPair()
    expect(packPair(pair)).to.have.length(32)
    expect(unpackPair(packPair(pair))).to.deep.equal(pair)
  })

  it('has a digest that a shell computes too: the start of SHA-256', () => {
    expect(digestOfToken('00000000-0000-4000-8000-000000000000')).to.equal('db8055e0e0307d5a016bec4dc338d698')
  })

  it('is nothing else', () => {
    for (const text of ['', 'x', '00000000-0000-1000-8000-000000000000', '00000000-0000-4000-8000-00000000000G'])
      expect(digestOfToken(text), text).to.equal(null)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(digestOfToken(text)).to.equal(null)
      }),
    )
  })
})
