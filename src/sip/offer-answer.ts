/** Offer and answer for one audio stream: RFC 3264, in the SDP of RFC 8866. */
import { isIP, isIPv6 } from 'node:net';
import { parse, write } from 'sdp-transform';
import { withoutZone } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';
import {
  type AgreedFormats,
  type AudioFormat,
  agreeFormats,
  answeredFormats,
  isSpeech,
  linesOf,
} from './audio-formats.js';
import {
  type AgreedCrypto,
  answeredCrypto,
  type CryptoAttribute,
  chooseCrypto,
  cryptoLines,
  type LocalCrypto,
  offeredCrypto,
  readAnsweredCrypto,
} from './sdes.js';

/** What we say of our side of the stream. */
export interface LocalAudio {
  /** Address and RTP port of our leg. */
  readonly endpoint: Endpoint;
  /** Best first. */
  readonly formats: readonly AudioFormat[];
  /** o= line; `version` grows by one with each description sent (RFC 3264 §8). */
  readonly sessionId: number;
  readonly version: number;
  /** We keep the other side waiting: it hears us, or music, and we do not hear it (RFC 3264 §8.4). */
  readonly hold?: boolean;
  /** Absent: streams that are encrypted are refused. */
  readonly crypto?: LocalCrypto;
  /** Of the stream, where one was agreed on before. */
  readonly profile?: Profile;
}

/** What both sides agreed on. */
export interface AgreedAudio extends AgreedFormats {
  readonly remote: Endpoint;
  readonly rtcp: Endpoint;
  /** Whether we send, and whether the other side does. */
  readonly send: boolean;
  readonly receive: boolean;
  readonly profile: Profile;
  /** Keys; undefined where the stream is plain. */
  readonly crypto: AgreedCrypto | undefined;
  /** Both share one port (RFC 5761); `rtcp` is `remote` then. */
  readonly rtcpMux: boolean;
  /** The other side takes extended reports (RFC 3611 §5). */
  readonly rtcpExtended: boolean;
  /** Under which number packets carry their audio level (RFC 6464); undefined: not at all. */
  readonly audioLevel: number | undefined;
}

/** RFC 3551, RFC 3711, and both with the feedback of RFC 4585 and RFC 5124. */
const PROFILES = ['RTP/AVP', 'RTP/SAVP', 'RTP/AVPF', 'RTP/SAVPF'] as const;
/** RFC 6464 §4. */
const AUDIO_LEVEL_URI = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const OUR_AUDIO_LEVEL = 1;
const MAX_EXTENSION_ID = 14;
/** What we take of extended reports, RFC 3611 §5.1. */
const EXTENDED_REPORTS = 'rtcp-xr:rcvr-rtt=all stat-summary=loss,dup voip-metrics';

export type Profile = (typeof PROFILES)[number];

interface StreamLines
  extends Pick<AgreedAudio, 'profile' | 'rtcpMux' | 'rtcpExtended' | 'audioLevel'> {
  readonly crypto: readonly CryptoAttribute[];
}

type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
type ParsedSdp = ReturnType<typeof parse>;
type ParsedMedia = ParsedSdp['media'][number];

export function makeOffer(local: LocalAudio): string {
  const { crypto, formats, hold } = local;
  const stream = {
    profile: local.profile ?? (crypto?.mode === 'require' ? 'RTP/SAVP' : 'RTP/AVP'),
    crypto: offeredCrypto(crypto),
    rtcpMux: true,
    rtcpExtended: true,
    audioLevel: OUR_AUDIO_LEVEL,
  };
  return write({
    ...sessionLines(local),
    media: [mediaLines(local, formats, hold ? 'sendonly' : 'sendrecv', stream)],
  });
}

/**
 * Answers an offer: the first audio stream we can take is taken, all others are refused (RFC 3264 §6).
 *
 * @throws {CodedError} `BAD_SDP`, or `NO_COMMON_CODEC` (488) where no stream can be taken.
 */
export function answerOffer(
  offer: string,
  local: LocalAudio,
): { sdp: string; agreed: AgreedAudio } {
  const session = parseSdp(offer);
  let agreed: AgreedAudio | undefined;
  const media = session.media.map((stream, index) => {
    const keys = chooseCrypto(cryptoLines(offer, index), local.crypto);
    const found = agreed ? undefined : agree(session, stream, local, keys);
    if (!found) return refusedLines(stream);
    agreed = found;
    // The offered number stands for the format in both directions (RFC 3264 §6.1).
    const crypto = found.crypto ? [answeredCrypto(found.crypto)] : [];
    const answered = answeredFormats(found, local.formats);
    return mediaLines(local, answered, directionOf(found), { ...found, crypto });
  });
  if (!agreed) throw noCommon(local, session);
  return { sdp: write({ ...sessionLines(local), media }), agreed };
}

/** Whether an offer has a stream that can be taken: `answerOffer` would answer it. */
export function isAcceptable(offer: string, local: LocalAudio): boolean {
  try {
    answerOffer(offer, local);
    return true;
  } catch {
    return false;
  }
}

/** Reads the answer to an offer of ours. Throws as `answerOffer` does. */
export function readAnswer(answer: string, local: LocalAudio): AgreedAudio {
  const session = parseSdp(answer);
  const [stream] = session.media;
  const lines = cryptoLines(answer, 0);
  const keys = readAnsweredCrypto(lines, local.crypto);
  const agreed = stream && agree(session, stream, local, keys);
  // A key we cannot use: what comes would be noise.
  if (!agreed || (lines.length > 0 && !keys)) throw noCommon(local, session);
  return agreed;
}

function parseSdp(text: string): ParsedSdp {
  const session = parse(text);
  if (!Array.isArray(session.media) || session.media.length === 0) {
    throw new CodedError('BAD_SDP', 'expected a session description with an m= line, found none');
  }
  return session;
}

function agree(
  session: ParsedSdp,
  stream: ParsedMedia,
  { formats, hold, crypto: own }: LocalAudio,
  crypto: AgreedCrypto | undefined,
): AgreedAudio | undefined {
  const profile = PROFILES.find(known => known === stream.protocol);
  if (stream.type !== 'audio' || !profile || !isPort(stream.port)) return undefined;
  if (!crypto && (isSecure(profile) || own?.mode === 'require')) return undefined;
  const agreed = agreeFormats(stream, formats);
  const address = (stream.connection ?? session.connection)?.ip;
  if (!agreed || address === undefined || !isUnicast(address)) return undefined;
  // 0.0.0.0 is how RFC 2543 phones put a call on hold (RFC 3264 §8.4).
  const held = address === '0.0.0.0' || address === '::';
  const direction = (stream.direction ?? session.direction ?? 'sendrecv') as Direction;
  const remote = { address, port: stream.port };
  return {
    ...agreed,
    remote,
    rtcp: stream.rtcpMux ? remote : rtcpEndpoint(stream, remote),
    rtcpMux: stream.rtcpMux !== undefined,
    profile,
    crypto,
    rtcpExtended: stream.invalid?.some(({ value }) => value.startsWith('rtcp-xr')) ?? false,
    audioLevel: audioLevelOf(stream),
    send: !held && (direction === 'sendrecv' || direction === 'recvonly'),
    receive: !hold && (direction === 'sendrecv' || direction === 'sendonly'),
  };
}

/** RFC 3605; by default the port above RTP's. */
function rtcpEndpoint(stream: ParsedMedia, remote: Endpoint): Endpoint {
  const { port, address } = stream.rtcp ?? {};
  return {
    address: address && isUnicast(address) ? address : remote.address,
    port: port !== undefined && isPort(port) ? port : remote.port + 1,
  };
}

function audioLevelOf(stream: ParsedMedia): number | undefined {
  const line = stream.ext?.find(({ uri }) => uri === AUDIO_LEVEL_URI);
  if (!line || line.value < 1 || line.value > MAX_EXTENSION_ID) return undefined;
  return line.value;
}

/** SRTP is the profile, not an offer that may be declined. */
function isSecure(profile: Profile): boolean {
  return profile.startsWith('RTP/SAVP');
}

/** With room for RTCP above it. */
function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_535;
}

/** A literal address of one host: no call of ours sends voice to a group. */
function isUnicast(address: string): boolean {
  if (isIPv6(address)) return !/^ff/i.test(address);
  return isIP(address) === 4 && Number(address.split('.')[0]) < 224;
}

function directionOf({ send, receive }: AgreedAudio): Direction {
  if (send) return receive ? 'sendrecv' : 'sendonly';
  return receive ? 'recvonly' : 'inactive';
}

function sessionLines({ endpoint, sessionId, version }: LocalAudio) {
  const address = withoutZone(endpoint.address);
  const ipVer = isIPv6(address) ? 6 : 4;
  return {
    version: 0,
    origin: {
      username: '-',
      sessionId,
      sessionVersion: version,
      netType: 'IN',
      ipVer,
      address,
    },
    name: '-',
    connection: { version: ipVer, ip: address },
    timing: { start: 0, stop: 0 },
  };
}

function mediaLines(
  { endpoint }: LocalAudio,
  formats: readonly AudioFormat[],
  direction: Direction,
  stream: StreamLines,
) {
  const { profile, crypto, rtcpMux, rtcpExtended, audioLevel } = stream;
  return {
    type: 'audio',
    port: endpoint.port,
    protocol: profile,
    ...linesOf(formats),
    direction,
    ...(crypto.length > 0 && { crypto: [...crypto] }),
    ...(rtcpMux && { rtcpMux: 'rtcp-mux' as const }),
    ...(rtcpExtended && { invalid: [{ value: EXTENDED_REPORTS }] }),
    ...(audioLevel !== undefined && { ext: [extensionLine(audioLevel)] }),
  };
}

/** Without the flag for voice activity: a level is all we know. */
function extensionLine(id: number) {
  return { value: id, uri: AUDIO_LEVEL_URI, config: 'vad=off' };
}

/** A refused stream keeps its place in the list, with port 0 (RFC 3264 §6). */
function refusedLines({ type, protocol, payloads }: ParsedMedia) {
  return { type, port: 0, protocol, payloads: payloads ?? '0', rtp: [], fmtp: [] };
}

function noCommon({ formats: ours, crypto }: LocalAudio, theirs: ParsedSdp): CodedError {
  const offered = theirs.media
    .map(({ type, protocol, payloads }) => `${type} ${protocol} ${payloads ?? ''}`.trim())
    .join(', ');
  if (crypto?.mode === 'require') {
    return new CodedError(
      'NOT_ENCRYPTED',
      `expected encrypted audio (RTP/SAVP with a=crypto); the other phone has ${offered}`,
      { remedy: 'Switch on SRTP with SDES at the other phone, or set `srtp: offer` here.' },
    );
  }
  const known = ours
    .filter(isSpeech)
    .map(format => format.name)
    .join(', ');
  return new CodedError(
    'NO_COMMON_CODEC',
    `expected audio over RTP/AVP in one of ${known}; the other phone has ${offered}`,
    {
      remedy: 'Switch on PCMU or PCMA (G.711) at both phones.',
    },
  );
}
