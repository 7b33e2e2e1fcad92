/** Which test files run side by side: shared out so that both lanes take about as long. */
import fs from 'node:fs'
import path from 'node:path'
import { root } from './places.ts'

/** How long each test file takes, in seconds; `RENEW_TEST_SECONDS=true npm test` writes it anew. */
export const secondsFile = path.join(root, 'test/seconds.json')
/** What a file that was never timed is taken to need. */
const unknownSeconds = 10

/** Every test file of the project, by its path from the project's folder. */
export function testFiles(): string[] {
  return fs
    .readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join('test', name))
    .toSorted()
}

export function readSeconds(): Record<string, number> {
  return JSON.parse(fs.readFileSync(secondsFile, 'utf8')) as Record<string, number>
}

/** Gives each file, the longest first, to the lane that has least to do; within a lane they keep their order. */
export function lanesOf(files: string[], seconds: Record<string, number>, count: number): string[][] {
  const lanes = Array.from({ length: count }, () => ({ files: [] as string[], seconds: 0 }))
  const secondsOf = (file: string) => seconds[file] ?? unknownSeconds
  for (const file of files.toSorted((a, b) => secondsOf(b) - secondsOf(a))) {
    const lane = lanes.reduce((least, other) => (other.seconds < least.seconds ? other : least))
    lane.files.push(file)
    lane.seconds += secondsOf(file)
  }
  return lanes.map((lane) => lane.files.toSorted())
}
