import type { z } from 'zod'
import type { Person, SignedIn } from '../accounts/index.ts'
import type { ServiceClient } from '../clients/index.ts'
import type { AuditRecord } from '../audit/index.ts'
import type { SettingRecord } from '../settings/index.ts'
import type { Session } from '../sessions/index.ts'
import type * as schemas from './schemas.ts'

/** How people and sessions look on the wire. */

const time = (ms: number) => new Date(ms).toISOString()

export function userView(person: Person): z.input<typeof schemas.User> {
  return {
    id: person.id,
    email: person.email,
    email_verified: person.emailVerifiedAt !== null,
    pending_email: person.pendingEmail,
    sign_in_notices: person.signInNotices,
    username: person.username,
    name: person.name,
    role: person.role,
    created_at: person.createdAt.toISOString(),
    updated_at: person.updatedAt.toISOString(),
  }
}

/** What admins see of somebody. */
export function userForAdmins(person: Person): z.input<typeof schemas.UserForAdmins> {
  return { ...userView(person), disabled_at: person.disabledAt?.toISOString() ?? null }
}

export function sessionView(session: Session, currentId: string): z.input<typeof schemas.Session> {
  return {
    id: session.id,
    current: session.id === currentId,
    device_name: session.deviceName,
    ip: session.client.address,
    user_agent: session.client.userAgent,
    created_at: time(session.createdAt),
    last_seen_at: time(session.lastSeenAt),
    idle_expires_at: time(session.idleExpiresAt),
    expires_at: time(session.expiresAt),
  }
}

function happeningView({ id, at, event, sessionId, detail }: AuditRecord) {
  return { id, at: at.toISOString(), event, session_id: sessionId, detail }
}

export function serviceClientView({
  id,
  name,
  createdAt,
  createdBy,
  lastUsedAt,
  revokedAt,
}: ServiceClient): z.input<typeof schemas.ServiceClient> {
  return {
    id,
    name,
    created_at: createdAt.toISOString(),
    created_by: createdBy,
    last_used_at: lastUsedAt?.toISOString() ?? null,
    revoked_at: revokedAt?.toISOString() ?? null,
  }
}

export function settingView({
  startValue,
  changedAt,
  changedBy,
  ...setting
}: SettingRecord): z.input<typeof schemas.Setting> {
  return {
    ...setting,
    start_value: startValue,
    changed_at: changedAt?.toISOString() ?? null,
    changed_by: changedBy,
  }
}

export function auditView(record: AuditRecord): z.input<typeof schemas.AuditEvent> {
  const { kind, id, address, userAgent } = record.actor
  return {
    ...happeningView(record),
    user_id: record.userId,
    actor: { kind, id, ip: address, user_agent: userAgent },
  }
}

/** An event as the person it is about is told of it. */
export function activityView(record: AuditRecord, userId: string): z.input<typeof schemas.Activity> {
  const { kind, id, address, userAgent } = record.actor
  const by = id === userId || kind === 'person' ? 'you' : kind
  const isShown = by === 'you' || by === 'stranger'
  return {
    ...happeningView(record),
    by,
    ip: isShown ? address : null,
    user_agent: isShown ? userAgent : null,
  }
}

/** The token response (RFC 6749 §5.1); lives are whole seconds from now. */
export function tokenView({ person, session, pair }: SignedIn, now: number): z.input<typeof schemas.TokenResponse> {
  const secondsUntil = (at: number) => Math.max(0, Math.round((at - now) / 1000))
  return {
    access_token: pair.accessToken,
    token_type: 'Bearer',
    expires_in: secondsUntil(session.access.expiresAt),
    refresh_token: pair.refreshToken,
    refresh_expires_in: secondsUntil(session.idleExpiresAt),
    session: sessionView(session, session.id),
    user: userView(person),
  }
}
