/** A question of a batch, with what settles it. */
export interface Asked<Question, Answer> {
  question: Question
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
}

/**
 * What has come until then is sent in the middle of a turn. With all of a large crowd sent at its end, the store would have
 * nothing to do while they arrive, and nothing be left to do here while it answers (figures: bench/README.md).
 */
const batchesAtOnceMax = 4

/**
 * Makes one question to a store of all that come in one turn of the event loop, and nothing waits for company: what is
 * there when the turn ends, or when so many batches are full, is sent. So many callers share a round trip, and one alone waits no longer than without.
 *
 * @param batchMax of how many questions one is made at most
 * @param askAll settles each of a batch; where it throws, those that are left fail with it
 */
export function gather<Question, Answer>(
  batchMax: number,
  askAll: (batch: Asked<Question, Answer>[]) => Promise<void>,
): (question: Question) => Promise<Answer> {
  let waiting: Asked<Question, Answer>[] = []

  async function send(batch: Asked<Question, Answer>[]): Promise<void> {
    try {
      await askAll(batch)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  function sendAll(): void {
    const all = waiting
    waiting = []
    for (let i = 0; i < all.length; i += batchMax) void send(all.slice(i, i + batchMax))
  }

  return (question) =>
    new Promise((resolve, reject) => {
      const count = waiting.push({ question, resolve, reject })
      if (count === 1) setImmediate(sendAll)
      else if (count === batchesAtOnceMax * batchMax) sendAll()
    })
}
