/** From where a phone learns of super-nodes: what a source tells, and how it is asked. */

/** By which protocol a candidate is reached: SIP over TLS, TCP or UDP. */
export type CandidateTransport = 'tls' | 'tcp' | 'udp';

/** Most wanted first: who announces itself now is more likely to be there than who was there once. */
export const SOURCE_NAMES = ['mdns', 'slp', 'remembered', 'fixed', 'dns', 'flood'] as const;
export type SourceName = (typeof SOURCE_NAMES)[number];

/** Somebody who may be a super-node of our overlay. Nothing of it is proven. */
export interface Candidate {
  /** A literal address, a link-local one of IPv6 with its zone. */
  readonly host: string;
  readonly port: number;
  readonly transport: CandidateTransport;
  /** Name of the overlay, where the source tells it. */
  readonly overlay?: string;
  /** 40 hexadecimal digits, where the source tells it. */
  readonly nodeId?: string;
  readonly source: SourceName;
}

/** What a source is asked. */
export interface Search {
  /** Name of the overlay whose super-nodes are wanted. */
  readonly overlay: string;
  readonly found: (candidate: Candidate) => void;
  /** The end of the search: whoever searches lets go of all sockets and timers then. */
  readonly signal: AbortSignal;
}

export interface CandidateSource {
  readonly name: SourceName;
  /** It asks strangers: only where nobody else has led to a super-node for some seconds. */
  readonly lastResort?: boolean;
  /**
   * Tells what it finds, again where it is found again, as long as there may be more. Resolves after the signal,
   * everything let go, or earlier where there will be nothing more. What rejects is searched again later.
   */
  search(search: Search): Promise<void>;
  /** A super-node of our overlay was reached there, whoever told. */
  proved?(candidate: Candidate): void;
  /** None was, whoever told. */
  failed?(candidate: Candidate): void;
}

/** Why a candidate leads nowhere. */
export type CandidateFailure = 'no-answer' | 'other-overlay';

/** One place to ask, whoever told of it. */
export function candidateKey({ host, port, transport }: Candidate): string {
  return `${transport} ${host.toLowerCase()} ${port}`;
}

/** Undefined for a protocol that leads to no super-node. */
export function transportOf(text: string): CandidateTransport | undefined {
  const folded = text.toLowerCase();
  return folded === 'tls' || folded === 'tcp' || folded === 'udp' ? folded : undefined;
}
