import { createCipheriv, createDecipheriv, createHmac, randomFillSync } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

/**
 * Seals bytes so that only a holder of the secret can read them, as base64 of nonce, tag and ciphertext.
 *
 * AES-256-GCM under a key derived from the secret by HKDF-SHA256 (RFC 5869). `context` goes into the derivation and is
 * authenticated as well, so that a sealed text moved to another place does not open there.
 */
export function seal(plain: Buffer, secret: string, context: string): string {
  const nonce = freshNonce()
  const cipher = createCipheriv('aes-256-gcm', deriveKey(secret, context), nonce)
  cipher.setAAD(Buffer.from(context))
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]).toString('base64')
}

/** Opens what {@link seal} sealed; null when the secret, the context or the sealed text is not the one. */
export function unseal(sealed: string, secret: string, context: string): Buffer | null {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < nonceBytes + tagBytes) return null
  const decipher = createDecipheriv('aes-256-gcm', deriveKey(secret, context), bytes.subarray(0, nonceBytes))
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()])
  } catch {
    return null
  }
}

/** Random bytes for many nonces: the generator takes about as long for one of them (figures: bench/README.md). */
const nonces = Buffer.alloc(128 * nonceBytes)
let noncesLeftBytes = 0

/** Twelve bytes that were never given out, to be used before the next are asked for. */
function freshNonce(): Buffer {
  if (noncesLeftBytes === 0) noncesLeftBytes = randomFillSync(nonces).length
  noncesLeftBytes -= nonceBytes
  return nonces.subarray(noncesLeftBytes, noncesLeftBytes + nonceBytes)
}

/**
 * HKDF-SHA256 without a salt, for a key as long as the hash: extract, and the one block of expand (RFC 5869 §2.2, §2.3).
 *
 * Node's `hkdfSync` says the same and takes four times as long, as it makes a key object and a job each time; a refresh
 * comes here once (figures: bench/README.md).
 */
function deriveKey(secret: string, context: string): Buffer {
  const extracted = createHmac('sha256', noSalt).update(secret).digest()
  return createHmac('sha256', extracted).update(`${context}\x01`).digest()
}

const noSalt = Buffer.alloc(32)
