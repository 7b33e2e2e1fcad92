import { stringify, v4 } from 'uuid'
import { digest } from '../platform/digest.ts'

export interface TokenPair {
  accessToken: string
  refreshToken: string
}

/** A new pair, and the digests under which it is stored. */
export interface Minted {
  pair: TokenPair
  accessDigest: string
  refreshDigest: string
}

/**
 * Mints a pair of tokens: UUIDs of version 4, 122 random bits each from the system's generator.
 *
 * The form of a token is decided in this file and nowhere else.
 */
export function mintPair(): Minted {
  const pair = { accessToken: v4(), refreshToken: v4() }
  return { pair, accessDigest: digest(pair.accessToken), refreshDigest: digest(pair.refreshToken) }
}

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The digest under which a token is stored, or null for text that no mint of ours has made. */
export function digestOfToken(text: string): string | null {
  return form.test(text) ? digest(text) : null
}

/** A pair as 32 bytes, for sealing. */
export function packPair({ accessToken, refreshToken }: TokenPair): Buffer {
  return Buffer.from((accessToken + refreshToken).replaceAll('-', ''), 'hex')
}

export function unpackPair(bytes: Buffer): TokenPair {
  return { accessToken: stringify(bytes), refreshToken: stringify(bytes, 16) }
}
