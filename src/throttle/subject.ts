import { networkOf } from '../platform/address.ts'
import { digest } from '../platform/digest.ts'

/**
 * Who spends: a person by id, a name under which nobody was found, or a network address.
 *
 * A person is counted by their id, whichever name was typed and however it was spelt.
 */
export type Subject = { userId: string } | { unknownName: string } | { address: string | null }

/**
 * How a subject is called in its key; a name or an address stands there as a digest.
 *
 * Addresses of one IPv6 /64 are one subject, since a single customer usually has all of them (RFC 6177 §2).
 */
export function keyOf(subject: Subject): string {
  if ('userId' in subject) return subject.userId
  if ('unknownName' in subject) return digest(subject.unknownName.toLowerCase())
  return digest(subject.address === null ? 'no address' : networkOf(subject.address))
}
