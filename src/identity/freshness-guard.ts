/** Who has seen a newer record does not take an older one for news. */
import { createHash } from 'node:crypto';
import { compareFreshness, type Freshness } from './freshness.js';
import { moveToEnd } from './recent.js';
import { accept, type Outcome, refuse } from './refusal.js';
import type { SignedRecord } from './signed-record.js';

export interface FreshnessBounds {
  readonly keys: number;
  /** For one key; so that it displaces its own and not those of others. */
  readonly subjects: number;
}

const GUARD_BOUNDS: FreshnessBounds = { keys: 4096, subjects: 256 };
/** 132 bits in base64: they tell records of one number apart. */
const DIGEST_CHARACTERS = 22;

interface Latest extends Freshness {
  readonly digest: string;
}

/**
 * Remembers the newest record of each key, kind and subject, and refuses what is older. Bounded: what was longest
 * unheard of is forgotten first, and an old record of it would pass as new.
 */
export class FreshnessGuard {
  readonly #bounds: FreshnessBounds;
  readonly #latest = new Map<string, Map<string, Latest>>();

  constructor(bounds: FreshnessBounds = GUARD_BOUNDS) {
    this.#bounds = bounds;
  }

  /** Of a record whose signature holds. Refused with `STALE`: older, or as old and different. */
  admit(record: SignedRecord): Outcome<'new' | 'known'> {
    const owner = Buffer.from(record.key).toString('latin1');
    const what = JSON.stringify([record.kind, record.overlay, record.subject]);
    const ofOwner = this.#latest.get(owner) ?? new Map<string, Latest>();
    const known = ofOwner.get(what);
    const digest = createHash('sha256').update(record.octets).digest('base64');
    const { boot, sequence } = record;
    const order = known ? compareFreshness(record, known) : 1;
    const found = `boot ${boot}, sequence ${sequence}`;
    if (known && order < 0) {
      return refuse('STALE', `expected newer than ${known.boot}/${known.sequence}, found ${found}`);
    }
    const latest: Latest = { boot, sequence, digest: digest.slice(0, DIGEST_CHARACTERS) };
    if (known && order === 0 && known.digest !== latest.digest) {
      return refuse('STALE', `expected one record of ${found}, found two that differ`);
    }
    moveToEnd(ofOwner, what, latest, this.#bounds.subjects);
    moveToEnd(this.#latest, owner, ofOwner, this.#bounds.keys);
    return accept(order === 0 ? 'known' : 'new');
  }
}
