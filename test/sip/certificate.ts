/** Self-signed certificates for tests, written in DER (RFC 5280 §4.1). */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { TlsIdentity } from '../../src/core/network.js';

const SEQUENCE = 0x30;
const SET = 0x31;
const OID = { ecdsaWithSha256: '2a8648ce3d040302', commonName: '550403', subjectAltName: '551d11' };

export interface TestIdentity extends TlsIdentity {
  /** As `keyFingerprint` gives it. */
  readonly fingerprint: string;
}

export function selfSigned(
  commonName: string,
  names: { dns?: string[]; uri?: string[] } = {},
): TestIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = der(SEQUENCE, oid(OID.ecdsaWithSha256));
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, oid(OID.commonName), der(0x0c, commonName))));
  const alternatives = [
    ...(names.dns ?? []).map(value => der(0x82, value)),
    ...(names.uri ?? []).map(value => der(0x86, value)),
  ];
  const extension = der(
    SEQUENCE,
    oid(OID.subjectAltName),
    der(0x04, der(SEQUENCE, ...alternatives)),
  );
  const body = der(
    SEQUENCE,
    der(0xa0, integer(2)),
    integer(1),
    algorithm,
    name,
    der(SEQUENCE, der(0x17, '200101000000Z'), der(0x17, '491231235959Z')),
    name,
    spki,
    ...(alternatives.length > 0 ? [der(0xa3, der(SEQUENCE, extension))] : []),
  );
  const signature = sign('sha256', body, privateKey);
  const whole = der(SEQUENCE, body, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])));
  const lines = whole
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    fingerprint: createHash('sha256').update(spki).digest('base64'),
  };
}

function der(tag: number, ...contents: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(contents.map(each => Buffer.from(each as string)));
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.of(value));
}
