import { AppError } from '../../errors.ts'
import { isReady, type Readiness } from '../../platform/readiness.ts'
import { describeApi } from '../openapi.ts'
import { defineRoute, reply, type Route } from '../route.ts'
import * as schemas from '../schemas.ts'

export const greet = defineRoute({
  method: 'get',
  path: '/v1/protected',
  summary: 'Greet the caller: the example of a protected route',
  auth: 'bearer',
  replies: { 200: schemas.Greeting },
  problems: [],
  async handle({ caller: { card, userId, sessionId } }) {
    const name = card?.username ?? card?.email ?? 'you'
    return reply(200, {
      message: `Hello, ${name}. Your access token is live.`,
      user_id: userId,
      session_id: sessionId,
    })
  },
})

export const live = defineRoute({
  method: 'get',
  path: '/health/live',
  summary: 'Say that the process answers; asks no store',
  auth: 'none',
  replies: { 200: schemas.Live },
  needsNoStore: true,
  problems: [],
  handle: async () => sayLive(),
})

export const ready = defineRoute({
  method: 'get',
  path: '/health/ready',
  summary: 'Say whether Redis, PostgreSQL and the migrations are there',
  auth: 'none',
  replies: { 200: schemas.Ready },
  problems: [],
  handle: (_request, { readiness }) => sayReady(readiness),
})

export const sayLive = () => reply(200, { status: 'live' })

/** @throws AppError `unavailable` with what is missing */
export async function sayReady(readiness: Readiness) {
  const checks = await readiness()
  if (!isReady(checks)) throw new AppError('unavailable', { checks: { ...checks } })
  return reply(200, { status: 'ready', checks })
}

/** @param routes all there are, by their names; asked when they are all declared */
export function describeItself(routes: () => Readonly<Record<string, Route>>): Route {
  /** By where the service is reached: one process may hold several. */
  const descriptions = new Map<string, { openapi: '3.1.0' }>()
  return defineRoute({
    method: 'get',
    path: '/openapi.json',
    summary: 'Describe the API in OpenAPI 3.1',
    auth: 'none',
    replies: { 200: schemas.Description },
    needsNoStore: true,
    problems: [],
    async handle(_request, { version, publicUrl }) {
      const description = descriptions.get(publicUrl) ?? describeApi(routes(), { version, publicUrl })
      descriptions.set(publicUrl, description)
      return reply(200, description)
    },
  })
}

export const showVersion = defineRoute({
  method: 'get',
  path: '/version',
  summary: 'Say which version of the service this is',
  auth: 'none',
  replies: { 200: schemas.Version },
  needsNoStore: true,
  problems: [],
  handle: async (_request, { version }) => reply(200, { name: 'latchkey', version }),
})
