import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { ApiClient, Tokens } from './client.ts'

export const password = 'correct horse battery staple'

/** An address that nobody else in this run has. */
export function uniqueEmail(): string {
  return `u-${randomUUID()}@example.com`
}

export interface Someone {
  email: string
  password: string
  id: string
  tokens: Tokens
}

/** Somebody new, registered through the public API and signed in. */
export async function aPerson(client: ApiClient, members: Record<string, unknown> = {}): Promise<Someone> {
  const email = uniqueEmail()
  const answer = await client.register({ email, password, ...members })
  expect(answer.status, answer.text).to.equal(201)
  const tokens = answer.body as Tokens
  return { email, password, id: tokens.user.id, tokens }
}

/** A further session of somebody. */
export async function aSession(client: ApiClient, { email, password: theirs }: Someone): Promise<Tokens> {
  const answer = await client.login({ email, password: theirs })
  expect(answer.status, answer.text).to.equal(200)
  return answer.body as Tokens
}
