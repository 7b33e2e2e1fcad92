import type { Card } from '../sessions/index.ts'

/** Somebody with an account, as PostgreSQL knows them. */
export interface Person {
  id: string
  email: string
  emailVerifiedAt: Date | null
  username: string | null
  name: string | null
  passwordHash: string
  role: 'user' | 'admin'
  disabledAt: Date | null
  /** The address they want to have, until it is confirmed. */
  pendingEmail: string | null
  /** Whether they want a mail when somebody signs in from a device that is new for them. */
  signInNotices: boolean
  /** Moves whenever all sessions end at once; a session opened under another epoch is dead. */
  sessionEpoch: number
  createdAt: Date
  updatedAt: Date
}

/** What gateways are told of a person; lies beside the sessions in Redis. */
export function cardOf(person: Person): Card {
  return {
    username: person.username,
    email: person.email,
    verified: person.emailVerifiedAt !== null,
    role: person.role,
    updatedAt: person.updatedAt.getTime(),
  }
}
