/**
 * Locks between processes, and the marks by which a process is known again.
 * Plain JavaScript, because bootstrap.mjs needs it before anything is installed.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * `<pid>@<start time>` of a living process; undefined when it is gone or only a zombie.
 * The start time is there because pids are used again: a pid read from a file proves nothing by itself.
 */
export function markOf(pid) {
  if (process.platform !== 'linux') {
    const ps = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC0' },
    })
    const [, state, started] = /^\s*(\S+)\s+(.+?)\s*$/m.exec(ps.stdout ?? '') ?? []
    return !state || state.startsWith('Z') ? undefined : `${pid}@${started.replaceAll(/\s+/g, '_')}`
  }
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may contain anything
    return /^[ZX]/.test(fields[0]) ? undefined : `${pid}@${fields[19]}`
  } catch {
    return undefined
  }
}

/** Whether the process that was given this mark still runs. */
export function isAlive(mark) {
  const pid = Number.parseInt(mark, 10)
  return pid > 0 && markOf(pid) === mark
}

/** What a lock says about its holders; undefined when it is free, '' when it is not one of our locks. */
function holdersOf(file) {
  try {
    return fs.readlinkSync(file)
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    if (error.code === 'EINVAL') return ''
    throw error
  }
}

/**
 * Runs a task while no other process (nor another task of this one) holds the same lock.
 * The lock is a symbolic link whose target names the holders: making one is a single step, so no lock is ever without
 * its holder's name, and a lock whose holders are all dead is taken over. Taking over is itself done under a lock, or
 * two takers could remove each other's fresh one.
 * `onWait` is called once when another process is in the way.
 * `share(pid)` names a further holder: work that goes on in a child when this process is killed.
 */
export async function withLock(file, task, { signal, onWait } = {}) {
  const mine = markOf(process.pid)
  for (let waits = 0; ;) {
    signal?.throwIfAborted()
    try {
      fs.symlinkSync(mine, file)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holders = holdersOf(file)
    if (holders === undefined) continue
    if (holders.split(',').some(isAlive)) {
      if (waits++ === 0 && !holders.startsWith(mine)) onWait?.()
      await sleep(50, undefined, { signal })
    } else {
      await withLock(
        `${file}.takeover`,
        () => {
          if (holdersOf(file) === holders) fs.rmSync(file, { force: true })
        },
        { signal },
      )
    }
  }
  const share = (pid) => {
    const next = `${file}.${process.pid}`
    fs.rmSync(next, { force: true })
    fs.symlinkSync(`${mine},${markOf(pid) ?? ''}`, next)
    fs.renameSync(next, file)
  }
  try {
    return await task({ share })
  } finally {
    fs.rmSync(file, { force: true })
  }
}
