import { hash as digestOf, pbkdf2, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import argon2 from 'argon2'
import bcrypt from 'bcrypt'

const pbkdf2Async = promisify(pbkdf2)
const scryptAsync = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
)

/** What an imported hash may ask for; beyond that it is taken for damaged, so that nobody imports a standstill. */
const bounds = {
  argonMemoryKib: 1_048_576,
  argonPasses: 50,
  bcryptCost: 16,
  pbkdf2Rounds: 5_000_000,
  scryptBytes: 2 ** 30,
}

/**
 * Tells whether a password matches a hash of any kind that is known here, by the hash's own prefix.
 *
 * argon2 (PHC), bcrypt, all that Django makes of these two, its `pbkdf2_sha256` and `scrypt`, and scrypt as PHC. bcrypt
 * reads the first 72 bytes only, except where Django takes SHA-256 first; such a hash is replaced at the first login by
 * one of the whole password. Text that is no hash matches nothing.
 */
export async function matches(hash: string, password: string): Promise<boolean> {
  const djangosName = djangosNames.exec(hash)?.[0] ?? ''
  const text = djangosName === 'bcrypt_sha256$' ? digestOf('sha256', password, 'hex') : password
  return matchesPlain(hash.slice(djangosName.length), text)
}

/** What Django writes before a bcrypt or argon2 hash. */
const djangosNames = /^(bcrypt\$|bcrypt_sha256\$)(?=\$2)|^argon2(?=\$argon2)/

async function matchesPlain(hash: string, password: string): Promise<boolean> {
  try {
    if (hash.startsWith('$argon2')) return isBearable(hash) && (await argon2.verify(hash, password))
    if (/^\$2[aby]\$/.test(hash))
      return (
        Number(hash.slice(4, 6)) <= bounds.bcryptCost && (await bcrypt.compare(password, hash.replace(/^\$2y/, '$2b')))
      )
    return await matchesDerived(hash, password)
  } catch {
    return false
  }
}

interface Kind {
  /** Whole, with salt and key as long as they are at least. */
  form: RegExp
  /** Whether what it asks for can be computed, and is within bounds. */
  isBearable: (...numbers: number[]) => boolean
}

const within = (number: number, min: number, max: number) => number >= min && number <= max
const isBearableScrypt = (cost: number, r: number, p: number) =>
  Number.isInteger(Math.log2(cost)) && cost > 1 && r >= 1 && p >= 1 && 128 * cost * r * p <= bounds.scryptBytes

/** What {@link matches} understands; the numbers are what the groups hold. */
const kinds: Kind[] = [
  {
    form: /^(?:argon2)?\$argon2(?:id|i|d)(?:\$v=\d{2})?\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,3})\$[\w+/]{11,}\$[\w+/]{22,}$/,
    isBearable: (memoryKib, passes, lanes) =>
      lanes >= 1 && within(memoryKib, 8 * lanes, bounds.argonMemoryKib) && within(passes, 1, bounds.argonPasses),
  },
  {
    form: /^(?:bcrypt\$|bcrypt_sha256\$)?\$2[aby]\$(\d\d)\$[./\dA-Za-z]{53}$/,
    isBearable: (cost) => within(cost, 4, bounds.bcryptCost),
  },
  {
    form: /^pbkdf2_sha256\$(\d{1,9})\$[^$]+\$[\w+/]{22,}={0,2}$/,
    isBearable: (rounds) => within(rounds, 1, bounds.pbkdf2Rounds),
  },
  {
    form: /^scrypt\$(\d{1,12})\$[^$]+\$(\d{1,9})\$(\d{1,9})\$[\w+/]{22,}={0,2}$/,
    isBearable: (cost, r, p) => isBearableScrypt(cost, r, p),
  },
  {
    form: /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,9}),p=(\d{1,9})\$[\w+/]+\$[\w+/]{22,}$/,
    isBearable: (logCost, r, p) => isBearableScrypt(2 ** logCost, r, p),
  },
]

const hashMaxLength = 1024

/** Why a hash cannot be taken over, or null when somebody may log in with its password. Tries no password. */
export function faultOfHash(hash: string): string | null {
  for (const { form, isBearable: canBeComputed } of kinds) {
    const numbers = hash.length <= hashMaxLength && form.exec(hash)?.slice(1).map(Number)
    if (numbers) return canBeComputed(...numbers) ? null : 'asks for more work than a login is given, or for none'
  }
  return 'must be a whole hash of argon2, bcrypt, scrypt or pbkdf2_sha256, as PHC or Django write it; never a password'
}

/** The cost of an argon2id hash, or null for a hash of another kind. */
export function argon2idCost(hash: string): { memoryKib: number; timeCost: number } | null {
  const [, memoryKib, timeCost] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(hash) ?? []
  return memoryKib && timeCost ? { memoryKib: Number(memoryKib), timeCost: Number(timeCost) } : null
}

function isBearable(hash: string): boolean {
  const [, memoryKib, passes] = /m=(\d+),t=(\d+),/.exec(hash) ?? []
  return Number(memoryKib) <= bounds.argonMemoryKib && Number(passes) <= bounds.argonPasses
}

/** The kinds that are a key derived from the password, compared byte for byte. */
async function matchesDerived(hash: string, password: string): Promise<boolean> {
  const django = /^pbkdf2_sha256\$(\d+)\$([^$]+)\$([\w+/]+=*)$/.exec(hash)
  if (django) {
    const [, rounds, salt, key] = django as unknown as string[]
    if (Number(rounds) > bounds.pbkdf2Rounds) return false
    const expected = Buffer.from(key!, 'base64')
    return equal(expected, await pbkdf2Async(password, salt!, Number(rounds), expected.length, 'sha256'))
  }
  const djangoScrypt = /^scrypt\$(\d+)\$([^$]+)\$(\d+)\$(\d+)\$([\w+/]+=*)$/.exec(hash)
  if (djangoScrypt) {
    const [, cost, salt, r, p, key] = djangoScrypt as unknown as string[]
    return matchesScrypt(password, Buffer.from(salt!), Number(cost), Number(r), Number(p), key!)
  }
  const phc = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash)
  if (!phc) return false
  const [, logCost, r, p, salt, key] = phc as unknown as string[]
  return matchesScrypt(password, Buffer.from(salt!, 'base64'), 2 ** Number(logCost), Number(r), Number(p), key!)
}

async function matchesScrypt(
  password: string,
  salt: Buffer,
  cost: number,
  r: number,
  p: number,
  key: string,
): Promise<boolean> {
  const memoryBytes = 128 * cost * r * p
  if (memoryBytes > bounds.scryptBytes) return false
  const expected = Buffer.from(key, 'base64')
  const options = { N: cost, r, p, maxmem: 2 * memoryBytes + 2 ** 20 }
  return equal(expected, await scryptAsync(password, salt, expected.length, options))
}

function equal(expected: Buffer, derived: Buffer): boolean {
  return expected.length >= 16 && timingSafeEqual(expected, derived)
}
