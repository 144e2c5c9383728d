/** Keys and certificates that somebody else made, from PEM files (RFC 7468). What a file holds is never told. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { asError, CodedError, errorCode } from '../core/errors.js';
import type { TlsIdentity } from '../core/network.js';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export interface TlsFiles {
  /** Of the certificate, followed by those that lead to its authority. */
  readonly certificate: string;
  /** Of its private key, without a passphrase. */
  readonly key: string;
}

/** @throws {CodedError} `BAD_CERTIFICATE`, `BAD_TLS_KEY` */
export async function readTlsIdentity({ certificate, key }: TlsFiles): Promise<TlsIdentity> {
  const [first, ...others] = await readCertificates(certificate);
  const secret = await readKey(key);
  if (first?.checkPrivateKey(secret)) {
    return {
      key: secret.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: [first, ...others].map(each => each.toString()).join(''),
    };
  }
  throw new CodedError(
    'BAD_TLS_KEY',
    `expected the key of ${certificate} in ${key}, found another`,
    {
      remedy:
        'Name the key the certificate was made for; its own certificate comes first in the file.',
    },
  );
}

/**
 * The certificates of those we trust, PEM each.
 *
 * @throws {CodedError} `BAD_CERTIFICATE`
 */
export async function readAuthorities(path: string): Promise<readonly string[]> {
  return (await readCertificates(path)).map(certificate => certificate.toString());
}

async function readCertificates(path: string): Promise<readonly X509Certificate[]> {
  const blocks = (await read(path, 'BAD_CERTIFICATE')).match(CERTIFICATE) ?? [];
  const remedy = 'Give a PEM file: it has a line "-----BEGIN CERTIFICATE-----".';
  if (blocks.length === 0) {
    throw new CodedError('BAD_CERTIFICATE', `expected a certificate in ${path}, found none`, {
      remedy,
    });
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      const which = `certificate ${index + 1} of ${blocks.length} in ${path}`;
      throw new CodedError('BAD_CERTIFICATE', `${which} cannot be read`, { cause, remedy });
    }
  });
}

async function readKey(path: string): Promise<KeyObject> {
  const text = await read(path, 'BAD_TLS_KEY');
  try {
    return createPrivateKey(text);
  } catch {
    // No cause: what OpenSSL says may quote the file.
    const locked = /ENCRYPTED/.test(text);
    const found = locked ? 'one with a passphrase' : 'none';
    throw new CodedError('BAD_TLS_KEY', `expected a private key in ${path}, found ${found}`, {
      remedy: locked
        ? 'Write one without: `openssl pkey -in KEY -out PLAIN-KEY`, and `chmod 600 PLAIN-KEY`.'
        : 'Give a PEM file: it has a line "-----BEGIN PRIVATE KEY-----".',
    });
  }
}

async function read(path: string, code: 'BAD_CERTIFICATE' | 'BAD_TLS_KEY'): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES: 'this user may not read it',
    };
    const reason = reasons[errorCode(cause) ?? ''] ?? asError(cause).message;
    throw new CodedError(code, `${path}: ${reason}`, { cause });
  }
}
