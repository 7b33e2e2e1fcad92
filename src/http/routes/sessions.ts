import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'
import { sessionView } from '../views.ts'

export const listSessions = defineRoute({
  method: 'get',
  path: '/v1/sessions',
  summary: 'List the caller’s open sessions, newest first',
  auth: 'bearer',
  replies: { 200: schemas.SessionList },
  problems: [],
  async handle({ caller }, { accounts }) {
    const sessions = await accounts.sessions(caller)
    return reply(200, {
      items: sessions.map((session) => sessionView(session, caller.sessionId)),
      next_cursor: null,
    })
  },
})

export const showCurrentSession = defineRoute({
  method: 'get',
  path: '/v1/sessions/current',
  summary: 'Show the session of the access token',
  auth: 'bearer',
  replies: { 200: schemas.Session },
  problems: [],
  async handle({ caller }) {
    return reply(200, sessionView(caller.session, caller.sessionId))
  },
})

export const showSession = defineRoute({
  method: 'get',
  path: '/v1/sessions/:id',
  summary: 'Show one of the caller’s sessions',
  auth: 'bearer',
  params: schemas.SessionParams,
  replies: { 200: schemas.Session },
  problems: [],
  async handle({ caller, params }, { accounts }) {
    return reply(200, sessionView(await accounts.session(caller, params.id), caller.sessionId))
  },
})

export const renameSession = defineRoute({
  method: 'patch',
  path: '/v1/sessions/:id',
  summary: 'Name the device of one of the caller’s sessions; null clears',
  auth: 'bearer',
  params: schemas.SessionParams,
  body: schemas.SessionBody,
  written: ({ device_name }) => ({ deviceName: device_name }),
  replies: { 200: schemas.Session },
  problems: [],
  async handle({ caller, params, body }, { accounts }) {
    const session = await accounts.renameSession(caller, params.id, body.device_name)
    return reply(200, sessionView(session, caller.sessionId))
  },
})

export const revokeSession = defineRoute({
  method: 'delete',
  path: '/v1/sessions/:id',
  summary: 'End one of the caller’s sessions',
  auth: 'bearer',
  params: schemas.SessionParams,
  replies: { 204: schemas.Nothing },
  problems: [],
  async handle({ caller, params }, { accounts }) {
    await accounts.revoke(caller, params.id)
    return reply(204, null)
  },
})

export const revokeOtherSessions = defineRoute({
  method: 'post',
  path: '/v1/sessions/revoke-others',
  summary: 'End all of the caller’s sessions but this one',
  auth: 'bearer',
  replies: { 200: schemas.Revoked },
  problems: [],
  async handle({ caller }, { accounts }) {
    return reply(200, { revoked: await accounts.revokeOthers(caller) })
  },
})
