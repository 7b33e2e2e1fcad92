/** Does a thing so many times, with so many under way at once. */
export async function inLanes<T>(count: number, lanes: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  let begun = 0
  const lane = async () => {
    while (begun++ < count) made.push(await make())
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return made
}
