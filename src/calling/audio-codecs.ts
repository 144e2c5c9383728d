/** The codecs a phone can be told to speak, and what it says of them in SDP. */
import { CodedError } from '../core/errors.js';
import { readOpusParameters } from '../media/codecs/opus/fmtp.js';
import type { PayloadFormat } from '../media/engine.js';
import {
  type AgreedFormats,
  type AudioFormat,
  COMFORT_NOISE,
  TELEPHONE_EVENT,
} from '../sip/audio-formats.js';
import type { SilencePolicy } from './silence.js';

/** As settings name them. `opus-fullband` is Opus at 48 kHz, where the other side plays that too. */
export const CODEC_NAMES = ['opus', 'opus-fullband', 'g722', 'pcmu', 'pcma', 'l16'] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

/** What this phone speaks, best first, where nobody says otherwise. */
export const DEFAULT_CODECS: readonly CodecName[] = ['opus', 'g722', 'pcmu', 'pcma'];

/** Of Opus as it is coded here, in Hz. */
const WIDEBAND_RATE = 16_000;
const FULLBAND_RATE = 48_000;
/** Frame lengths of Opus (RFC 6716 §2.1.4) that the media graph fills. */
const OPUS_LENGTHS_MS: readonly number[] = [10, 20, 40, 60];

/** Dynamic numbers (RFC 3551 §6): those of habit for Opus and telephone-event, free ones for the rest. */
const OPUS: AudioFormat = {
  name: 'opus',
  payloadType: 96,
  clockRate: 48_000,
  channels: 2,
  packetLengthsMs: OPUS_LENGTHS_MS,
};
const FORMATS: Readonly<Record<CodecName, readonly AudioFormat[]>> = {
  opus: [{ ...OPUS, fmtp: opusParameters(WIDEBAND_RATE) }],
  'opus-fullband': [{ ...OPUS, fmtp: opusParameters(FULLBAND_RATE) }],
  g722: [{ name: 'G722', payloadType: 9, clockRate: 8000 }],
  pcmu: [{ name: 'PCMU', payloadType: 0, clockRate: 8000 }],
  pcma: [{ name: 'PCMA', payloadType: 8, clockRate: 8000 }],
  l16: [
    { name: 'L16', payloadType: 97, clockRate: 16_000, packetLengthsMs: [10, 20, 30, 40] },
    { name: 'L16', payloadType: 98, clockRate: 8000 },
    // 20 ms would not fit in an Ethernet frame.
    { name: 'L16', payloadType: 99, clockRate: 48_000, packetLengthsMs: [10] },
  ],
};
/** Taken, where the speech has this clock. */
const NOISE: AudioFormat = { name: COMFORT_NOISE, payloadType: 13, clockRate: 8000 };
/** One for each clock there is speech of (RFC 4733 §2.1). */
const EVENT_NUMBERS: readonly [clockRate: number, payloadType: number][] = [
  [8000, 101],
  [48_000, 102],
  [16_000, 103],
];
/** The twelve keys and A to D (RFC 4733 §3.2). */
const EVENT_PARAMETERS = '0-15';

/** What is offered and accepted: speech in this order, then what goes with it. */
export function audioFormats(
  names: readonly CodecName[],
  silence: SilencePolicy = 'send',
): AudioFormat[] {
  const speech = names
    .flatMap(name => FORMATS[name])
    .map(format => (silence === 'suppress' ? withDtx(format) : format));
  // Both kinds of Opus have one number, and one of them is enough.
  const once = speech.filter(
    (format, at) => speech.findIndex(other => other.payloadType === format.payloadType) === at,
  );
  const hasClock = (rate: number) => once.some(({ clockRate }) => clockRate === rate);
  const events = EVENT_NUMBERS.filter(([clockRate]) => hasClock(clockRate)).map(
    ([clockRate, payloadType]): AudioFormat => ({
      name: TELEPHONE_EVENT,
      payloadType,
      clockRate,
      fmtp: EVENT_PARAMETERS,
    }),
  );
  return [...once, ...(hasClock(NOISE.clockRate) ? [NOISE] : []), ...events];
}

/** @throws {CodedError} `UNKNOWN_CODEC` */
export function parseCodecName(text: string): CodecName {
  const name = CODEC_NAMES.find(known => known === text.toLowerCase());
  if (name) return name;
  throw new CodedError(
    'UNKNOWN_CODEC',
    `expected one of ${CODEC_NAMES.join(', ')}, found "${text}"`,
  );
}

/** What the leg sends and takes, by what was agreed on. */
export function payloadFormat(
  { format, ptimeMs }: AgreedFormats,
  ours: readonly AudioFormat[],
  silence: SilencePolicy = 'send',
): PayloadFormat {
  const { name, payloadType } = format;
  const fmtp = silence === 'suppress' ? format.fmtp : withoutDtx(format.fmtp);
  const sampleRate = sampleRateOf(format, ours);
  return {
    name,
    payloadType,
    ptimeMs,
    ...(fmtp !== undefined && { fmtp }),
    ...(sampleRate !== undefined && { sampleRate }),
  };
}

/** Where a codec has several, in Hz. */
function sampleRateOf(
  { name, clockRate, fmtp }: AudioFormat,
  ours: readonly AudioFormat[],
): number | undefined {
  if (name === 'L16') return clockRate;
  if (name !== OPUS.name) return undefined;
  const own = ours.find(format => format.name === name);
  const both = [own?.fmtp, fmtp].map(text => readOpusParameters(text).maxPlaybackRate);
  return Math.min(...both) > WIDEBAND_RATE ? FULLBAND_RATE : WIDEBAND_RATE;
}

/** RFC 7587 §6.1: what we play and record, and that we can use in-band FEC. */
function opusParameters(rate: number): string {
  return `maxplaybackrate=${rate};sprop-maxcapturerate=${rate};useinbandfec=1`;
}

/** Who sends to us may leave pauses out, RFC 7587 §6.1. */
function withDtx(format: AudioFormat): AudioFormat {
  return format.name === OPUS.name ? { ...format, fmtp: `${format.fmtp};usedtx=1` } : format;
}

/** That pauses are left out is a wish of the other side's, which need not be done. */
function withoutDtx(fmtp: string | undefined): string | undefined {
  return fmtp?.replace(/(^|;)\s*usedtx\s*=\s*1\s*(?=;|$)/gi, '$1');
}
