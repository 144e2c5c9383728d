/**
 * The key and certificate this device shows over TLS: made on first use, kept in the store, the same ever
 * after. Ordinary phones understand P-256 (RFC 5480); the device's own key (Ed25519) few of them do.
 */
import { createECDH, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { domainToASCII } from 'node:url';
import { CodedError } from '../core/errors.js';
import type { TlsIdentity } from '../core/network.js';
import type { Random } from '../core/random.js';
import type { Store } from '../storage/store.js';
import { type CertificateNames, certificatePem, selfSignedCertificate } from './certificate.js';

const KEY_RECORD = 'identity/tls';
const CERTIFICATE_RECORD = 'identity/tls-certificate';

/** The number of points of P-256, FIPS 186-5 (SP 800-186 §3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const SCALAR_OCTETS = 32;
/** 64 more than the key has bits, so that no key is likelier than another: FIPS 186-5 §A.2.1. */
const SEED_OCTETS = 40;
const SERIAL_OCTETS = 16;

interface KeyRecord {
  readonly algorithm: 'P-256';
  /** 32 octets, base64url. */
  readonly scalar: string;
}

interface CertificateRecord {
  readonly names: CertificateNames;
  /** DER, base64: the same at every start, since people may have told their browsers to trust it. */
  readonly certificate: string;
}

export interface StoredTlsIdentityOptions {
  readonly store: Store;
  readonly random: Random;
  /** Under other names than before a new certificate is made, for the same key. */
  readonly names: CertificateNames;
}

export class StoredTlsIdentity {
  readonly #options: StoredTlsIdentityOptions;
  #identity: Promise<TlsIdentity> | undefined;

  constructor(options: StoredTlsIdentityOptions) {
    this.#options = options;
  }

  /** Throws `CodedError` `BAD_IDENTITY` where the stored key is not one, and whatever the store throws. */
  identity(): Promise<TlsIdentity> {
    this.#identity ??= this.#loadOrMake().catch(error => {
      // A full disk may have room at the next attempt.
      this.#identity = undefined;
      throw error;
    });
    return this.#identity;
  }

  async #loadOrMake(): Promise<TlsIdentity> {
    const key = await this.#key();
    return {
      key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: certificatePem(await this.#certificate(key)),
    };
  }

  async #key(): Promise<KeyObject> {
    const { store, random } = this.#options;
    const stored = await store.get<KeyRecord>(KEY_RECORD);
    if (stored) return privateKey(scalarOf(stored));
    const scalar = newScalar(random);
    const record: KeyRecord = { algorithm: 'P-256', scalar: scalar.toString('base64url') };
    if (await store.add(KEY_RECORD, record)) return privateKey(scalar);
    // Another start was quicker: its key is the one.
    return privateKey(scalarOf((await store.get<KeyRecord>(KEY_RECORD)) ?? record));
  }

  async #certificate(key: KeyObject): Promise<Uint8Array> {
    const { store, random, names } = this.#options;
    const stored = await store.get<CertificateRecord>(CERTIFICATE_RECORD);
    const kept = stored && usable(stored, key, names);
    if (kept) return kept;
    const serial = random.bytes(SERIAL_OCTETS);
    const made = selfSignedCertificate({ key, names, serial });
    const record: CertificateRecord = { names, certificate: made.toString('base64') };
    await store.set(CERTIFICATE_RECORD, record);
    return made;
  }
}

/**
 * What a phone is called in its certificate: by its name, alone and in `.local`, by the host name it announces,
 * and as a SIP domain (RFC 5922 §7.1).
 *
 * @param host e.g. `ringline-a1b2.local`
 */
export function phoneCertificateNames(name: string, host: string): CertificateNames {
  // Certificates hold names in other scripts as the DNS does: RFC 5280 §7.2.
  const domain = domainToASCII(`${name}.local`);
  const own = domain === '' ? [] : [domain.slice(0, -'.local'.length), domain];
  return { commonName: name, dns: [...own, host], uri: own.slice(1).map(each => `sip:${each}`) };
}

function newScalar(random: Random): Buffer {
  const drawn = BigInt(`0x${Buffer.from(random.bytes(SEED_OCTETS)).toString('hex')}`);
  const scalar = (drawn % (ORDER - 1n)) + 1n;
  return Buffer.from(scalar.toString(16).padStart(2 * SCALAR_OCTETS, '0'), 'hex');
}

function scalarOf(record: KeyRecord): Buffer {
  const scalar = Buffer.from(String(record.scalar), 'base64url');
  if (record.algorithm === 'P-256' && scalar.length === SCALAR_OCTETS) return scalar;
  throw badKey(`${record.algorithm} of ${scalar.length}`);
}

function privateKey(scalar: Buffer): KeyObject {
  const exchange = createECDH('prime256v1');
  try {
    exchange.setPrivateKey(scalar);
  } catch {
    throw badKey('a number that is none');
  }
  // Uncompressed: 0x04 and both coordinates (RFC 5480 §2.2).
  const point = exchange.getPublicKey();
  const text = (number: Buffer) => number.toString('base64url');
  const [x, y] = [point.subarray(1, 1 + SCALAR_OCTETS), point.subarray(1 + SCALAR_OCTETS)];
  const key = { kty: 'EC', crv: 'P-256', d: text(scalar), x: text(x), y: text(y) };
  return createPrivateKey({ key, format: 'jwk' });
}

/** The stored certificate, where it is one for this key and these names. */
function usable(
  { names, certificate }: CertificateRecord,
  key: KeyObject,
  wanted: CertificateNames,
): Uint8Array | undefined {
  try {
    const der = Buffer.from(certificate, 'base64');
    const same = JSON.stringify(names) === JSON.stringify(wanted);
    return same && new X509Certificate(der).checkPrivateKey(key) ? der : undefined;
  } catch {
    return undefined;
  }
}

function badKey(found: string): CodedError {
  return new CodedError(
    'BAD_IDENTITY',
    `expected a P-256 key of ${SCALAR_OCTETS} octets in ${KEY_RECORD}, found ${found}`,
    {
      remedy: 'Put a good copy back, or delete the record: the phone then gets a new certificate.',
    },
  );
}
