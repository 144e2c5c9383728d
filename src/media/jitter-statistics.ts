/** What a jitter buffer tells of itself. */

/** What became of the packets, and of time. */
export interface JitterStatistics {
  /** How long the fastest packets wait, and shall wait. */
  depthMs: number;
  targetMs: number;
  /** Smoothed time from a packet's arrival to its playout. */
  waitMs: number;
  /** Packets played, or passed unheard by `skip`. */
  played: number;
  /** Packets that came after their time had passed. */
  late: number;
  duplicates: number;
  /** Packets that held nothing a decoder or this buffer could take. */
  broken: number;
  /** Times there was nothing to play amid a stream. */
  underruns: number;
  /** Packets dropped because the delay would have been too long. */
  overruns: number;
  /** Packets dropped with the stream they belonged to. */
  abandoned: number;
  /** Frames played wholly or partly from concealment. */
  concealedFrames: number;
  concealedMs: number;
  /** Of that, what a later packet repeated (in-band FEC). */
  recoveredMs: number;
  stretchedMs: number;
  compressedMs: number;
}

export function newJitterStatistics(): JitterStatistics {
  return {
    depthMs: 0,
    targetMs: 0,
    waitMs: 0,
    played: 0,
    late: 0,
    duplicates: 0,
    broken: 0,
    underruns: 0,
    overruns: 0,
    abandoned: 0,
    concealedFrames: 0,
    concealedMs: 0,
    recoveredMs: 0,
    stretchedMs: 0,
    compressedMs: 0,
  };
}
