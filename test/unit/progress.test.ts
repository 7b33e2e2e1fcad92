import { expect } from 'chai'
import { createProgress } from '../../src/cli/progress.ts'

const clear = '\r\u001B[2K'

/** Where progress is written: a terminal that is ten columns wide, or a pipe. */
function aStream(isTTY: boolean) {
  const written: string[] = []
  return { written, stream: { isTTY, columns: 10, write: (text: string) => written.push(text) > 0 } }
}

describe('the progress of a command', () => {
  it('is one line on a terminal, cut to its width, and gone at the end', () => {
    const { written, stream } = aStream(true)
    const progress = createProgress(stream)

    progress.show('50 %, 12345 lines')
    progress.done()

    expect(written).to.deep.equal([`${clear}50 %, 123`, clear])
  })

  it('is drawn ten times a second at most', () => {
    const { written, stream } = aStream(true)
    const progress = createProgress(stream)

    for (let i = 0; i < 100; i++) progress.show(`${i} %`)

    expect(written).to.have.length(1)
  })

  it('stays below the lines that are printed meanwhile', () => {
    const { written, stream } = aStream(true)
    const progress = createProgress(stream)

    progress.show('50 %')
    progress.say('line 7: bad')

    expect(written.slice(1)).to.deep.equal([clear, 'line 7: bad\n', '50 %'])
  })

  it('is nothing in a pipe, where only the lines are', () => {
    const { written, stream } = aStream(false)
    const progress = createProgress(stream)

    progress.show('50 %')
    progress.say('line 7: bad')
    progress.done()

    expect(written).to.deep.equal(['line 7: bad\n'])
  })
})
