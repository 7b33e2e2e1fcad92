/** How a program that V8 has compiled ahead of its start is kept, and loaded. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import vm from 'node:vm'

/** What is around the text of such a program; it is what Node.js puts around a module of the older form. */
export const wrapper = { start: '(function (exports, require, module, __filename, __dirname) {', end: '})' }

const compiledOf = (file: string) => `${file}.compiled`
/** What comes before it, in bytes: the digest of all that it rests on. */
export const digestBytes = 32

/**
 * Loads a program that is one file, and takes the functions that it needs from what was compiled of it, if that is there.
 *
 * Two fifths of a start are reading and compiling program text, and what that leaves behind is up to a third of what an
 * idle process holds (figures: bench/README.md). V8 takes what it has compiled with the same flags only, and compiles anew
 * otherwise.
 */
export function loadCompiled(file: string): { script: vm.Script; exports: unknown } {
  const text = fs.readFileSync(file)
  const script = new vm.Script(text.toString('latin1'), {
    filename: file,
    cachedData: readCompiled(file, text),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  const module = { exports: {} as unknown }
  const run = script.runInThisContext() as (...around: unknown[]) => void
  run(module.exports, createRequire(file), module, file, path.dirname(file))
  return { script, exports: module.exports }
}

/** Keeps what was compiled of a program so far, for all who load it after this. */
export function keepCompiled(file: string, script: vm.Script): void {
  const compiled = script.createCachedData()
  fs.writeFileSync(compiledOf(file), Buffer.concat([digestOf(fs.readFileSync(file), compiled), compiled]))
}

/** What was compiled of this very text by this very Node.js; nothing where it is not there, damaged or not ours to read. */
function readCompiled(file: string, text: Buffer): Buffer | undefined {
  try {
    const kept = fs.readFileSync(compiledOf(file))
    const compiled = kept.subarray(digestBytes)
    return kept.subarray(0, digestBytes).equals(digestOf(text, compiled)) ? compiled : undefined
  } catch {
    return undefined
  }
}

/**
 * V8 looks at its own version, which two of Node.js may have in common though not what is compiled, and at the length of the
 * text. What is of another of them, or damaged, would end the process or run as something else.
 */
function digestOf(text: Buffer, compiled: Buffer): Buffer {
  const by = JSON.stringify([process.version, process.arch, process.config])
  return createHash('sha256').update(by).update(text).update(compiled).digest()
}
