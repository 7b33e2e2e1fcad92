import { Command } from 'commander'
import { version } from '../services.ts'
import { addClientCommands } from './clients.ts'
import { examples, type Context } from './context.ts'
import { addDoctorCommand } from './doctor.ts'
import { addImportCommand } from './import.ts'
import { addMailCommands } from './mail.ts'
import { addServiceCommands } from './service.ts'
import { addSessionCommands } from './sessions.ts'
import { addSettingCommands } from './settings.ts'
import { addUserCommands } from './users.ts'

/** All commands; nothing is read from the environment before one runs. */
export function createProgram(context: Context): Command {
  const program = new Command('latchkey')
    .description('Run and look after a Latchkey service; the environment is that of the service.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print what there is to say of a command')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: false })
    .exitOverride()
    .addHelpText('after', examples(['serve', 'serve the API'], ['mail list --help', 'what a command takes']))
  addServiceCommands(program, context)
  addDoctorCommand(program, context)
  addImportCommand(addUserCommands(program, context), context)
  addSessionCommands(program, context)
  addSettingCommands(program, context)
  addClientCommands(program, context)
  addMailCommands(program, context)
  return program
}
