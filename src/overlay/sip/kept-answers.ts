/**
 * Answers in parts, kept by who gave them until each part was asked for: the first part answers the request itself,
 * the others are asked for by `more` (request.ts). Bounded, for each asker and in all.
 */
import type { SipResponse } from '@sip-stack/parser';
import type { Peer } from '../ring/peer.js';
import { ASSEMBLY_BOUNDS, type AssemblyBounds } from './parts.js';
import { refused, type WireRefusal } from './refusal.js';

export type KeptAnswerEvent =
  /** An answer to `to`, as `encodeAnswer` cut it. */
  | {
      readonly type: 'answered';
      readonly to: Peer;
      readonly number: number;
      readonly parts: readonly SipResponse[];
    }
  /** `more` came. */
  | {
      readonly type: 'asked';
      readonly from: Peer;
      readonly number: number;
      readonly index: number;
    }
  | { readonly type: 'timeout'; readonly kept: number }
  /** The link to a member has ended: it asks for nothing more. */
  | { readonly type: 'gone'; readonly from: Peer };

/** What answers the message that came, and a timer. */
export type KeptAnswerAction =
  | { readonly type: 'respond'; readonly response: SipResponse }
  /** `OVERLOADED`: ask again later. `NO_SUCH_PART`: ask anew, for the whole. */
  | { readonly type: 'refused'; readonly refusal: WireRefusal }
  | { readonly type: 'set-timer'; readonly kept: number; readonly ms: number };

interface Kept {
  readonly timer: number;
  readonly asker: string;
  readonly octets: number;
  readonly parts: readonly SipResponse[];
  readonly unasked: Set<number>;
}

/** The head of a part: links, and the fields every message has. */
const HEAD_OCTETS = 4_096;

export class KeptAnswers {
  /** The one that was not asked for for longest first: it makes room where there is none. */
  readonly #kept = new Map<string, Kept>();
  readonly #bounds: AssemblyBounds;
  #next = 1;

  constructor(bounds: AssemblyBounds = ASSEMBLY_BOUNDS) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#kept.size;
  }

  get octets(): number {
    return this.#octetsOf();
  }

  step(event: KeptAnswerEvent): KeptAnswerAction[] {
    switch (event.type) {
      case 'answered':
        return this.#keep(event.to.id, event.number, event.parts);
      case 'asked':
        return this.#give(keyOf(event.from.id, event.number), event.index);
      case 'timeout':
        for (const [key, { timer }] of this.#kept) {
          if (timer === event.kept) this.#kept.delete(key);
        }
        return [];
      case 'gone':
        for (const [key, { asker }] of this.#kept) {
          if (asker === event.from.id) this.#kept.delete(key);
        }
        return [];
    }
  }

  #keep(asker: string, number: number, parts: readonly SipResponse[]): KeptAnswerAction[] {
    const [response, ...others] = parts;
    if (!response) return [];
    if (others.length === 0) return [{ type: 'respond', response }];
    const { octets: most, octetsPerSender, messages, timeoutMs } = this.#bounds;
    const octets = parts.reduce((sum, { body }) => sum + body.length + HEAD_OCTETS, 0);
    const key = keyOf(asker, number);
    this.#kept.delete(key);
    if (this.#octetsOf(asker) + octets > octetsPerSender) {
      const detail = 'too many answers in parts are waiting to be asked for; try again later';
      return [{ type: 'refused', refusal: refused('OVERLOADED', detail) }];
    }
    for (const stalled of this.#kept.keys()) {
      if (this.#kept.size < messages && this.#octetsOf() + octets <= most) break;
      this.#kept.delete(stalled);
    }
    const timer = this.#next++;
    const unasked = new Set(others.map((_, index) => index + 1));
    this.#kept.set(key, { timer, asker, octets, parts, unasked });
    return [
      { type: 'respond', response },
      { type: 'set-timer', kept: timer, ms: timeoutMs },
    ];
  }

  #give(key: string, index: number): KeptAnswerAction[] {
    const kept = this.#kept.get(key);
    const response = kept?.parts[index];
    if (!kept || !response) {
      const detail = `part ${index + 1} of this answer is not kept; ask anew for the whole`;
      return [{ type: 'refused', refusal: refused('NO_SUCH_PART', detail) }];
    }
    kept.unasked.delete(index);
    this.#kept.delete(key);
    if (kept.unasked.size > 0) this.#kept.set(key, kept);
    return [{ type: 'respond', response }];
  }

  #octetsOf(asker?: string): number {
    let octets = 0;
    for (const kept of this.#kept.values()) {
      if (asker === undefined || kept.asker === asker) octets += kept.octets;
    }
    return octets;
  }
}

function keyOf(asker: string, number: number): string {
  return `${asker} ${number}`;
}
