/** Self-signed certificates for tests, of a new key each. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import type { TlsIdentity } from '../../src/core/network.js';
import { certificatePem, selfSignedCertificate } from '../../src/identity/certificate.js';

export interface TestIdentity extends TlsIdentity {
  /** As `keyFingerprint` gives it. */
  readonly fingerprint: string;
}

export function selfSigned(
  commonName: string,
  { dns = [], uri = [] }: { dns?: string[]; uri?: string[] } = {},
): TestIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = { commonName, dns, uri };
  const certificate = selfSignedCertificate({
    key: privateKey,
    names,
    serial: Uint8Array.of(1),
  });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: certificatePem(certificate),
    fingerprint: createHash('sha256').update(spki).digest('base64'),
  };
}
