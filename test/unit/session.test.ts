import { expect } from 'chai'
import fc from 'fast-check'
import {
  decodeCard,
  decodeReason,
  decodeSession,
  encodeCard,
  encodeSession,
  encodeTombstone,
  endReasons,
  judgeAccess,
  judgeRefresh,
  type Session,
} from '../../src/sessions/session.ts'
import { digestOfToken, mintPair, packPair, unpackPair } from '../../src/sessions/token.ts'

const time = fc.integer({ min: 0, max: 4_102_444_800_000 })
const digest = fc.stringMatching(/^[0-9a-f]{32}$/)
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
  access: fc.record({ digest, expiresAt: time }),
  refreshDigest: digest,
  previous: maybe(
    fc.record({
      accessDigest: digest,
      accessIssuedAt: time,
      accessExpiresAt: time,
      refreshDigest: digest,
      graceEndsAt: time,
      replay: fc.base64String(),
    }),
  ),
})

describe('a session as it is stored', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(session, (stored) => {
        expect(decodeSession(stored.userId, stored.id, encodeSession(stored))).to.deep.equal(stored)
      }),
    )
  })

  it('is none when it is damaged', () => {
    for (const json of ['', '{', 'null', '[]', '"text"', '{}', '{"expires_at":1}'])
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

describe('a token of a session', () => {
  it('opens nothing once the session has lapsed, whatever else is stored', () => {
    fc.assert(
      fc.property(session, time, (stored, now) => {
        const end = Math.min(stored.expiresAt, stored.idleExpiresAt)
        const access = judgeAccess(stored, stored.access.digest, now)
        const refresh = judgeRefresh(stored, stored.refreshDigest, now)
        if (now >= end) expect([access.kind, refresh.kind]).to.deep.equal(['dead', 'dead'])
        else {
          expect(access.kind).to.equal(now < stored.access.expiresAt ? 'live' : 'dead')
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
          expect(judgeRefresh(stored, previous.refreshDigest, now).kind).to.equal(inGrace ? 'replay' : 'reused')
        expect(judgeRefresh(stored, other, now).kind).to.equal('reused')
        expect(judgeAccess(stored, other, now).kind).to.equal('dead')
      }),
    )
  })
})

describe('a pair of tokens', () => {
  it('is two different UUIDs of version 4', () => {
    const { accessToken, refreshToken } = mintPair()
    for (const token of [accessToken, refreshToken]) {
      expect(token).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(digestOfToken(token)).to.match(/^[0-9a-f]{32}$/)
    }
    expect(accessToken).to.not.equal(refreshToken)
  })

  it('survives packing', () => {
    const pair = mintPair()
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
