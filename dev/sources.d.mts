export function digestOfSources(root: string): string
export function noteSources(outdir: string, digest: string): void
