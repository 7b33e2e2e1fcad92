/**
 * `node FLAGS --import tsx dev/compile.ts FILE`: loads a program and keeps what V8 has compiled for that, for starts with
 * the same flags.
 */
import { keepCompiled, loadCompiled } from './compiled.ts'

const [file] = process.argv.slice(2) as [string]
keepCompiled(file, loadCompiled(file).script)
process.exit() // whatever the packages have begun
