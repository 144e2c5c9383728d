/** Randomness comes in from outside: the operating system's on a device, a seeded one in the simulator. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** `size` random octets. */
  bytes(size: number): Uint8Array;
}

export class SystemRandom implements Random {
  bytes(size: number): Uint8Array {
    return randomBytes(size);
  }
}

/** Lower-case hexadecimal of `octets` random octets: tags, branches, Call-IDs. */
export function randomToken(random: Random, octets: number): string {
  return Buffer.from(random.bytes(octets)).toString('hex');
}

/** An unsigned integer below 2^32. */
export function randomUint32(random: Random): number {
  const octets = random.bytes(4);
  return new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0);
}

/** A number in [0, 1). */
export function randomUnit(random: Random): number {
  return randomUint32(random) / 2 ** 32;
}
