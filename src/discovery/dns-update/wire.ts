/** The octets of DNS messages, as far as updates need them (RFC 1035 §4.1): names without compression, in lower case. */
import { CodedError } from '../../core/errors.js';
import { labelsOf } from '../mdns/dns-name.js';

/** RFC 1035 §2.3.4, in octets. */
const MAX_LABEL = 63;
const MAX_NAME = 255;

/**
 * As it is signed and compared (RFC 4034 §6.2): a final dot makes no difference.
 *
 * @throws {CodedError} `BAD_DNS_NAME`
 */
export function nameOctets(name: string): Uint8Array {
  const labels = labelsOf(name.toLowerCase().replace(/\.$/, '')).map(label => Buffer.from(label));
  const octets = Buffer.concat([
    ...labels.flatMap(label => [Uint8Array.of(label.length), label]),
    Uint8Array.of(0),
  ]);
  const isName = labels.every(({ length }) => length > 0 && length <= MAX_LABEL);
  if (isName && octets.length <= MAX_NAME) return octets;
  throw new CodedError('BAD_DNS_NAME', `expected a domain name, found "${name}"`, {
    remedy: 'Write labels of 1 to 63 octets with dots between them: home.example.net.',
  });
}

export function words(...values: readonly number[]): Uint8Array {
  const octets = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) octets.writeUInt16BE(value, 2 * i);
  return octets;
}

/** Every read beyond the end is a RangeError. */
export class WireReader {
  readonly #octets: Buffer;
  at: number;

  constructor(octets: Uint8Array, at = 0) {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    this.at = at;
  }

  word(): number {
    const word = this.#octets.readUInt16BE(this.at);
    this.at += 2;
    return word;
  }

  /** Seconds since 1970 in 48 bits (RFC 8945 §4.2). */
  time(): number {
    const time = this.#octets.readUIntBE(this.at, 6);
    this.at += 6;
    return time;
  }

  take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.#octets.length) throw new RangeError('beyond the end');
    const taken = Uint8Array.prototype.slice.call(this.#octets, this.at, end);
    this.at = end;
    return taken;
  }

  /** Without compression, as `nameOctets` writes it; what is compressed is read past, and equals none. */
  name(): Uint8Array | undefined {
    const start = this.at;
    for (;;) {
      const length = this.#octets.readUInt8(this.at++);
      if (length === 0) {
        const octets = this.#octets.subarray(start, this.at);
        return Buffer.from(octets.map(octet => (octet >= 65 && octet <= 90 ? octet + 32 : octet)));
      }
      if (length > MAX_LABEL) {
        if (length < 0xc0) throw new RangeError('neither label nor pointer');
        this.at++;
        return undefined;
      }
      this.at += length;
    }
  }
}
