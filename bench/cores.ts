import fs from 'node:fs'
import { run } from '../dev/process.ts'

/** Lists of processor numbers as `taskset -c` takes them. */
export interface Cores {
  /** One core, for the server that is being measured. */
  server: string
  /** All others, for the load and Redis: what they do must not be taken from the server. */
  rest: string
}

/** Divides the cores this process may use; null when there is only one, or nothing to pin with. */
export async function findCores(): Promise<Cores | null> {
  try {
    await run('taskset', ['--version'])
    const status = fs.readFileSync('/proc/self/status', 'utf8')
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? ''
    const [first, ...others] = list.split(',').flatMap(numbersOf)
    return others.length > 0 ? { server: String(first), rest: others.join(',') } : null
  } catch {
    return null
  }
}

/** The numbers of `3` or `0-3`. */
function numbersOf(range: string): number[] {
  const [from = 0, to = from] = range.split('-').map(Number)
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

/** User and system time a process has used so far, in seconds; null where there is no /proc to ask. */
export function cpuSecondsOf(pid: number): number | null {
  const ticksPerSecond = 100 // what Linux shows to programs, whatever the kernel counts in
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return null
  }
}
