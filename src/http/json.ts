const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g
const depthMax = 16

/**
 * Finds what JSON.parse lets pass in a text that it has accepted: a member that occurs twice or would be a prototype, or
 * absurd depth.
 *
 * Of two members with one name a parser keeps one and a proxy before us may have looked at the other (RFC 8259 §4).
 */
export function isAmbiguous(json: string): boolean {
  const open: (Set<string> | null)[] = []
  let last = ''
  for (const token of json.match(tokens) ?? []) {
    if (token === '{' || token === '[') {
      if (open.push(token === '{' ? new Set() : null) > depthMax) return true
    } else if (token === '}' || token === ']') {
      open.pop()
    } else if (token === ':') {
      const names = open.at(-1)
      const name = JSON.parse(last) as string
      if (name === '__proto__' || names?.has(name)) return true
      names?.add(name)
    }
    last = token
  }
  return false
}
