/**
 * The membership set of a small ring: who is in it, by signed, versioned entries. It only shortens
 * lookups; who owns a key is decided by predecessors and successors, whatever stands here.
 */
import { type Id, indexAtOrAfter, positionOf, RING_SIZE } from './ids.js';
import { isNewer, type MembershipEntry } from './membership-entry.js';
import type { Peer } from './peer.js';

/** The ring is compared in so many parts. */
export const PARTS = 256;
/** Present in one part; of 10,000 members none has more than 60. Whoever makes keys can make entries without end. */
const MAX_IN_PART = 96;
/** Who are gone are remembered so that older news does not bring them back; the last of them. */
const MAX_GONE = 4_096;
/** Entries in one answer to a comparison: some 56 kB of DHT-Links. */
const MAX_COMPARED = 500;

export class Membership {
  readonly #entries = new Map<Id, MembershipEntry>();
  readonly #present: Peer[] = [];
  readonly #digests = new Array<number>(PARTS).fill(0);
  /** Present, by part. */
  readonly #sizes = new Uint8Array(PARTS);
  /** The oldest first. */
  readonly #gone = new Set<Id>();

  /** All of `entries`, which have been verified. */
  constructor(entries: Iterable<MembershipEntry> = []) {
    for (const entry of entries) this.#note(entry);
    for (const { state, peer } of this.#entries.values()) {
      if (state === 'present') this.#present.push(peer);
    }
    this.#present.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Present members, by id. */
  get present(): readonly Peer[] {
    return this.#present;
  }

  get digests(): readonly number[] {
    return [...this.#digests];
  }

  entry(id: Id): MembershipEntry | undefined {
    return this.#entries.get(id);
  }

  /** Takes a verified entry; false where it says nothing new. */
  apply(entry: MembershipEntry): boolean {
    if (!this.#note(entry)) return false;
    const { peer, state } = entry;
    const index = indexAtOrAfter(this.#present, peer.id);
    const here = this.#present[index]?.id === peer.id ? 1 : 0;
    if (state === 'present') this.#present.splice(index, here, peer);
    else this.#present.splice(index, here);
    return true;
  }

  /** The `steps`-th present member after `id`. */
  after(id: Id, steps: number): Peer | undefined {
    const { present } = this;
    const first = indexAtOrAfter(present, id);
    const start = present[first]?.id === id ? first : first - 1;
    return present[(start + steps) % present.length];
  }

  /** Parts that differ from `digests`, with all their entries, as many as one message holds. */
  differing(digests: readonly number[]): { parts: number[]; entries: MembershipEntry[] } {
    const differ = new Set<number>();
    this.#digests.forEach((digest, part) => {
      if (digest !== digests[part]) differ.add(part);
    });
    if (differ.size === 0) return { parts: [], entries: [] };
    const byPart = new Map<number, MembershipEntry[]>([...differ].map(part => [part, []]));
    for (const entry of this.#entries.values()) byPart.get(partOf(entry.peer.id))?.push(entry);
    const parts: number[] = [];
    const entries: MembershipEntry[] = [];
    for (const [part, ofPart] of byPart) {
      if (parts.length > 0 && entries.length + ofPart.length > MAX_COMPARED) break;
      parts.push(part);
      entries.push(...ofPart);
    }
    return { parts, entries };
  }

  /** All entries of `parts`. */
  inParts(parts: readonly number[]): MembershipEntry[] {
    const wanted = new Set(parts);
    return [...this.#entries.values()].filter(({ peer }) => wanted.has(partOf(peer.id)));
  }

  #note(entry: MembershipEntry): boolean {
    const { id } = entry.peer;
    const known = this.#entries.get(id);
    if (!isNewer(entry, known)) return false;
    const part = partOf(id);
    const before = known?.state === 'present' ? 1 : 0;
    const after = entry.state === 'present' ? 1 : 0;
    if (after > before && this.#sizes[part]! >= MAX_IN_PART) return false;
    this.#sizes[part]! += after - before;
    if (known?.state === 'present') this.#digest(known);
    if (after) this.#digest(entry);
    this.#entries.set(id, entry);
    this.#gone.delete(id);
    if (!after) this.#remember(id);
    return true;
  }

  #remember(gone: Id): void {
    this.#gone.add(gone);
    if (this.#gone.size <= MAX_GONE) return;
    for (const oldest of this.#gone) {
      this.#gone.delete(oldest);
      this.#entries.delete(oldest);
      return;
    }
  }

  /** Adds a present entry to the digest of its part, or takes it out again. */
  #digest({ peer, version }: MembershipEntry): void {
    const part = partOf(peer.id);
    const hash = Number.parseInt(peer.id.slice(-8), 16) ^ Math.imul(version, 0x9e3779b1);
    this.#digests[part] = (this.#digests[part]! ^ hash) >>> 0;
  }
}

function partOf(id: Id): number {
  return Math.floor(positionOf(id) / (RING_SIZE / PARTS));
}
