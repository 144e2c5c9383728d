/** Self-signed X.509 certificates over a P-256 key (RFC 5280, RFC 5480). Node reads them, and writes none. */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import {
  bitString,
  contextTag,
  element,
  objectIdentifier,
  sequence,
  TAG,
  unsignedInteger,
} from './der.js';

/** What a certificate says its owner is called. */
export interface CertificateNames {
  /** UTF-8, at most 64 characters (RFC 5280 appendix A, ub-common-name). */
  readonly commonName: string;
  /** Subject alternative names, ASCII (RFC 5280 §4.2.1.6). */
  readonly dns: readonly string[];
  readonly uri: readonly string[];
}

export interface CertificateParts {
  /** A private P-256 key. */
  readonly key: KeyObject;
  readonly names: CertificateNames;
  /** At most 20 octets; no two certificates of one issuer share it (RFC 5280 §4.1.2.2). */
  readonly serial: Uint8Array;
}

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  clientAuthentication: '1.3.6.1.5.5.7.3.2',
};

/** Clocks are wrong at boot, ours and others': it is good since clocks began and for ever (RFC 5280 §4.1.2.5). */
const NOT_BEFORE = element(TAG.utcTime, '700101000000Z');
const NOT_AFTER = element(TAG.generalizedTime, '99991231235959Z');

/** Version 3, which extensions need. */
const VERSION = element(contextTag(0, true), unsignedInteger(Uint8Array.of(2)));
const TRUE = element(TAG.boolean, Uint8Array.of(0xff));
const DIGITAL_SIGNATURE = bitString(Uint8Array.of(0x80), 7);

/** RFC 5280 §4.2.1.6: the kinds of GeneralName. */
const DNS_NAME = contextTag(2, false);
const UNIFORM_RESOURCE_IDENTIFIER = contextTag(6, false);

/** The certificate in DER. */
export function selfSignedCertificate({ key, names, serial }: CertificateParts): Buffer {
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const name = nameOf(names.commonName);
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const body = sequence(
    VERSION,
    unsignedInteger(serial),
    algorithm,
    name,
    sequence(NOT_BEFORE, NOT_AFTER),
    name,
    publicKey,
    element(contextTag(3, true), sequence(...extensionsOf(names, publicKey))),
  );
  return sequence(body, algorithm, bitString(sign('sha256', body, key)));
}

/** PEM (RFC 7468 §5). */
export function certificatePem(certificate: Uint8Array): string {
  const lines =
    Buffer.from(certificate)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function nameOf(commonName: string): Buffer {
  const attribute = sequence(objectIdentifier(OID.commonName), element(TAG.utf8String, commonName));
  return sequence(element(TAG.set, attribute));
}

/** It speaks for one device at either end of a connection, and vouches for nobody else. */
function extensionsOf({ dns, uri }: CertificateNames, publicKey: Uint8Array): Buffer[] {
  const alternatives = [
    ...dns.map(value => element(DNS_NAME, value)),
    ...uri.map(value => element(UNIFORM_RESOURCE_IDENTIFIER, value)),
  ];
  const uses = [OID.serverAuthentication, OID.clientAuthentication].map(objectIdentifier);
  const keyIdentifier = createHash('sha256').update(publicKey).digest().subarray(0, 20);
  return [
    extension(OID.basicConstraints, sequence(), true),
    extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
    extension(OID.extendedKeyUsage, sequence(...uses)),
    extension(OID.subjectKeyIdentifier, element(TAG.octetString, keyIdentifier)),
    ...(alternatives.length > 0 ? [extension(OID.subjectAltName, sequence(...alternatives))] : []),
  ];
}

/** @param critical who does not know it must not accept the certificate */
function extension(identifier: string, value: Uint8Array, critical = false): Buffer {
  const content = element(TAG.octetString, value);
  return sequence(objectIdentifier(identifier), ...(critical ? [TRUE] : []), content);
}
