/**
 * Something that must have taken effect at one moment between its start and its end, or that was seen then.
 *
 * An observation changes no state: its `next` is empty where what was seen cannot be seen, and else the same state.
 */
export interface Step<S> {
  /** The call that it belongs to. */
  call: number
  start: number
  end: number
  /** Another step that must have come first. */
  after?: Step<S>
  observes: boolean
  /** The states that it may lead to; none where it is impossible. */
  next: (state: S) => S[]
}

/** Something that may have taken effect between its start and its end, any number of times or never. */
export interface Leave<S> {
  call: number
  start: number
  /** Infinity where nothing bounds it. */
  end: number
  /** Whether it can take effect once only. */
  once: boolean
  next: (state: S) => S[]
}

export interface Search<S> {
  initial: S
  steps: Step<S>[]
  leaves: Leave<S>[]
  /** Text that is the same for the same state and no other. */
  keyOf: (state: S) => string
}

export type Verdict<S> =
  | { kind: 'explained'; explored: number }
  /** `standing`: the states that were possible before; the step fits none of them. */
  | { kind: 'unexplained'; explored: number; at: Step<S>; standing: S[] }

/** A state that is possible by now, with which of the steps under way have taken effect and which leaves were spent. */
interface Configuration<S> {
  state: S
  done: readonly number[]
  spent: readonly number[]
}

const configurationsMax = 200_000

/**
 * Looks for an order of all steps, each within its time, that a state machine allows (linearizability, Herlihy and Wing).
 *
 * It goes through the starts and ends in the order of time and keeps all configurations that are possible so far, each
 * once (the memory of Lowe's variant of Wing and Gong's search). Whenever something ends, everything that may have taken
 * effect by then is tried in every order; what is left are the configurations in which that step has taken effect. When
 * none is left, no order explains the history. An observation is taken as made in the first state that allows it: that
 * changes nothing for what comes after it.
 *
 * @throws Error when so much is possible at one time that the search would not end
 */
export function search<S>({ initial, steps, leaves, keyOf }: Search<S>): Verdict<S> {
  const indexOf = new Map(steps.map((step, index) => [step, index]))
  const events = [
    ...steps.flatMap((step, index) => [
      { at: step.start, kind: 'step begins' as const, index },
      { at: step.end, kind: 'step ends' as const, index },
    ]),
    ...leaves.flatMap((leave, index) => [
      { at: leave.start, kind: 'leave begins' as const, index },
      ...(leave.end === Infinity ? [] : [{ at: leave.end, kind: 'leave ends' as const, index }]),
    ]),
  ].toSorted((a, b) => a.at - b.at || order[a.kind] - order[b.kind])
  const [under, open] = [new Set<number>(), new Set<number>()]
  let standing: Configuration<S>[] = [{ state: initial, done: [], spent: [] }]
  let explored = 0

  function isFree(index: number, done: readonly number[]): boolean {
    const { after } = steps[index]!
    if (done.includes(index)) return false
    const before = after && indexOf.get(after)!
    return before === undefined || !under.has(before) || done.includes(before)
  }

  /** Marks what can be seen in this state as seen. */
  function observed({ state, done, spent }: Configuration<S>): Configuration<S> {
    let seen = done
    for (const index of under)
      if (steps[index]!.observes && isFree(index, seen) && steps[index]!.next(state).length > 0)
        seen = along(seen, index)
    return { state, done: seen, spent }
  }

  function* following({ state, done, spent }: Configuration<S>): Generator<Configuration<S>> {
    for (const index of under)
      if (!steps[index]!.observes && isFree(index, done))
        for (const next of steps[index]!.next(state)) yield { state: next, done: along(done, index), spent }
    for (const index of open) {
      const { once, next } = leaves[index]!
      if (once && spent.includes(index)) continue
      for (const changed of next(state)) yield { state: changed, done, spent: once ? along(spent, index) : spent }
    }
  }

  /** All that is possible without anything further beginning. */
  function closure(from: Configuration<S>[]): Configuration<S>[] {
    const known = new Map<string, Configuration<S>>()
    const waiting: Configuration<S>[] = []
    const add = (found: Configuration<S>) => {
      const configuration = observed(found)
      const key = `${keyOf(configuration.state)}|${configuration.done.join()}|${configuration.spent.join()}`
      if (known.has(key)) return
      known.set(key, configuration)
      waiting.push(configuration)
      explored += 1
      if (known.size > configurationsMax) throw new Error('too much is possible at one time')
    }
    for (const each of from) add(each)
    for (let each = waiting.pop(); each; each = waiting.pop()) for (const next of following(each)) add(next)
    return [...known.values()]
  }

  for (const { kind, index } of events) {
    if (kind === 'step begins') under.add(index)
    else if (kind === 'leave begins') open.add(index)
    else {
      const possible = closure(standing)
      if (kind === 'leave ends') {
        open.delete(index)
        standing = possible.map(({ state, done, spent }) => ({ state, done, spent: without(spent, index) }))
        continue
      }
      const explaining = possible.filter(({ done }) => done.includes(index))
      if (explaining.length === 0) {
        const states = new Map(possible.map(({ state }) => [keyOf(state), state]))
        return { kind: 'unexplained', explored, at: steps[index]!, standing: [...states.values()] }
      }
      under.delete(index)
      standing = explaining.map(({ state, done, spent }) => ({ state, done: without(done, index), spent }))
    }
  }
  return { kind: 'explained', explored }
}

/** At one instant things begin before others end: they may have overlapped. */
const order = { 'step begins': 0, 'leave begins': 0, 'step ends': 1, 'leave ends': 2 }

const along = (indices: readonly number[], index: number) => [...indices, index].toSorted((a, b) => a - b)
const without = (indices: readonly number[], index: number) => indices.filter((other) => other !== index)
