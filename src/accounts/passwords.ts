import { randomBytes } from 'node:crypto'
import argon2 from 'argon2'
import { createAdmission, type AdmissionBounds, type Onlookers, type Run } from './admission.ts'
import { argon2idCost, matches } from './imported-hashes.ts'
import { canonicalPassword } from './rules.ts'

export interface HashCost {
  memoryKib: number
  timeCost: number
  parallelism: number
}

export type Verify = (passwordHash: string | null, password: string) => Promise<boolean>

export type Passwords = ReturnType<typeof createPasswords>

/**
 * Hashes passwords with argon2id and verifies them; the hash carries its parameters and salt (PHC string).
 *
 * Only so many at once, see {@link createAdmission}; both throw AppError `unavailable` when there are too many.
 */
export function createPasswords(
  { memoryKib, timeCost, parallelism }: HashCost,
  bounds: AdmissionBounds,
  onlookers?: Onlookers,
) {
  const cost = { type: argon2.argon2id, memoryCost: memoryKib, timeCost, parallelism }
  const admit = createAdmission(bounds, onlookers)
  const nobodys = hashOfNothing({ memoryKib, timeCost, parallelism })

  async function hash(password: string): Promise<string> {
    return admit(() => argon2.hash(canonicalPassword(password), cost))
  }

  /**
   * Tells whether a password is the one that was hashed, by us or by the system that the account was imported from.
   *
   * Without a hash it does the same work and says no, so that time does not tell whether there is an account. A password
   * is tried in our form (NFC), and where that is another text, as it was typed: other systems hash it so. Both are
   * tried in any case, or time would tell that the first was right, also where the answer does not (a disabled account).
   * A hash that was cheaper to make is made up for, until a login has replaced it. One of another kind cannot be: whether
   * it takes longer or less time than ours does depend on where it came from.
   */
  async function verify(passwordHash: string | null, password: string, run: Run = admit): Promise<boolean> {
    const missing = passwordHash === null ? 0 : missingPasses(passwordHash)
    return run(async () => {
      let right = false
      for (const form of new Set([canonicalPassword(password), password])) {
        if (await matches(passwordHash ?? nobodys, form)) right = true
        if (missing > 0) await matches(hashOfNothing({ memoryKib, timeCost: missing, parallelism }), form)
      }
      return right && passwordHash !== null
    })
  }

  /** How many passes over today's memory an argon2id hash has spared, rounded; work is memory times passes. */
  function missingPasses(passwordHash: string): number {
    const made = argon2idCost(passwordHash)
    return made === null ? 0 : Math.round(timeCost - (made.memoryKib * made.timeCost) / memoryKib)
  }

  /** Whether a hash should give way to one of today's cost: it is of another kind, or was cheaper to make. */
  function isOutdated(passwordHash: string): boolean {
    const made = argon2idCost(passwordHash)
    return made === null || made.memoryKib * made.timeCost < memoryKib * timeCost
  }

  /** What an account has instead of a hash until somebody chooses its password: to check one costs as much, and fails. */
  function hashOfNobody(): string {
    return hashOfNothing({ memoryKib, timeCost, parallelism })
  }

  /** Leads up to one check, which is to be made by the function that it is given; see {@link createAdmission}. */
  async function beforeVerifying<T>(lead: (verify: Verify) => Promise<T>): Promise<T> {
    return admit.before((run) => lead((passwordHash, password) => verify(passwordHash, password, run)))
  }

  return { hash, hashOfNobody, verify, mustHaveRoom: admit.mustHaveRoom, beforeVerifying, isOutdated, load: admit.load }
}

/** A hash that costs as much to check as another one, and that nobody knows a password for (PHC string). */
function hashOfNothing({ memoryKib, timeCost, parallelism }: HashCost): string {
  const random = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=${parallelism}$${random(16)}$${random(32)}`
}
