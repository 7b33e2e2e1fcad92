/**
 * Chance of a fault test: FAULT_SEED from the environment, else drawn; the same seed makes the same choices.
 *
 * The seed is printed by the run, so that one that has failed can be had again.
 */
export const seed: number = chosenSeed()

/** A stream of numbers from 0 up to but not including 1 (mulberry32), the same for the same seed and label. */
export function random(label: string): () => number {
  let state = seed
  for (const character of label) state = Math.imul(state ^ character.codePointAt(0)!, 0x9e37_79b1)
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How much is left to chance: all of it in the fault suite by itself, a part of it among all tests (FAULT_EFFORT). */
export const effort = Number(process.env['FAULT_EFFORT'] ?? 1)

/** So many of what is done at random. */
export const some = (count: number) => Math.ceil(count * effort)

function chosenSeed(): number {
  const given = process.env['FAULT_SEED']
  if (given === undefined || given === '') return Math.floor(Math.random() * 1_000_000)
  if (!/^\d{1,9}$/.test(given)) throw new Error('FAULT_SEED must be a whole number')
  return Number(given)
}
