import { execFileSync } from 'node:child_process'
import path from 'node:path'
import type { TlsFiles } from '../../dev/stores.ts'

/** An authority made for this test, and a certificate of its for 127.0.0.1, as files in a folder. */
export function certifyLoopback(folder: string): TlsFiles {
  const at = (name: string) => path.join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const newKey = (name: string) => [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    name,
  ]
  openssl('req', '-x509', ...newKey(at('ca.key')), '-subj', '/CN=Test CA', '-days', '2', '-out', at('ca.pem'))
  const names = ['-subj', '/CN=redis.example', '-addext', 'subjectAltName=IP:127.0.0.1']
  openssl('req', ...newKey(at('redis.key')), ...names, '-out', at('redis.csr'))
  const issuer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-copy_extensions', 'copy']
  openssl('x509', '-req', '-in', at('redis.csr'), ...issuer, '-days', '2', '-out', at('redis.pem'))
  return { key: at('redis.key'), cert: at('redis.pem'), ca: at('ca.pem') }
}
