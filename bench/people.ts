/** People with an account and a password, as they come over HTTP. */
import { randomUUID } from 'node:crypto'
import type { Client } from './client.ts'

export const password = 'correct horse battery staple'

export interface Person {
  id: string
  email: string
  accessToken: string
  refreshToken: string
}

export async function register(client: Client): Promise<Person> {
  const email = `bench-${randomUUID()}@example.com`
  const answer = await client.call('POST', '/v1/auth/register', { expect: 201, body: { email, password } })
  const { user, ...pair } = JSON.parse(answer) as { user: { id: string }; access_token: string; refresh_token: string }
  return { id: user.id, email, accessToken: pair.access_token, refreshToken: pair.refresh_token }
}
