/** The numbers of ITU-T G.722 (2012). */

/** Decision levels of the 60-level quantiser of the lower band, table 7 (Q6), in 1/4096 of the scale factor. */
export const LOW_DECISIONS = Int32Array.of(
  ...[0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650],
  ...[714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919],
  // Above every magnitude: their number is made a power of two.
  ...[65_535, 65_535],
);

/** Code of each interval from such a level to the next where the difference is positive (ILP), then where it is negative (ILN). */
export const LOW_CODES = Uint8Array.from({ length: 64 }, (_, i) => {
  if (i < 30) return 61 - i;
  if (i === 32 || i === 33) return 95 - i;
  return 65 - i;
});

/** What the six bits of the lower band stand for, table 9 (QQ6 by its code), in 1/32768 of the scale factor. */
export const LOW_VALUES_6_BITS = Int32Array.of(
  ...[-136, -136, -136, -136, -24808, -21904, -19008, -16704],
  ...[-14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856],
  ...[-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576],
  ...[-3168, -2776, -2400, -2032, -1688, -1360, -1040, -728],
  ...[24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192],
  ...[10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456],
  ...[4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032],
  ...[1688, 1360, 1040, 728, 432, 136, -432, -136],
);

/** What the upper four of them stand for: both sides adapt by these alone, table 11 (QQ4). */
export const LOW_VALUES_4_BITS = Int32Array.of(
  ...[0, -20456, -12896, -8968, -6288, -4240, -2584, -1200],
  ...[20456, 12896, 8968, 6288, 4240, 2584, 1200, 0],
);

/** By the upper four bits, what the logarithmic scale factor grows by; tables 12 and 13 (WL by RIL). */
export const LOW_STEPS = Int32Array.of(
  ...[-60, 3042, 1198, 538, 334, 172, 58, -30],
  ...[3042, 1198, 538, 334, 172, 58, -30, -60],
);

/** The same for the two bits of the higher band, tables 10 and 14 (QQ2, WH). */
export const HIGH_VALUES = Int32Array.of(-7408, -1616, 7408, 1616);
export const HIGH_STEPS = Int32Array.of(798, -214, 798, -214);
/** The one decision level of the higher band, table 8 (Q2). */
export const HIGH_DECISION = 564;

/** From the fraction of a logarithmic scale factor to a linear one, table 15 (ILB): 2^(i/32) from 2048. */
export const INVERSE_LOGARITHM = Int32Array.from({ length: 32 }, (_, i) =>
  Math.round(2048 * 2 ** (i / 32)),
);
