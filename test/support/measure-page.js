/**
 * Runs in a page, read as text: what a person could not read, reach or hit there. Its value is a `PageMeasures` of browser.ts.
 */
;(() => {
  const minContrast = 4.5

  /** Red, green and blue as 0 to 255, alpha as 0 to 1. */
  const parsed = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number)
    return { r, g, b, a }
  }
  const over = (top, alpha, ground) => {
    const mix = (channel) => top[channel] * alpha + ground[channel] * (1 - alpha)
    return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 }
  }
  /** WCAG 2.2, relative luminance and contrast ratio. */
  const luminance = ({ r, g, b }) => {
    const [lr, lg, lb] = [r, g, b].map((c) =>
      c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
    )
    return 0.2126 * lr + 0.7152 * lg + 0.0722 * lb
  }
  const contrast = (one, other) => {
    const [darker, lighter] = [luminance(one), luminance(other)].toSorted((a, b) => a - b)
    return (lighter + 0.05) / (darker + 0.05)
  }
  const resolved = (name) => {
    const probe = document.createElement('i')
    probe.style.color = name
    document.documentElement.append(probe)
    const { color } = getComputedStyle(probe)
    probe.remove()
    return parsed(color)
  }

  const canvas = resolved('Canvas')
  const contrastOf = (element) => {
    const chain = []
    for (let at = element; at; at = at.parentElement) chain.unshift(getComputedStyle(at))
    let ground = canvas
    let opacity = 1
    for (const style of chain) {
      opacity *= Number(style.opacity)
      const background = parsed(style.backgroundColor)
      ground = over(background, background.a * opacity, ground)
    }
    const text = parsed(chain.at(-1).color)
    return contrast(over(text, text.a * opacity, ground), ground)
  }

  const width = document.documentElement.clientWidth
  const texts = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.trim()
    if (text === '') continue
    const range = document.createRange()
    range.selectNodeContents(node)
    const { left, right, height } = range.getBoundingClientRect()
    const ratio = contrastOf(node.parentElement)
    texts.push({ text, contrast: ratio, isReadable: ratio >= minContrast && height > 0 && left >= 0 && right <= width })
  }

  return {
    canvas: `${canvas.r},${canvas.g},${canvas.b}`,
    widthPx: width,
    contentWidthPx: document.documentElement.scrollWidth,
    texts,
    links: [...document.links].map((link) => ({
      href: link.getAttribute('href'),
      text: link.textContent,
      heightPx: link.getBoundingClientRect().height,
    })),
    tags: [...new Set([...document.querySelectorAll('*')].map((element) => element.localName))],
    handlers: [...document.querySelectorAll('*')].flatMap((element) =>
      element.getAttributeNames().filter((name) => name.startsWith('on')),
    ),
  }
})()
