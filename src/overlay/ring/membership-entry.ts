/** What is said of one member in the membership set of a small ring. */
import type { Peer } from './peer.js';

export interface MembershipEntry {
  readonly peer: Peer;
  /** The member's own counter: boot and sequence. Of two entries the higher version is true. */
  readonly version: number;
  /** Of one version, `gone` is later than `present`. */
  readonly state: 'present' | 'gone';
  /** By the member itself, over all of the above; who found it gone signs with its own key. */
  readonly signature: string;
  readonly signer: string;
}

/** What is signed of an entry. */
export function entryText({ peer, version, state }: Omit<MembershipEntry, 'signature' | 'signer'>) {
  return `member ${peer.id} ${peer.address} ${version} ${state}`;
}

/** Whether `entry` says something newer than `known`. */
export function isNewer(entry: MembershipEntry, known: MembershipEntry | undefined): boolean {
  if (!known) return true;
  if (entry.version !== known.version) return entry.version > known.version;
  return entry.state === 'gone' && known.state === 'present';
}
