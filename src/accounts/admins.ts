import { AppError } from '../errors.ts'
import type { Person } from './person.ts'

/** Whether somebody may do what only admins may. */
export function isActiveAdmin(person: Person | null | undefined): boolean {
  return person?.role === 'admin' && !person.disabledAt
}

/**
 * Refuses what would leave nobody to administer.
 *
 * @param held all active admins, locked; others among them make no difference
 * @throws AppError `last-admin`
 */
export function mustNotBeLastAdmin(held: Person[], userId: string): void {
  const admins = held.filter(isActiveAdmin)
  if (admins.length === 1 && admins[0]!.id === userId) throw new AppError('last-admin')
}
