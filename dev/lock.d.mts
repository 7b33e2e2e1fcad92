export function markOf(pid: number): string | undefined
export function isAlive(mark: string): boolean
export function withLock<T>(
  file: string,
  task: (lock: { share(pid: number): void }) => T | Promise<T>,
  options?: { signal?: AbortSignal | undefined; onWait?: () => void },
): Promise<T>
