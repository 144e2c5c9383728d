/**
 * Frames from one media thread to another through shared memory: one writes, one reads, nobody waits. Two frames are
 * kept ready, since the threads' clocks tick at different moments; what is more is dropped, so the delay stays.
 */
import { FRAME_MS, type NodeBehaviour } from './graph.js';

/** Frames there is room for. */
const SLOTS = 8;
/** Waited for after there was nothing. */
const READY = 2;
/** Beyond this the oldest are dropped. */
const MOST = 4;
/** Places of the two counters. */
const WRITTEN = 0;
const READ = 1;
const COUNTER_OCTETS = 8;

/** Shared memory for one direction. @param rate in Hz */
export function newPipeMemory(rate: number): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTER_OCTETS + SLOTS * samplesOf(rate) * 2);
}

function samplesOf(rate: number): number {
  return (rate * FRAME_MS) / 1000;
}

class Direction {
  readonly #counters: Int32Array;
  readonly #samples: Int16Array;
  #playing = false;

  constructor(memory: SharedArrayBuffer) {
    this.#counters = new Int32Array(memory, 0, 2);
    this.#samples = new Int16Array(memory, COUNTER_OCTETS);
  }

  /** What does not fit is lost: nobody reads. */
  write(frame: Int16Array): void {
    const written = Atomics.load(this.#counters, WRITTEN);
    if (written - Atomics.load(this.#counters, READ) >= SLOTS) return;
    this.#samples.set(frame, (written % SLOTS) * frame.length);
    Atomics.store(this.#counters, WRITTEN, written + 1);
  }

  read(frame: Int16Array): void {
    let read = Atomics.load(this.#counters, READ);
    const ready = Atomics.load(this.#counters, WRITTEN) - read;
    this.#playing = ready > 0 && (this.#playing || ready >= READY);
    if (!this.#playing) {
      frame.fill(0);
      return;
    }
    if (ready > MOST) read += ready - READY;
    const at = (read % SLOTS) * frame.length;
    for (let i = 0; i < frame.length; i++) frame[i] = this.#samples[at + i]!;
    Atomics.store(this.#counters, READ, read + 1);
  }
}

export interface PipeMemory {
  /** What the other thread writes; absent on an end that only says. */
  readonly hears?: SharedArrayBuffer;
  readonly says?: SharedArrayBuffer;
}

/** One end of a pipe, as a node of its thread's graph: it brings what is said at the other end. */
export function pipeEnd({ hears, says }: PipeMemory): NodeBehaviour {
  const from = hears && new Direction(hears);
  const to = says && new Direction(says);
  return {
    ...(from && { produce: (frame: Int16Array) => from.read(frame) }),
    ...(to && { consume: (frame: Int16Array) => to.write(frame) }),
  };
}
