/** Breaks octets in the ways that break parsers. */
import type { SeededRandom } from '../../src/simulation/seeded-random.js';

/** What parsers stumble over when it stands where they do not expect it. */
const TOKENS = [
  ...['\r\n', '\n', '\r\n\r\n', '\r\n ', '\0', '"', '\\', '<', '>', ';', ',', ':', '@', '%', '%00'],
  ...['[', ']', '*', '=', '\t', '\u00ff', '4294967296', '-1', '99999999999999999999', 'SIP/2.0'],
].map(token => Buffer.from(token, 'latin1'));

/** At most so many injuries to one message. */
const MAX_INJURIES = 4;

type Injury = (random: SeededRandom, octets: Buffer) => Buffer;

const injuries: readonly Injury[] = [
  // one octet becomes another
  (random, octets) => {
    const changed = Buffer.from(octets);
    changed[below(random, octets.length)] = below(random, 256);
    return changed;
  },
  // cut off
  (random, octets) => octets.subarray(0, below(random, octets.length)),
  // a stretch is missing
  (random, octets) => {
    const [from, to] = stretchOf(random, octets);
    return Buffer.concat([octets.subarray(0, from), octets.subarray(to)]);
  },
  // a stretch comes twice
  (random, octets) => {
    const [from, to] = stretchOf(random, octets);
    return Buffer.concat([octets.subarray(0, to), octets.subarray(from)]);
  },
  // something slips in
  (random, octets) => {
    const at = below(random, octets.length);
    return Buffer.concat([octets.subarray(0, at), one(random, TOKENS), octets.subarray(at)]);
  },
  // a line takes another's place
  (random, octets) => {
    const lines = octets.toString('latin1').split('\r\n');
    lines[below(random, lines.length)] = one(random, lines);
    return Buffer.from(lines.join('\r\n'), 'latin1');
  },
];

export function mutate(random: SeededRandom, octets: Buffer): Buffer {
  let broken = octets;
  for (let n = 1 + below(random, MAX_INJURIES); n > 0 && broken.length > 0; n--) {
    broken = one(random, injuries)(random, broken);
  }
  return broken;
}

/** A whole number from 0 to `limit` - 1. */
export function below(random: SeededRandom, limit: number): number {
  return Math.floor(random.unit() * limit);
}

export function one<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[below(random, choices.length)]!;
}

function stretchOf(random: SeededRandom, octets: Buffer): [from: number, to: number] {
  const from = below(random, octets.length);
  return [from, from + below(random, octets.length - from)];
}
