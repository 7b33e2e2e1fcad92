import type { Knex } from 'knex'
import * as users from './0001_users.ts'
import * as sessionEndings from './0002_session_endings.ts'
import * as mails from './0003_mails.ts'
import * as oneTimeTokens from './0004_one_time_tokens.ts'
import * as knownDevices from './0005_known_devices.ts'
import * as auditEvents from './0006_audit_events.ts'
import * as settings from './0007_settings.ts'
import * as serviceClients from './0008_service_clients.ts'
import * as usersSearch from './0009_users_search.ts'
import * as sessionEpochs from './0010_session_epochs.ts'
import * as usersChanged from './0011_users_changed.ts'

const migrations: Record<string, Knex.Migration> = {
  '0001_users': users,
  '0002_session_endings': sessionEndings,
  '0003_mails': mails,
  '0004_one_time_tokens': oneTimeTokens,
  '0005_known_devices': knownDevices,
  '0006_audit_events': auditEvents,
  '0007_settings': settings,
  '0008_service_clients': serviceClients,
  '0009_users_search': usersSearch,
  '0010_session_epochs': sessionEpochs,
  '0011_users_changed': usersChanged,
}

/** The migrations under names without extension, so that TypeScript and the build record the same ones. */
export const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: async () => Object.keys(migrations),
  getMigrationName: (name) => name,
  getMigration: async (name) => migrations[name]!,
}
