import { adminOf } from '../admin.ts'
import { defineRoute, reply } from '../route.ts'
import * as schemas from '../schemas.ts'
import { auditView, serviceClientView, sessionView, settingView, userForAdmins } from '../views.ts'

export const listUsers = defineRoute({
  method: 'get',
  path: '/v1/admin/users',
  summary: 'Find people by id, or by what their e-mail address, username or name begins with; newest first',
  auth: 'admin',
  query: schemas.UsersQuery,
  replies: { 200: schemas.UserList },
  problems: [],
  async handle({ query }, { accounts }) {
    const { items, nextCursor } = await accounts.administration.list(query)
    return reply(200, { items: items.map(userForAdmins), next_cursor: nextCursor })
  },
})

export const createUser = defineRoute({
  method: 'post',
  path: '/v1/admin/users',
  summary: 'Create an account; its owner gets a mail to choose a password',
  auth: 'admin',
  body: schemas.NewUserBody,
  written: ({ email, username, name }) => ({ email, username, name }),
  replies: { 201: schemas.UserForAdmins },
  headers: { Location: 'Where the account is.' },
  problems: ['email-taken', 'username-taken'],
  async handle({ body, caller }, { accounts }) {
    const person = await accounts.administration.create(body, adminOf(caller))
    return reply(201, userForAdmins(person), { Location: `/v1/admin/users/${person.id}` })
  },
})

export const showUser = defineRoute({
  method: 'get',
  path: '/v1/admin/users/:user_id',
  summary: 'Show somebody’s account',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 200: schemas.UserForAdmins },
  problems: [],
  async handle({ params }, { accounts }) {
    return reply(200, userForAdmins(await accounts.administration.read(params.user_id)))
  },
})

export const editUser = defineRoute({
  method: 'patch',
  path: '/v1/admin/users/:user_id',
  summary: 'Change somebody’s username, name or role; null clears',
  auth: 'admin',
  params: schemas.UserParams,
  body: schemas.UserBody,
  written: ({ username, name }) => ({ username, name }),
  replies: { 200: schemas.UserForAdmins },
  problems: ['username-taken', 'last-admin'],
  async handle({ params, body, caller }, { accounts }) {
    const person = await accounts.administration.edit(params.user_id, body, adminOf(caller))
    return reply(200, userForAdmins(person))
  },
})

export const deleteUser = defineRoute({
  method: 'delete',
  path: '/v1/admin/users/:user_id',
  summary: 'Delete somebody’s account and everything that belongs to it',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 204: schemas.Nothing },
  problems: ['last-admin'],
  async handle({ params, caller }, { accounts }) {
    await accounts.administration.remove(params.user_id, adminOf(caller))
    return reply(204, null)
  },
})

export const disableUser = defineRoute({
  method: 'post',
  path: '/v1/admin/users/:user_id/disable',
  summary: 'Disable an account: all its sessions end, its links are void, nobody logs in',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 200: schemas.UserForAdmins },
  problems: ['last-admin'],
  async handle({ params, caller }, { accounts }) {
    const person = await accounts.administration.disable(params.user_id, adminOf(caller))
    return reply(200, userForAdmins(person))
  },
})

export const enableUser = defineRoute({
  method: 'post',
  path: '/v1/admin/users/:user_id/enable',
  summary: 'Enable an account again; what had ended stays ended',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 200: schemas.UserForAdmins },
  problems: [],
  async handle({ params, caller }, { accounts }) {
    const person = await accounts.administration.enable(params.user_id, adminOf(caller))
    return reply(200, userForAdmins(person))
  },
})

export const requestPasswordReset = defineRoute({
  method: 'post',
  path: '/v1/admin/users/:user_id/password-reset',
  summary: 'Send somebody a link to reset their password',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 202: schemas.MailPromised },
  problems: [],
  async handle({ params, caller }, { accounts }) {
    await accounts.administration.requestPasswordReset(params.user_id, adminOf(caller))
    return reply(202, { message: 'A mail is on its way.' })
  },
})

export const listUserSessions = defineRoute({
  method: 'get',
  path: '/v1/admin/users/:user_id/sessions',
  summary: 'List somebody’s open sessions, newest first',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 200: schemas.SessionList },
  problems: [],
  async handle({ params, caller }, { accounts }) {
    const sessions = await accounts.administration.sessions(params.user_id)
    return reply(200, { items: sessions.map((session) => sessionView(session, caller.sessionId)), next_cursor: null })
  },
})

export const endUserSessions = defineRoute({
  method: 'delete',
  path: '/v1/admin/users/:user_id/sessions',
  summary: 'End all of somebody’s sessions',
  auth: 'admin',
  params: schemas.UserParams,
  replies: { 200: schemas.Revoked },
  problems: [],
  async handle({ params, caller }, { accounts }) {
    return reply(200, {
      revoked: await accounts.administration.endSessions(params.user_id, adminOf(caller)),
    })
  },
})

export const endUserSession = defineRoute({
  method: 'delete',
  path: '/v1/admin/sessions/:user_id/:session_id',
  summary: 'End one of somebody’s sessions',
  auth: 'admin',
  params: schemas.UserSessionParams,
  replies: { 204: schemas.Nothing },
  problems: [],
  async handle({ params, caller }, { accounts }) {
    await accounts.administration.endSession(params.user_id, params.session_id, adminOf(caller))
    return reply(204, null)
  },
})

export const listAudit = defineRoute({
  method: 'get',
  path: '/v1/admin/audit',
  summary: 'List what has happened, newest first; all parameters narrow',
  auth: 'admin',
  query: schemas.AuditQuery,
  replies: { 200: schemas.AuditList },
  problems: [],
  async handle({ query: { user, event, since, until, ...page } }, { audit }) {
    const { items, nextCursor } = await audit.list({ userId: user, event, since, until }, page)
    return reply(200, { items: items.map(auditView), next_cursor: nextCursor })
  },
})

export const listSettings = defineRoute({
  method: 'get',
  path: '/v1/admin/settings',
  summary: 'List the runtime settings: what holds now, what held at the start, and what may be',
  auth: 'admin',
  replies: { 200: schemas.SettingList },
  problems: [],
  async handle(_request, { settings }) {
    return reply(200, { items: (await settings.list()).map(settingView), next_cursor: null })
  },
})

export const changeSettings = defineRoute({
  method: 'patch',
  path: '/v1/admin/settings',
  summary: 'Change runtime settings by their names, all that are named or none; null goes back to the start value',
  auth: 'admin',
  body: schemas.SettingsBody,
  replies: { 200: schemas.SettingList },
  problems: [],
  async handle({ body, caller }, { settings }) {
    const changed = await settings.change(body, adminOf(caller))
    return reply(200, { items: changed.map(settingView), next_cursor: null })
  },
})

export const listServiceClients = defineRoute({
  method: 'get',
  path: '/v1/admin/service-clients',
  summary: 'List the services that may ask about tokens, revoked ones too; newest first',
  auth: 'admin',
  replies: { 200: schemas.ServiceClientList },
  problems: [],
  async handle(_request, { clients }) {
    return reply(200, { items: (await clients.list()).map(serviceClientView), next_cursor: null })
  },
})

export const createServiceClient = defineRoute({
  method: 'post',
  path: '/v1/admin/service-clients',
  summary: 'Create credentials for a service; the secret is told once',
  auth: 'admin',
  body: schemas.ClientBody,
  replies: { 201: schemas.ServiceClientWithSecret },
  problems: [],
  async handle({ body: { name }, caller }, { clients }) {
    const { client, secret } = await clients.create(name, adminOf(caller))
    return reply(201, { ...serviceClientView(client), secret })
  },
})

export const revokeServiceClient = defineRoute({
  method: 'delete',
  path: '/v1/admin/service-clients/:id',
  summary: 'Revoke the credentials of a service',
  auth: 'admin',
  params: schemas.ClientParams,
  replies: { 204: schemas.Nothing },
  problems: [],
  async handle({ params, caller }, { clients }) {
    await clients.revoke(params.id, adminOf(caller))
    return reply(204, null)
  },
})
