/** Turns a sum of voices down where it would not fit 16 bits, without a step, and slowly up again. */
const FULL_SCALE = 32767;
/** What the gain grows by each frame: 13 dB a second at 20 ms. */
const RELEASE = 1.03;

export class Limiter {
  #gain = 1;

  /** Writes `sum` to `out`, sample by sample where it fits. */
  limit(sum: Int32Array, out: Int16Array): void {
    const before = this.#gain;
    let peak = 0;
    let firstOver = -1;
    for (let i = 0; i < sum.length; i++) {
      const sample = sum[i]!;
      // The negative side has room for one more.
      const magnitude = sample < 0 ? -1 - sample : sample;
      if (magnitude > peak) peak = magnitude;
      if (firstOver < 0 && magnitude * before > FULL_SCALE) firstOver = i;
    }
    if (before === 1 && firstOver < 0) {
      for (let i = 0; i < sum.length; i++) out[i] = sum[i]!;
      return;
    }
    const fits = peak > FULL_SCALE ? FULL_SCALE / peak : 1;
    const after = firstOver < 0 ? Math.min(fits, before * RELEASE) : fits;
    // Turning down has to be done by the first sample that does not fit.
    const ramp = firstOver < 0 ? sum.length : firstOver;
    for (let i = 0; i < sum.length; i++) {
      const gain = i < ramp ? before + ((after - before) * i) / ramp : after;
      out[i] = saturated(Math.round(sum[i]! * gain));
    }
    this.#gain = after;
  }
}

export function saturated(sample: number): number {
  return sample > FULL_SCALE ? FULL_SCALE : sample < -FULL_SCALE - 1 ? -FULL_SCALE - 1 : sample;
}
