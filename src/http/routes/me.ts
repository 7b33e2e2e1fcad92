import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'
import { activityView, userView } from '../views.ts'

export const showMe = defineRoute({
  method: 'get',
  path: '/v1/me',
  summary: 'Show the caller’s account',
  auth: 'bearer',
  replies: { 200: schemas.User },
  problems: [],
  async handle({ caller }, { accounts }) {
    return reply(200, userView(await accounts.me(caller)))
  },
})

/** PATCH and PUT do the same: every member is optional, and one that is missing stays as it is. */
function changeMe(method: 'patch' | 'put') {
  return defineRoute({
    method,
    path: '/v1/me',
    summary: 'Change the caller’s username, name or e-mail address; null clears',
    auth: 'bearer',
    body: schemas.ProfileBody,
    written: ({ username, name, email }) => ({ username, name, email }),
    replies: { 200: schemas.User },
    problems: ['username-taken', 'email-taken', 'wrong-password', 'too-many-attempts'],
    async handle({ body: { current_password, sign_in_notices, ...body }, caller }, { accounts }) {
      return reply(
        200,
        userView(
          await accounts.change(caller, { ...body, currentPassword: current_password, signInNotices: sign_in_notices }),
        ),
      )
    },
  })
}

export const patchMe = changeMe('patch')
export const putMe = changeMe('put')

export const showActivity = defineRoute({
  method: 'get',
  path: '/v1/me/activity',
  summary: 'List what has happened to the caller’s account, newest first',
  auth: 'bearer',
  query: schemas.ActivityQuery,
  replies: { 200: schemas.ActivityList },
  problems: [],
  async handle({ caller: { userId }, query }, { audit }) {
    const { items, nextCursor } = await audit.list({ userId }, query)
    return reply(200, { items: items.map((record) => activityView(record, userId)), next_cursor: nextCursor })
  },
})
