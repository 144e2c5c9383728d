/** Writes ASN.1 in its distinguished encoding (DER, ITU-T X.690 §8 and §10): as much of it as certificates need. */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** One element; text is written in UTF-8. */
export function element(tag: number, ...contents: readonly (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(contents.map(part => Buffer.from(part as string)));
  return Buffer.concat([Buffer.of(tag), lengthOf(content), content]);
}

/** `[number]` of a CHOICE or an optional field; `constructed` where it wraps whole elements. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

export function sequence(...elements: readonly Uint8Array[]): Buffer {
  return element(TAG.sequence, ...elements);
}

/** @param magnitude of a number that is not negative, most significant octet first */
export function unsignedInteger(magnitude: Uint8Array): Buffer {
  const first = magnitude.findIndex(octet => octet !== 0);
  const digits = first < 0 ? Uint8Array.of(0) : magnitude.subarray(first);
  // A first bit of 1 would mean a negative number.
  const sign = (digits[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array();
  return element(TAG.integer, sign, digits);
}

/** @param dotted as it is written: `2.5.29.17` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  return element(
    TAG.objectIdentifier,
    Uint8Array.from([40 * first + second, ...others].flatMap(base128)),
  );
}

/** @param unused bits at the end of the last octet */
export function bitString(content: Uint8Array, unused = 0): Buffer {
  return element(TAG.bitString, Uint8Array.of(unused), content);
}

function lengthOf({ length }: Uint8Array): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Buffer.of(0x80 | octets.length, ...octets);
}

/** Seven bits an octet; all but the last have the first bit set. */
function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    octets.unshift((rest % 128) + 128);
  }
  return octets;
}
