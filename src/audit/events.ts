/** Every event that is kept, and what it says to whoever reads the audit. The README's table is compared with this. */
export const auditEvents = {
  'account.registered': 'An account was registered.',
  'account.created': 'An admin or operator created the account.',
  'account.imported': 'The account came from another system.',
  'account.changed': 'Username, name or notices were changed; `members` names which.',
  'account.deleted': 'The account was deleted.',
  'account.disabled': 'The account was disabled; all its sessions ended.',
  'account.enabled': 'The account was enabled again.',
  'role.changed': 'The role was changed, `from` one `to` another.',
  'login.succeeded': 'A session was opened with the password.',
  'login.failed': 'A login was refused; `reason` tells why, which the caller was not told.',
  'password.proof_failed': 'A wrong password was given where an open session had to prove it.',
  'limit.reached': 'A limit was used up until its window ends; `reason` names the rule.',
  'session.refresh_reused': 'A spent refresh token was used again: somebody else may hold it. The session was ended.',
  'session.ended': 'One session ended; `reason` tells why.',
  'sessions.ended': 'Several sessions ended at once; `count` and `reason`.',
  'password.reset_requested': 'A link to reset the password was asked for.',
  'password.changed': 'The password was changed; the other sessions ended.',
  'password.reset': 'The password was reset with a link from a mail; all sessions ended.',
  'email.change_requested': 'A new e-mail address was named; it has to be confirmed.',
  'email.verified': 'The e-mail address was confirmed.',
  'email.changed': 'A new e-mail address took the place of the old one.',
  'admin.viewed': 'An admin looked, and changed nothing; `what` names the endpoint.',
  'admin.refused':
    'A request for admins was refused: `what` names the endpoint, `reason` is the code of the answer. With `forbidden` it is about whoever asked, and `user` is whom they asked about.',
  'setting.changed': 'The runtime setting `name` was changed, `from` one value `to` another; null: the start value.',
  'client.created': 'Credentials for a service were created; `client` is their id, `name` their name.',
  'client.revoked': 'The credentials of a service were revoked; `client` is their id.',
} as const satisfies Record<string, string>

export type AuditEventName = keyof typeof auditEvents

/**
 * Who made an event happen. `person`: the owner of the account, who has shown a session, a password or a link. `stranger`:
 * somebody who has shown nothing that was right. `admin`: a person with that role, over HTTP. `operator`: somebody at the
 * command line. `service`: nobody, by the service's own rules.
 */
export const actorKinds = ['person', 'stranger', 'admin', 'operator', 'service'] as const

export type ActorKind = (typeof actorKinds)[number]

export interface Actor {
  kind: ActorKind
  /** Their account, where it is known. */
  id: string | null
  address: string | null
  userAgent: string | null
}

/** What happened. Ids, counts and codes; no token, password, e-mail address or name of a person. */
export interface AuditEntry {
  event: AuditEventName
  actor: Actor
  /** Whose account it is about. */
  userId?: string | null
  sessionId?: string | null
  detail?: Readonly<Record<string, string | number | boolean | null | readonly string[]>>
}

export interface AuditRecord extends AuditEntry {
  id: string
  at: Date
  userId: string | null
  sessionId: string | null
  detail: Readonly<Record<string, string | number | boolean | null | readonly string[]>>
}
