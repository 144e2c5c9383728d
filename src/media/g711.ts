/**
 * G.711 by table: one look-up a sample. Bit-exact to ITU-T G.711 in the convention of the G.191
 * software tools: a negative sample is coded by its one's complement, so the two signs of a
 * magnitude share no code and -1 codes as "negative zero". (The other convention, which negates,
 * differs in 127 of 65536 µ-law inputs, all on decision points.)
 */

/** Even bits of an A-law octet are inverted on the line, G.711 §3. */
const A_LAW_LINE_MASK = 0x55;
/** G.711 Table 2: the offset which makes µ-law segments start at powers of two, in 14-bit units. */
const MU_LAW_BIAS = 33;
/** Largest biased 14-bit magnitude. */
const MU_LAW_CLIP = 0x1fff;

const muLawDecoded = Int16Array.from({ length: 256 }, (_, code) => decodeMuLaw(code));
const aLawDecoded = Int16Array.from({ length: 256 }, (_, code) => decodeALaw(code));
/** Indexed by the 14 bits that count. */
const muLawEncoded = Uint8Array.from({ length: 1 << 14 }, (_, index) =>
  encodeMuLaw((index << 18) >> 18),
);
/** Indexed by the 12 bits that count. */
const aLawEncoded = Uint8Array.from({ length: 1 << 12 }, (_, index) =>
  encodeALaw((index << 20) >> 20),
);

/** Encodes 16-bit samples to `out` from `at`, one octet each; returns the octets written. */
export function muLawEncode(samples: Int16Array, out: Uint8Array, at: number): number {
  for (let i = 0; i < samples.length; i++) out[at + i] = muLawEncoded[(samples[i]! >> 2) & 0x3fff]!;
  return samples.length;
}

/** Decodes `octets` octets of `data` from `from` to a sample each, to `out` from `at`; returns the samples written. */
export function muLawDecode(
  data: Uint8Array,
  from: number,
  octets: number,
  out: Int16Array,
  at: number,
): number {
  for (let i = 0; i < octets; i++) out[at + i] = muLawDecoded[data[from + i]!]!;
  return octets;
}

/** Encodes 16-bit samples to `out` from `at`, one octet each; returns the octets written. */
export function aLawEncode(samples: Int16Array, out: Uint8Array, at: number): number {
  for (let i = 0; i < samples.length; i++) out[at + i] = aLawEncoded[(samples[i]! >> 4) & 0xfff]!;
  return samples.length;
}

/** Decodes `octets` octets of `data` from `from` to a sample each, to `out` from `at`; returns the samples written. */
export function aLawDecode(
  data: Uint8Array,
  from: number,
  octets: number,
  out: Int16Array,
  at: number,
): number {
  for (let i = 0; i < octets; i++) out[at + i] = aLawDecoded[data[from + i]!]!;
  return octets;
}

/** @param sample 14-bit linear */
function encodeMuLaw(sample: number): number {
  const negative = sample < 0;
  const magnitude = Math.min((negative ? ~sample : sample) + MU_LAW_BIAS, MU_LAW_CLIP);
  const segment = 26 - Math.clz32(magnitude);
  const step = (magnitude >> (segment + 1)) & 0xf;
  return ~((negative ? 0x80 : 0) | (segment << 4) | step) & 0xff;
}

function decodeMuLaw(code: number): number {
  const inverted = ~code;
  const segment = (inverted >> 4) & 0x7;
  const magnitude = ((((inverted & 0xf) << 1) + MU_LAW_BIAS) << segment) - MU_LAW_BIAS;
  return (inverted & 0x80 ? -magnitude : magnitude) << 2;
}

/** @param sample 12-bit linear */
function encodeALaw(sample: number): number {
  const negative = sample < 0;
  const magnitude = negative ? ~sample : sample;
  const segment = Math.max(0, 28 - Math.clz32(magnitude));
  const step = (magnitude >> Math.max(0, segment - 1)) & 0xf;
  return ((negative ? 0 : 0x80) | (segment << 4) | step) ^ A_LAW_LINE_MASK;
}

function decodeALaw(code: number): number {
  const plain = code ^ A_LAW_LINE_MASK;
  const segment = (plain >> 4) & 0x7;
  const step = ((plain & 0xf) << 4) + 8;
  const magnitude = segment === 0 ? step : (step + 0x100) << (segment - 1);
  return plain & 0x80 ? magnitude : -magnitude;
}
