/** The quadrature mirror filters of ITU-T G.722 §3.1 and §4.4: 16 kHz to two bands at 8 kHz and back. */

/** Values that each pair of outputs needs from before itself. */
export const HISTORY = 22;

// Table 4: 24 taps, symmetric, so the first half says all. Written out: a table costs twice the time.
const [H0, H1, H2, H3, H4, H5] = [3, -11, 12, 32, -210, 951] as const;
const [H6, H7, H8, H9, H10, H11] = [3876, -805, 362, -156, 53, -11] as const;

/** Taps of even place, over the 23 values from `at` on. */
function evenTaps(x: Int32Array, at: number): number {
  return (
    (Math.imul(x[at]!, H0) +
      Math.imul(x[at + 2]!, H1) +
      Math.imul(x[at + 4]!, H2) +
      Math.imul(x[at + 6]!, H3) +
      Math.imul(x[at + 8]!, H4) +
      Math.imul(x[at + 10]!, H5) +
      Math.imul(x[at + 12]!, H6) +
      Math.imul(x[at + 14]!, H7) +
      Math.imul(x[at + 16]!, H8) +
      Math.imul(x[at + 18]!, H9) +
      Math.imul(x[at + 20]!, H10) +
      Math.imul(x[at + 22]!, H11)) |
    0
  );
}

/** Those of odd place: the same ones backward. */
function oddTaps(x: Int32Array, at: number): number {
  return (
    (Math.imul(x[at + 1]!, H11) +
      Math.imul(x[at + 3]!, H10) +
      Math.imul(x[at + 5]!, H9) +
      Math.imul(x[at + 7]!, H8) +
      Math.imul(x[at + 9]!, H7) +
      Math.imul(x[at + 11]!, H6) +
      Math.imul(x[at + 13]!, H5) +
      Math.imul(x[at + 15]!, H4) +
      Math.imul(x[at + 17]!, H3) +
      Math.imul(x[at + 19]!, H2) +
      Math.imul(x[at + 21]!, H1) +
      Math.imul(x[at + 23]!, H0)) |
    0
  );
}

/**
 * Splits the samples after the first `HISTORY` of `samples` into `bands`, low and high in turn, and
 * keeps the last ones for the next time.
 *
 * @param count even
 */
export function splitBands(samples: Int32Array, count: number, bands: Int32Array): void {
  for (let at = 0; at < count; at += 2) {
    const even = evenTaps(samples, at);
    const odd = oddTaps(samples, at);
    bands[at] = (odd + even) >> 14;
    bands[at + 1] = (odd - even) >> 14;
  }
  samples.copyWithin(0, count, count + HISTORY);
}

/** Joins sums and differences of the bands, in turn after the first `HISTORY` of `bands`, to samples. */
export function joinBands(bands: Int32Array, count: number, out: Int16Array, to: number): void {
  for (let at = 0; at < count; at += 2) {
    out[to + at] = saturate(oddTaps(bands, at) >> 11);
    out[to + at + 1] = saturate(evenTaps(bands, at) >> 11);
  }
  bands.copyWithin(0, count, count + HISTORY);
}

function saturate(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}
