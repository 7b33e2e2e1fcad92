/** A token, by the pair that it came with; the text of it is the recorder's. */
export interface Token {
  session: string
  pair: string
  kind: 'access' | 'refresh'
}

/** What a client asked for. */
export type Asked =
  | { what: 'log in'; password: string }
  | { what: 'check'; at: '/v1/me' | '/forward-auth' | '/oauth/introspect'; token: Token }
  | { what: 'refresh'; token: Token }
  | { what: 'log out'; with: 'bearer' | 'body' | '/oauth/revoke'; token: Token }
  | { what: 'log out everywhere'; token: Token }
  | { what: 'revoke'; token: Token; target: string }
  | { what: 'revoke others'; token: Token }
  | { what: 'change password'; token: Token; current: string; next: string }
  | { what: 'reset password'; link: string; next: string }

/** What was done to the Redis beneath all instances, on purpose: not by a client, and of no person. */
export type Harm =
  /** Its content was copied. */
  | { what: 'copy' }
  /** Another Redis took its place, with what was copied last. */
  | { what: 'older copy' }
  | { what: 'flush' }

export type Outcome =
  /** `pair`, `session`: what it returned, where it returns one. `isLive`: what an introspection says. */
  | { kind: 'ok'; pair?: string; session?: string; isReplayed?: boolean; isLive?: boolean }
  | { kind: 'refused'; status: number; code: string; reason?: string }
  /** A 503, a broken connection or no answer in time: it may have happened, wholly, half or not at all. */
  | { kind: 'unknown'; why: string }

/** One call, with when it began and when its answer was there, in milliseconds on one monotonic clock. */
export interface Call {
  id: number
  client: string
  instance: string
  person: string
  start: number
  end: number
  asked: Asked
  outcome: Outcome
}

export interface HarmDone {
  id: number
  start: number
  end: number
  asked: Harm
}

export interface History {
  calls: Call[]
  harms: HarmDone[]
  /** Of each person the password at the beginning. */
  passwords: Record<string, string>
  /** The grace window that the instances are set to. */
  graceMs: number
}
