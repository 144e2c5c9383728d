/** The parameters of Opus in SDP: RFC 7587 §6.1, §7. */

export interface OpusParameters {
  /** In Hz: the receiver can play no more (`maxplaybackrate`). */
  readonly maxPlaybackRate: number;
  /** In bit/s (`maxaveragebitrate`). */
  readonly maxAverageBitrate: number;
  readonly cbr: boolean;
  readonly inbandFec: boolean;
  readonly dtx: boolean;
}

/** What holds where a parameter is not there, RFC 7587 §6.1. */
const DEFAULTS: OpusParameters = {
  maxPlaybackRate: 48_000,
  maxAverageBitrate: 510_000,
  cbr: false,
  inbandFec: false,
  dtx: false,
};

const MIN_BITRATE = 6000;

/** What the receiver of our stream asks for. What is not understood or out of range counts as absent. */
export function readOpusParameters(fmtp = ''): OpusParameters {
  const given = new Map<string, number>();
  for (const part of fmtp.split(';')) {
    const [name = '', value = ''] = part.split('=').map(text => text.trim());
    if (/^\d{1,9}$/.test(value)) given.set(name.toLowerCase(), Number(value));
  }
  const within = (name: string, min: number, max: number) => {
    const value = given.get(name);
    return value !== undefined && value >= min && value <= max ? value : undefined;
  };
  return {
    maxPlaybackRate: within('maxplaybackrate', 8000, 48_000) ?? DEFAULTS.maxPlaybackRate,
    maxAverageBitrate:
      within('maxaveragebitrate', MIN_BITRATE, 510_000) ?? DEFAULTS.maxAverageBitrate,
    cbr: given.get('cbr') === 1,
    inbandFec: given.get('useinbandfec') === 1,
    dtx: given.get('usedtx') === 1,
  };
}
