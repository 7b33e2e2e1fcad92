import { expect } from 'chai'
import { latchkey } from './command-line.ts'
import type { ApiClient } from './client.ts'
import { aPerson, type Someone } from './people.ts'

/** A new admin, made one by an operator at the command line: nobody is one from the start. */
export async function firstAdmin(client: ApiClient, env: Record<string, string> = {}): Promise<Someone> {
  const someone = await aPerson(client)
  const made = await latchkey(['users', 'role', someone.id, 'admin'], env)
  expect(made.code, made.errors).to.equal(0)
  return someone
}

/** A further admin, made one by an admin. */
export async function anotherAdmin(client: ApiClient, by: Someone): Promise<Someone> {
  const someone = await aPerson(client)
  const path = `/v1/admin/users/${someone.id}`
  const answer = await client.call('PATCH', path, { token: by.tokens.access_token, body: { role: 'admin' } })
  expect(answer.status, answer.text).to.equal(200)
  return someone
}
