import { hash } from 'node:crypto'

/**
 * Digests a token for storage: the first 32 hex characters of SHA-256 of its text.
 *
 * 128 bits are enough for text that is itself random, and an operator can compute it in a shell:
 * `printf %s "$TOKEN" | sha256sum | cut -c1-32`.
 */
export function digest(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}
