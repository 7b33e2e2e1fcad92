import type { SettingName } from './definitions.ts'

/** The settings that say how long something lives from when it was issued, and that hold for what is open as well. */
export const lifeNames = [
  'access_token_ttl_seconds',
  'session_idle_ttl_seconds',
  'session_absolute_ttl_seconds',
  'refresh_grace_seconds',
] as const satisfies SettingName[]

export type LifeName = (typeof lifeNames)[number]

/** Up to when, in milliseconds since the epoch, whatever was issued has lapsed for good; 0 where no life was changed. */
export type Lapsed = Readonly<Record<LifeName, number>>

export const nothingLapsed: Lapsed = {
  access_token_ttl_seconds: 0,
  session_idle_ttl_seconds: 0,
  session_absolute_ttl_seconds: 0,
  refresh_grace_seconds: 0,
}

export function isLifeName(name: SettingName): name is LifeName {
  return (lifeNames as readonly SettingName[]).includes(name)
}

/**
 * Up to when whatever was issued has lapsed, once a life is no longer what it was: what it had ended stays ended.
 *
 * Right also where the new life is the shorter one; then that ends all of this anyway.
 *
 * @param before the same, of the changes before
 * @param seconds the life that has held until now
 */
export function lapsedTo(before: number, seconds: number, now: number): number {
  return Math.max(before, now - seconds * 1000)
}
