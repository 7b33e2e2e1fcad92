import { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { expect } from 'chai'
import fc from 'fast-check'
import { canonicalAddress, clientAddressOf, compileTrust, networkOf } from '../../src/platform/address.ts'
import { keyOf } from '../../src/throttle/subject.ts'

const ipv4 = fc.ipV4()
const ipv6 = fc.ipV6()
const hextet = fc.integer({ min: 0, max: 0xffff })
const hextets = (count: number) => fc.array(hextet, { minLength: count, maxLength: count })
const inFull = (groups: number[]) => groups.map((group) => group.toString(16).padStart(4, '0')).join(':')

describe('an address', () => {
  it('has one form, whatever it was written as', () => {
    for (const text of ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', '2001:0db8::0:0001', '2001:db8::1%eth0'])
      expect(canonicalAddress(text), text).to.equal('2001:db8::1')
    for (const text of ['::ffff:192.0.2.1', '::FFFF:192.0.2.1', '::ffff:c000:201', '0:0:0:0:0:ffff:192.0.2.1'])
      expect(canonicalAddress(text), text).to.equal('192.0.2.1')
  })

  it('keeps that form when it is read again', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (text) => {
        const address = canonicalAddress(text)!
        expect(canonicalAddress(address)).to.equal(address)
      }),
    )
  })

  it('of IPv4 is the same when it is written as IPv6', () => {
    fc.assert(fc.property(ipv4, (text) => canonicalAddress(`::ffff:${text}`) === text))
  })

  it('is nothing else', () => {
    for (const text of ['', 'unknown', '1', '10.1', '0x7f.1', '192.0.2.1:80', '[2001:db8::1]', '1.2.3.4, 5.6.7.8'])
      expect(canonicalAddress(text), text).to.equal(null)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => (canonicalAddress(text) === null) === !isIP(text)))
  })

  it('of IPv6 counts by its first 64 bits', () => {
    const networkOfGroups = (groups: number[]) => networkOf(canonicalAddress(inFull(groups))!)
    fc.assert(
      fc.property(hextets(4), hextets(4), hextets(4), (network, one, other) => {
        // Below ::/64 lie the IPv4 addresses in the clothes of IPv6, which count by themselves.
        fc.pre(network.some((group) => group !== 0))
        expect(networkOfGroups([...network, ...one])).to.equal(networkOfGroups([...network, ...other]))
      }),
    )
    fc.assert(
      fc.property(hextets(4), hextets(4), hextets(4), (one, other, rest) => {
        fc.pre(inFull(one) !== inFull(other) && one[0] !== 0 && other[0] !== 0)
        expect(networkOfGroups([...one, ...rest])).to.not.equal(networkOfGroups([...other, ...rest]))
      }),
    )
    expect(networkOf('2001:db8::1')).to.equal('2001:db8:0:0::/64')
    expect(networkOf('::1')).to.equal('0:0:0:0::/64')
    expect(networkOf('1:2:3:4:5:6:7:8')).to.equal('1:2:3:4::/64')
  })

  it('of IPv4 counts by itself, in the clothes of IPv6 too', () => {
    expect(networkOf(canonicalAddress('::ffff:192.0.2.1')!)).to.equal('192.0.2.1')
    expect(networkOf(canonicalAddress('::ffff:192.0.2.2')!)).to.equal('192.0.2.2')
  })

  it('stands in a key as a digest', () => {
    for (const subject of [{ address: '192.0.2.1' }, { address: null }, { unknownName: 'ada@example.com' }])
      expect(keyOf(subject)).to.match(/^[0-9a-f]{32}$/)
    expect(keyOf({ unknownName: 'Ada@Example.com' })).to.equal(keyOf({ unknownName: 'ada@example.com' }))
  })
})

describe('the client of a request', () => {
  const clientOf = (peer: string | undefined, forwarded: string | undefined, ...proxies: string[]) => {
    const request = new IncomingMessage({ remoteAddress: peer } as Socket)
    if (forwarded !== undefined) request.headers['x-forwarded-for'] = forwarded
    return clientAddressOf(request, compileTrust(proxies))
  }

  it('is who connects, when nobody is trusted or a stranger connects', () => {
    expect(clientOf('::ffff:192.0.2.1', '198.51.100.7')).to.equal('192.0.2.1')
    expect(clientOf('192.0.2.1', '198.51.100.7', '10.0.0.0/8')).to.equal('192.0.2.1')
    expect(clientOf('2001:DB8::1', '198.51.100.7, 10.0.0.1', '10.0.0.0/8')).to.equal('2001:db8::1')
    expect(clientOf(undefined, '198.51.100.7', '10.0.0.0/8')).to.equal(null)
  })

  it('is the last one that no trusted proxy accounts for', () => {
    const walk = (forwarded: string | undefined) =>
      clientOf('::ffff:10.0.0.1', forwarded, '10.0.0.0/8', '2001:db8::/32')
    expect(walk(undefined)).to.equal('10.0.0.1')
    expect(walk('198.51.100.7')).to.equal('198.51.100.7')
    expect(walk('203.0.113.9, 198.51.100.7')).to.equal('198.51.100.7')
    expect(walk('203.0.113.9, 198.51.100.7, 10.2.3.4')).to.equal('198.51.100.7')
    expect(walk('203.0.113.9,198.51.100.7 , 2001:db8::5, ::ffff:10.2.3.4')).to.equal('198.51.100.7')
    expect(walk('10.0.0.9, 10.0.0.8')).to.equal('10.0.0.9')
    expect(walk('::FFFF:198.51.100.7')).to.equal('198.51.100.7')
  })

  it('is the proxy that named something else than an address, and never what stands left of that', () => {
    const walk = (forwarded: string) => clientOf('10.0.0.1', forwarded, '10.0.0.0/8')
    for (const garbage of [
      '',
      ' ',
      'unknown',
      '198.51.100.7:80',
      '_hidden',
      '1',
      '10.1',
      '%',
      '\u0000',
      '10.0.0.0/8',
    ]) {
      expect(walk(garbage), garbage).to.equal('10.0.0.1')
      expect(walk(`203.0.113.9, ${garbage}, 10.0.0.2`), garbage).to.equal('10.0.0.2')
    }
  })

  it('is an address whatever the header says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (forwarded) => {
        const address = clientOf('10.0.0.1', forwarded, '10.0.0.0/8')!
        expect(canonicalAddress(address)).to.equal(address)
      }),
    )
  })

  it('has no proxies but addresses and networks', () => {
    for (const wrong of [
      '',
      'proxy.example',
      '1',
      '10.1',
      '10.0.0.0/0',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/x',
      '::/129',
    ])
      expect(() => compileTrust([wrong]), wrong).to.throw(TypeError)
  })
})
