/** Encodings of an audio stream in SDP: rtpmap, fmtp and ptime (RFC 8866 §6), and which of them both sides have. */

/** An encoding as SDP names it (RFC 8866 §6.6); the static payload types of RFC 3551 need no rtpmap. */
export interface AudioFormat {
  readonly name: string;
  readonly payloadType: number;
  /** RTP clock in Hz. */
  readonly clockRate: number;
  /** 1 where it is left out. */
  readonly channels?: number;
  /** What who says it asks of those who send to them: the value of the `a=fmtp` line. */
  readonly fmtp?: string;
  /** Lengths of speech in ms that a packet can hold, the shortest first; `PACKET_LENGTHS_MS` by default. */
  readonly packetLengthsMs?: readonly number[];
}

export interface AgreedFormats {
  /** Of speech; number and parameters are the other side's. */
  readonly format: AudioFormat;
  /** Of keys that are pressed (RFC 4733); undefined where the other side does not take them. */
  readonly events: AudioFormat | undefined;
  /** Of background noise (RFC 3389). */
  readonly comfortNoise: AudioFormat | undefined;
  /** Of speech in each packet that we send, in ms. */
  readonly ptimeMs: number;
}

/** Of an SDP media description; the numbers may be anything. */
export interface FormatLines {
  readonly payloads?: string | undefined;
  readonly rtp?: readonly { payload: number; codec: string; rate?: number; encoding?: number }[];
  readonly fmtp?: readonly { payload: number; config: string }[];
  readonly ptime?: number | undefined;
  readonly maxptime?: number | undefined;
}

/** Encoding names of what is no speech. */
export const TELEPHONE_EVENT = 'telephone-event';
export const COMFORT_NOISE = 'CN';

/** Default packetisation interval, RFC 3551 §4.2. */
const PTIME_MS = 20;
const PACKET_LENGTHS_MS: readonly number[] = [10, 20, 30, 40, 50, 60];

/** Static assignments of RFC 3551 §6 that may stand without rtpmap. */
const STATIC_FORMATS: readonly AudioFormat[] = [
  { name: 'PCMU', payloadType: 0, clockRate: 8000 },
  { name: 'PCMA', payloadType: 8, clockRate: 8000 },
  { name: 'G722', payloadType: 9, clockRate: 8000 },
  { name: COMFORT_NOISE, payloadType: 13, clockRate: 8000 },
];

/**
 * The first speech of the other side's that we have too: the offerer's order decides (RFC 3264 §6.1),
 * and what goes with it. Undefined where there is none.
 */
export function agreeFormats(
  lines: FormatLines,
  ours: readonly AudioFormat[],
): AgreedFormats | undefined {
  const common = formatsIn(lines).flatMap(theirs => {
    const own = ours.find(format => isSame(format, theirs));
    return own ? [{ theirs, own }] : [];
  });
  const speech = common.find(({ own }) => isSpeech(own));
  if (!speech) return undefined;
  const format = numbered(speech.own, speech.theirs, speech.theirs.fmtp);
  const { clockRate } = format;
  const beside = (name: string) => common.filter(({ own }) => own.name === name);
  const events = beside(TELEPHONE_EVENT);
  return {
    format,
    // RFC 4733 §2.1 wants the clock of the speech; there are phones that know one of 8 kHz alone.
    events: (events.find(({ own }) => own.clockRate === clockRate) ?? events[0])?.theirs,
    comfortNoise: beside(COMFORT_NOISE).find(({ own }) => own.clockRate === clockRate)?.theirs,
    ptimeMs: packetLength(lines, format),
  };
}

/** What an answer says: the agreed formats by the offered numbers, with what we ask for. */
export function answeredFormats(
  { format, events, comfortNoise }: AgreedFormats,
  ours: readonly AudioFormat[],
): AudioFormat[] {
  return [format, events, comfortNoise].flatMap(theirs => {
    const own = theirs && ours.find(candidate => isSame(candidate, theirs));
    return own ? [numbered(own, theirs, own.fmtp)] : [];
  });
}

/**
 * What another offer within a session says: what is agreed on first, by the same numbers, since a number
 * keeps its meaning as long as the session lasts (RFC 3264 §8.3.2).
 */
export function reofferedFormats(
  agreed: AgreedFormats,
  ours: readonly AudioFormat[],
): AudioFormat[] {
  const kept = answeredFormats(agreed, ours);
  const speech = kept.filter(isSpeech);
  const others = ours.filter(
    format =>
      !kept.some(known => isSame(known, format) || known.payloadType === format.payloadType),
  );
  return [
    ...speech,
    ...others.filter(isSpeech),
    ...[...kept, ...others].filter(format => !isSpeech(format)),
  ];
}

/** The lines of a media description that say `formats`, best first. */
export function linesOf(formats: readonly AudioFormat[]) {
  const longest = Math.min(...formats.map(format => lengthsOf(format).at(-1) ?? PTIME_MS));
  return {
    payloads: formats.map(format => format.payloadType).join(' '),
    rtp: formats.map(({ payloadType, name, clockRate, channels = 1 }) => ({
      payload: payloadType,
      codec: name,
      rate: clockRate,
      ...(channels > 1 && { encoding: channels }),
    })),
    fmtp: formats.flatMap(({ payloadType, fmtp }) =>
      fmtp === undefined ? [] : [{ payload: payloadType, config: fmtp }],
    ),
    ptime: Math.min(PTIME_MS, longest),
    ...(longest < PTIME_MS && { maxptime: longest }),
  };
}

export function isSpeech({ name }: AudioFormat): boolean {
  return name !== TELEPHONE_EVENT && name !== COMFORT_NOISE;
}

/** Formats of a description in its order; what has no name is left out. */
function formatsIn({ payloads, rtp, fmtp }: FormatLines): AudioFormat[] {
  return String(payloads ?? '')
    .split(' ')
    .filter(token => /^\d{1,3}$/.test(token))
    .map(Number)
    .flatMap(payloadType => {
      const mapped = rtp?.find(entry => entry.payload === payloadType);
      const fixed = STATIC_FORMATS.find(entry => entry.payloadType === payloadType);
      const parameters = fmtp?.find(entry => entry.payload === payloadType)?.config;
      const format = mapped
        ? {
            name: mapped.codec,
            payloadType,
            clockRate: Number(mapped.rate),
            ...(mapped.encoding !== undefined && { channels: Number(mapped.encoding) }),
          }
        : fixed;
      if (!format || payloadType > 127) return [];
      return [{ ...format, ...(parameters !== undefined && { fmtp: parameters }) }];
    });
}

/** A format of ours under the other side's number, with these parameters. */
function numbered(
  { fmtp: _ours, ...own }: AudioFormat,
  { payloadType }: AudioFormat,
  fmtp: string | undefined,
): AudioFormat {
  return { ...own, payloadType, ...(fmtp !== undefined && { fmtp }) };
}

/** Who leaves the number of channels out means what there is (RFC 7587 §7 wants it all the same). */
function isSame(ours: AudioFormat, theirs: AudioFormat): boolean {
  const channels = ours.channels ?? 1;
  return (
    ours.name.toUpperCase() === theirs.name.toUpperCase() &&
    ours.clockRate === theirs.clockRate &&
    channels === (theirs.channels ?? channels)
  );
}

/** As long as the other side wants it, and no longer than it can take. */
function packetLength({ ptime, maxptime }: FormatLines, format: AudioFormat): number {
  const wanted = isLength(ptime) ? ptime : PTIME_MS;
  const most = isLength(maxptime) ? Math.min(wanted, maxptime) : wanted;
  const lengths = lengthsOf(format);
  return lengths.findLast(length => length <= most) ?? lengths[0] ?? PTIME_MS;
}

function lengthsOf({ packetLengthsMs = PACKET_LENGTHS_MS }: AudioFormat): readonly number[] {
  return packetLengthsMs;
}

function isLength(ms: number | undefined): ms is number {
  return typeof ms === 'number' && ms > 0;
}
