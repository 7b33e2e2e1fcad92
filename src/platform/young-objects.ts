import v8 from 'node:v8'

/**
 * Keeps what is made for a request among the young objects, which are collected often and for little.
 *
 * V8 looks at what survives its collections, and makes that old from its start where nearly all of a kind do. While few
 * requests fit between two collections, at a start or after a rest, nearly all objects of requests survive; and what was
 * made old then keeps, until the next collection of everything, all that it refers to. So every collection of young
 * objects copies answered requests: up to eight times the work, in processes that are caught (figures: bench/README.md,
 * "Where the time goes").
 *
 * To be called before anything is served: kinds that were decided about stay as they are.
 */
export function keepRequestsYoung(): void {
  v8.setFlagsFromString('--no-allocation-site-pretenuring')
}
