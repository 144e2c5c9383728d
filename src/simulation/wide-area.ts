/**
 * How far hosts of a wide-area network are from each other: places on a plane and a last mile each, as
 * network coordinates have it (Dabek et al., "Vivaldi", SIGCOMM 2004), and paths that are not straight.
 * Round trips come to 76 ms in the median, as among the 192 hosts of PlanetLab measured there, and 80 in
 * the mean; a tenth are above 129.
 */
import type { SeededRandom } from './seeded-random.js';

const PLANE_MS = 128.5;
/** Median of the last mile, there and back, and the spread of its logarithm. */
const LAST_MILE_MS = 4;
const LAST_MILE_SIGMA = 0.7;
/** Of the logarithm of what a path takes against the straight one. */
const DETOUR_SIGMA = 0.2;
/** Queues: added to each message, exponential, in the mean. */
const QUEUE_MS = 1;

export class WideArea {
  readonly #x: number[] = [];
  readonly #y: number[] = [];
  readonly #lastMile: number[] = [];

  /** A new host of this number, which says how its paths bend; its place is drawn from `random`. */
  add(host: number, random: SeededRandom): void {
    this.#x[host] = random.unit() * PLANE_MS;
    this.#y[host] = random.unit() * PLANE_MS;
    this.#lastMile[host] = LAST_MILE_MS * Math.exp(LAST_MILE_SIGMA * normal(random));
  }

  /** There and back without queues, in milliseconds. */
  rttMs(one: number, other: number): number {
    if (one === other) return 0.1;
    const straight = Math.hypot(this.#x[one]! - this.#x[other]!, this.#y[one]! - this.#y[other]!);
    const detour = Math.exp(DETOUR_SIGMA * pairNormal(one, other));
    return straight * detour + this.#lastMile[one]! + this.#lastMile[other]!;
  }

  /** One message's way. */
  delayMs(from: number, to: number, random: SeededRandom): number {
    if (from === to) return 0.05;
    return this.rttMs(from, to) / 2 - QUEUE_MS * Math.log(1 - random.unit());
  }
}

function normal(random: SeededRandom): number {
  const length = Math.sqrt(-2 * Math.log(1 - random.unit()));
  return length * Math.cos(2 * Math.PI * random.unit());
}

/** The same for both directions, and each time: near enough to normal, from a hash of the pair. */
function pairNormal(one: number, other: number): number {
  let hash =
    Math.imul(Math.min(one, other) + 1, 0x9e3779b1) ^ Math.imul(Math.max(one, other), 0x85ebca6b);
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 13;
    sum += (hash >>> 0) / 2 ** 32;
  }
  return (sum - 1.5) * 2;
}
