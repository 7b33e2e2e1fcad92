const firstMs = 1000
/** Two waits may follow one another (for the server, then for the turn of the mail): both fit into a minute. */
const longestMs = 25_000

/** How long to wait after so many failures in a row: twice as long each time, and never for all the same. */
export function backOffMs(failures: number): number {
  const ms = Math.min(longestMs, firstMs * 2 ** (failures - 1))
  return Math.round(ms * (0.5 + Math.random() / 2))
}
