import argon2 from 'argon2'
import { canonicalPassword } from './rules.ts'

export interface HashCost {
  memoryKib: number
  timeCost: number
  parallelism: number
}

export type Passwords = ReturnType<typeof createPasswords>

/** Hashes and verifies passwords with argon2id; the hash carries its parameters and salt (PHC string). */
export function createPasswords({ memoryKib, timeCost, parallelism }: HashCost) {
  const cost = { type: argon2.argon2id, memoryCost: memoryKib, timeCost, parallelism }
  let nobodys: Promise<string> | undefined

  async function hash(password: string): Promise<string> {
    return argon2.hash(canonicalPassword(password), cost)
  }

  /**
   * Tells whether a password is the one that was hashed.
   *
   * Without a hash it does the same work and says no, so that time does not tell whether there is an account.
   */
  async function verify(passwordHash: string | null, password: string): Promise<boolean> {
    nobodys ??= hash('the password of nobody')
    const right = await argon2.verify(passwordHash ?? (await nobodys), canonicalPassword(password))
    return right && passwordHash !== null
  }

  return { hash, verify }
}
