/**
 * How good a voice sounds, from what is known of its packets: the E-model of ITU-T G.107 with all that the network does not
 * change at its default, as RFC 3611 §4.7.5 has it.
 */

/** G.107: R of a call with nothing wrong, by the defaults of its table 2. */
const R_DEFAULT = 93.2;
/** Above this, delay is in the way of talking; G.107 simplified. */
const TALK_DELAY_MS = 177.3;

interface Impairment {
  /** Of the codec itself: Ie of G.113 appendix I. */
  readonly codec: number;
  /** How well it conceals loss: Bpl. */
  readonly robustness: number;
}

/**
 * G.113 appendix I has G.711 with concealment. For wideband codecs it has another scale; on this one they are no worse than
 * G.711, and their robustness is an estimate.
 */
const IMPAIRMENTS: Readonly<Record<string, Impairment>> = {
  PCMU: { codec: 0, robustness: 25.1 },
  PCMA: { codec: 0, robustness: 25.1 },
  L16: { codec: 0, robustness: 25.1 },
  G722: { codec: 0, robustness: 20 },
  OPUS: { codec: 0, robustness: 20 },
};
const UNKNOWN: Impairment = { codec: 5, robustness: 20 };

export interface VoiceQuality {
  /** 0 to 100. */
  readonly rFactor: number;
  /** Mean opinion scores, 1 to 5: of listening alone, and of talking with this delay. */
  readonly mosListening: number;
  readonly mosConversational: number;
}

/**
 * @param codec by its encoding name
 * @param lossFraction of the packets, lost and too late, 0 to 1
 * @param delayMs one way, mouth to ear
 */
export function voiceQuality(codec: string, lossFraction: number, delayMs: number): VoiceQuality {
  const { codec: impairment, robustness } = IMPAIRMENTS[codec.toUpperCase()] ?? UNKNOWN;
  const loss = 100 * Math.min(1, Math.max(0, lossFraction));
  const effective = impairment + ((95 - impairment) * loss) / (loss + robustness);
  const late = Math.max(0, delayMs - TALK_DELAY_MS);
  const delay = 0.024 * delayMs + 0.11 * late;
  const rListening = bounded(R_DEFAULT - effective);
  const rFactor = bounded(R_DEFAULT - effective - delay);
  return {
    rFactor,
    mosListening: meanOpinionScore(rListening),
    mosConversational: meanOpinionScore(rFactor),
  };
}

/** G.107 appendix B. */
export function meanOpinionScore(r: number): number {
  return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}

function bounded(r: number): number {
  return Math.min(100, Math.max(0, r));
}
