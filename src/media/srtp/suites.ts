/** The crypto suites of SRTP, by the names SDP gives them. */

export type SrtpSuiteName =
  | 'AES_CM_128_HMAC_SHA1_80'
  | 'AES_CM_128_HMAC_SHA1_32'
  | 'AES_256_CM_HMAC_SHA1_80'
  | 'AES_256_CM_HMAC_SHA1_32'
  | 'AEAD_AES_128_GCM'
  | 'AEAD_AES_256_GCM';

export interface SrtpSuite {
  readonly name: SrtpSuiteName;
  /** Of the master key, and of the session key for encryption. */
  readonly keyOctets: number;
  /** Of the master salt, and of the session salt. */
  readonly saltOctets: number;
  /** Authenticated encryption (RFC 7714); else counter mode and HMAC-SHA1 (RFC 3711). */
  readonly aead: boolean;
  readonly rtpTagOctets: number;
  readonly rtcpTagOctets: number;
}

/** Best first: what every SRTP phone knows stands before what is faster to break or slower to run. */
export const SRTP_SUITES: readonly SrtpSuite[] = [
  // RFC 4568 §6.2.1; the tag of SRTCP is never short (§6.2.2).
  counterMode('AES_CM_128_HMAC_SHA1_80', 16, 10),
  // RFC 7714 §14.1.
  galois('AEAD_AES_256_GCM', 32),
  galois('AEAD_AES_128_GCM', 16),
  // RFC 6188 §4.
  counterMode('AES_256_CM_HMAC_SHA1_80', 32, 10),
  counterMode('AES_CM_128_HMAC_SHA1_32', 16, 4),
  counterMode('AES_256_CM_HMAC_SHA1_32', 32, 4),
];

/** RFC 3711 §9.2: how much one master key may protect. */
export const MAX_RTP_PACKETS = 2 ** 48;
export const MAX_RTCP_PACKETS = 2 ** 31;

/**
 * SSRCs under one key, more than any call brings about. More are refused rather than the oldest forgotten,
 * since what is forgotten could be replayed.
 */
export const MAX_SSRCS = 64;

/** A master key as one side chose it for what it sends. */
export interface SrtpKey {
  readonly suite: SrtpSuite;
  /** Master key, then master salt. */
  readonly master: Uint8Array;
  /** RTP packets it may protect; by default what RFC 3711 §9.2 allows. */
  readonly lifetime?: number;
}

export function srtpSuite(name: string): SrtpSuite | undefined {
  return SRTP_SUITES.find(suite => suite.name === name);
}

function counterMode(name: SrtpSuiteName, keyOctets: number, rtpTagOctets: number): SrtpSuite {
  return { name, keyOctets, saltOctets: 14, aead: false, rtpTagOctets, rtcpTagOctets: 10 };
}

function galois(name: SrtpSuiteName, keyOctets: number): SrtpSuite {
  return { name, keyOctets, saltOctets: 12, aead: true, rtpTagOctets: 16, rtcpTagOctets: 16 };
}
