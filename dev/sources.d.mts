export function digestOfSources(root: string): string
export function forgetBuild(root: string): void
export function noteBuild(root: string, digestBefore: string): void
export function isBuildCurrent(root: string): boolean
