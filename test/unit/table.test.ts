import { expect } from 'chai'
import { layOut } from '../../src/cli/table.ts'

describe('a table on a terminal', () => {
  const heading = ['ID', 'TO', 'LAST ERROR']
  const rows = [
    ['1', 'ada@example.com', ''],
    ['22', 'bob@example.com', '550 at RCPT TO'],
  ]
  const columns = ['ID  TO               LAST ERROR', '1   ada@example.com', '22  bob@example.com  550 at RCPT TO']

  it('has its columns under one another', () => {
    expect(layOut(heading, rows, Infinity)).to.deep.equal(columns)
    expect(layOut(heading, rows, 35)).to.deep.equal(columns)
  })

  it('gives each row a block where the columns do not fit, and cuts nothing', () => {
    expect(layOut(heading, rows, 34)).to.deep.equal([
      'ID          1',
      'TO          ada@example.com',
      'LAST ERROR',
      '',
      'ID          22',
      'TO          bob@example.com',
      'LAST ERROR  550 at RCPT TO',
    ])
  })

  it('is its heading alone when there is nothing in it', () => {
    expect(layOut(heading, [], 80)).to.deep.equal(['ID  TO  LAST ERROR'])
  })
})
