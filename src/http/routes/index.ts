import type { Route } from '../route.ts'
import * as admin from './admin.ts'
import * as auth from './auth.ts'
import * as gateways from './gateways.ts'
import * as me from './me.ts'
import * as oauth from './oauth.ts'
import * as recovery from './recovery.ts'
import * as service from './service.ts'
import * as sessions from './sessions.ts'

const rooms = [auth, recovery, me, sessions, oauth, admin, gateways, service]
const showDescription = service.describeItself(() => namedRoutes())

/** Every route there is. An earlier one wins where two paths match, so `current` stands before `:id`. */
export const routes: readonly Route[] = [
  auth.register,
  auth.login,
  auth.refresh,
  auth.logout,
  auth.logoutAll,
  auth.tokens,
  recovery.forgotPassword,
  recovery.resetPassword,
  recovery.verifyEmail,
  recovery.resendVerification,
  me.showMe,
  me.patchMe,
  me.putMe,
  me.showActivity,
  recovery.changePassword,
  recovery.deleteMe,
  sessions.listSessions,
  sessions.showCurrentSession,
  sessions.showSession,
  sessions.renameSession,
  sessions.revokeSession,
  sessions.revokeOtherSessions,
  oauth.introspect,
  oauth.revokeToken,
  oauth.showMetadata,
  admin.listUsers,
  admin.createUser,
  admin.showUser,
  admin.editUser,
  admin.deleteUser,
  admin.disableUser,
  admin.enableUser,
  admin.requestPasswordReset,
  admin.listUserSessions,
  admin.endUserSessions,
  admin.endUserSession,
  admin.listAudit,
  admin.listSettings,
  admin.changeSettings,
  admin.listServiceClients,
  admin.createServiceClient,
  admin.revokeServiceClient,
  gateways.forwardAuth,
  gateways.forwardAuthBelow,
  service.greet,
  service.live,
  service.ready,
  service.showVersion,
  showDescription,
]

/** Every route by the name it is declared under. */
export function namedRoutes(): Record<string, Route> {
  const names = new Map<unknown, string>(
    [...rooms, { showDescription }].flatMap((room) => Object.entries(room).map(([name, route]) => [route, name])),
  )
  return Object.fromEntries(routes.map((route) => [names.get(route)!, route]))
}
