/**
 * A process that does nothing but look at the clock, beside those that are measured: when it stands still,
 * so did the machine, and a measurement of that time says nothing about the phones.
 */
import { startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';

/** It looks this often, in ms. */
const LOOK_MS = 2;
/** A stall longer than a jitter buffer's least slack (20 ms) is heard by whoever is on the phone then. */
export const HARMFUL_STALL_MS = 20;
/** A measurement the machine spoilt is made again, so often in all. */
const ATTEMPTS = 3;

const PROGRAM = `
let due = performance.now() + ${LOOK_MS};
let longest = 0;
let harmful = 0;
const look = () => {
  const now = performance.now();
  longest = Math.max(longest, now - due);
  if (now - due >= ${HARMFUL_STALL_MS}) harmful += now - due;
  due = now + ${LOOK_MS};
  setTimeout(look, ${LOOK_MS});
};
setTimeout(look, ${LOOK_MS});
process.on('SIGTERM', () => { console.log('stall ' + longest + ' all ' + harmful); process.exit(0); });
`;

export interface Witnessed<T> {
  readonly result: T;
  /** The longest time the machine stood still meanwhile, in ms. */
  readonly stallMs: number;
  /** Of the harmful stalls all together, in ms. */
  readonly stalledMs: number;
  readonly attempts: number;
}

/**
 * Measures, and measures again where `good` says no, or what was waited for did not come, and the machine
 * stood still meanwhile.
 *
 * @param harmfulMs what a stall does harm from
 * @throws {PlainFailure} that of the last attempt
 */
export async function witnessed<T>(
  cleanup: Cleanup,
  measure: (attempt: number) => Promise<T>,
  good: (result: T) => boolean,
  harmfulMs = HARMFUL_STALL_MS,
): Promise<Witnessed<T>> {
  for (let attempt = 1; ; attempt++) {
    const witness = startChild(cleanup, [process.execPath, '-e', PROGRAM]);
    const found = await orFailure(measure(attempt));
    await witness.stop();
    const [, longest = 0, all = 0] = /stall ([\d.]+) all ([\d.]+)/.exec(witness.output()) ?? [];
    const [stallMs, stalledMs] = [Number(longest), Number(all)];
    const isFailure = found instanceof PlainFailure;
    const isLast = stallMs < harmfulMs || attempt === ATTEMPTS;
    if (isFailure ? isLast : isLast || good(found.result)) {
      if (isFailure) throw found;
      return { result: found.result, stallMs, stalledMs, attempts: attempt };
    }
    console.error(`the machine stood still for ${stallMs.toFixed(0)} ms meanwhile: measured again`);
  }
}

async function orFailure<T>(measured: Promise<T>): Promise<{ result: T } | PlainFailure> {
  try {
    return { result: await measured };
  } catch (error) {
    if (error instanceof PlainFailure) return error;
    throw error;
  }
}

/**
 * Samples that may be missing from a call, or made up in it, where every attempt was spoilt: a stall takes what is said
 * meanwhile, and as much again until the buffers are as they were. None on a machine that did not stand still.
 */
export function spoiltSamples({ stalledMs }: Witnessed<unknown>, sampleRate: number): number {
  return Math.round((2 * stalledMs * sampleRate) / 1000);
}
