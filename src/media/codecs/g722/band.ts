/**
 * One band of ITU-T G.722: the adaptive predictor and scale factor that encoder and decoder keep
 * alike, by integers of 16 bits held in an Int32Array. Names in brackets are those of the Recommendation.
 */
import { INVERSE_LOGARITHM } from './tables.js';

/** Places in the state. */
const SIGNAL = 0; // what is predicted (S)
const ZERO_SIGNAL = 1; // its part from the six zeros (SZ)
const R1 = 2; // the last two reconstructed signals, doubled (RLT)
const R2 = 3;
const P1 = 4; // the last two partly reconstructed ones, of which the signs count (PLT)
const P2 = 5;
const A1 = 6; // coefficients of the poles (AL)
const A2 = 7;
const B = 8; // six coefficients of the zeros (BL)
const D = 14; // the last six differences, doubled (DLT)
export const LOG_SCALE = 20; // logarithmic scale factor (NB)
export const SCALE = 21; // linear scale factor (DET)
const STATE_LENGTH = 22;

export { SIGNAL };

/** @param scale the scale factor to begin with: 32 in the lower band, 8 in the higher (table 13) */
export function newBand(scale: number): Int32Array {
  const state = new Int32Array(STATE_LENGTH);
  state[SCALE] = scale;
  return state;
}

/**
 * Blocks 3 and 4: takes the quantised difference, adapts, and predicts the next signal.
 *
 * @param difference quantised, of 16 bits
 * @param step growth of the logarithmic scale factor
 * @param maxLogScale 18432 in the lower band, 22528 in the higher
 * @param shift 8 in the lower band, 10 in the higher
 */
export function adapt(
  state: Int32Array,
  difference: number,
  step: number,
  maxLogScale: number,
  shift: number,
): void {
  // LOGSC, SCALE
  let log = ((Math.imul(state[LOG_SCALE]!, 127) >> 7) + step) | 0;
  if (log < 0) log = 0;
  else if (log > maxLogScale) log = maxLogScale;
  state[LOG_SCALE] = log;
  const mantissa = INVERSE_LOGARITHM[(log >> 6) & 31]!;
  const down = shift - (log >> 11);
  state[SCALE] = (down < 0 ? mantissa << -down : mantissa >> down) << 2;

  // RECONS, PARREC
  const reconstructed = saturate((state[SIGNAL]! + difference) | 0);
  const partly = saturate((state[ZERO_SIGNAL]! + difference) | 0);

  // UPPOL2, UPPOL1
  const p1 = state[P1]!;
  const a1 = state[A1]!;
  const sameAsLast = (partly ^ p1) >= 0;
  let quarter = saturate(a1 << 2);
  if (sameAsLast) quarter = quarter === -32768 ? 32767 : -quarter | 0;
  const sameAsBefore = (partly ^ state[P2]!) >= 0 ? 128 : -128;
  let a2 = ((quarter >> 7) + sameAsBefore + (Math.imul(state[A2]!, 32512) >> 15)) | 0;
  if (a2 > 12288) a2 = 12288;
  else if (a2 < -12288) a2 = -12288;
  const limit = (15360 - a2) | 0;
  let pole = ((sameAsLast ? 192 : -192) + (Math.imul(a1, 32640) >> 15)) | 0;
  if (pole > limit) pole = limit;
  else if (pole < -limit) pole = -limit | 0;
  state[A1] = pole;
  state[A2] = a2;
  state[P2] = p1;
  state[P1] = partly;

  // UPZERO, FILTEZ: each coefficient goes towards where its difference has the sign of the newest one.
  const doubled = saturate(difference << 1);
  const growth = difference === 0 ? 0 : 128;
  const d1 = state[D]!;
  const d2 = state[D + 1]!;
  const d3 = state[D + 2]!;
  const d4 = state[D + 3]!;
  const d5 = state[D + 4]!;
  const d6 = state[D + 5]!;
  const b1 = towards(state[B]!, doubled, d1, growth);
  const b2 = towards(state[B + 1]!, doubled, d2, growth);
  const b3 = towards(state[B + 2]!, doubled, d3, growth);
  const b4 = towards(state[B + 3]!, doubled, d4, growth);
  const b5 = towards(state[B + 4]!, doubled, d5, growth);
  const b6 = towards(state[B + 5]!, doubled, d6, growth);
  state[B] = b1;
  state[B + 1] = b2;
  state[B + 2] = b3;
  state[B + 3] = b4;
  state[B + 4] = b5;
  state[B + 5] = b6;
  state[D] = doubled;
  state[D + 1] = d1;
  state[D + 2] = d2;
  state[D + 3] = d3;
  state[D + 4] = d4;
  state[D + 5] = d5;
  const zeros = saturate(
    ((Math.imul(b1, doubled) >> 15) +
      (Math.imul(b2, d1) >> 15) +
      (Math.imul(b3, d2) >> 15) +
      (Math.imul(b4, d3) >> 15) +
      (Math.imul(b5, d4) >> 15) +
      (Math.imul(b6, d5) >> 15)) |
      0,
  );
  state[ZERO_SIGNAL] = zeros;

  // FILTEP, PREDIC
  const r2 = state[R1]!;
  const r1 = saturate(reconstructed << 1);
  state[R2] = r2;
  state[R1] = r1;
  const poles = saturate(((Math.imul(pole, r1) >> 15) + (Math.imul(a2, r2) >> 15)) | 0);
  state[SIGNAL] = saturate((poles + zeros) | 0);
}

function towards(b: number, newest: number, past: number, growth: number): number {
  const sign = (newest ^ past) >> 31;
  return ((Math.imul(b, 32640) >> 15) + ((growth ^ sign) - sign)) | 0;
}

function saturate(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}
