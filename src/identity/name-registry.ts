/**
 * Who claimed which name first, as the one who keeps a name in an open overlay sees it: the first key has the name for
 * as long as it renews, and for a while after. Others are told that it is taken, and all who ask are told of them.
 */
import { sameOctets } from './fields.js';
import { foldedName } from './names.js';
import { accept, type Outcome, refuse } from './refusal.js';

export interface RegistryBounds {
  readonly names: number;
  /** For one key. */
  readonly namesPerKey: number;
}

export interface Registration {
  /** Raw Ed25519 key of the user; undefined while it is only vouched for. */
  readonly user: Uint8Array | undefined;
  /** Keys that claimed it in vain of late, raw. */
  readonly rivals: readonly Uint8Array[];
}

interface Kept {
  user: Uint8Array | undefined;
  expiresAt: number;
  rivals: Uint8Array[];
}

const BOUNDS: RegistryBounds = { names: 10_000, namesPerKey: 32 };
/** A phone may be switched off over the holidays: 30 days in ms. */
const GRACE_MS = 30 * 86_400_000;
/** As many as anyone would read. */
const MAX_RIVALS = 8;

export class NameRegistry {
  readonly #bounds: RegistryBounds;
  readonly #names = new Map<string, Kept>();
  /** How many names each key has. */
  readonly #counts = new Map<string, number>();

  constructor(bounds: RegistryBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /**
   * A claim that was proved: signed by a device of `user`, or vouched for where `user` is undefined. Refused with
   * `NAME_TAKEN`, `TOO_LARGE` (one key has too many names, or there are too many) or `MALFORMED`.
   *
   * @param lifetime in s
   * @param now in ms, of a clock that does not jump back
   */
  claim(
    name: string,
    user: Uint8Array | undefined,
    lifetime: number,
    now: number,
  ): Outcome<Registration> {
    const folded = foldedName(name);
    if (folded === undefined) return refuse('MALFORMED', `"${name}" is no name`);
    const kept = this.#current(folded, now);
    if (kept?.user && !(user && sameOctets(kept.user, user))) {
      if (user) noteRival(kept, user);
      return refuse('NAME_TAKEN', `"${folded}" belongs to another key`);
    }
    const full = this.#full(kept, user, now);
    if (full) return full;
    // Nobody holds a name beyond the grace by what it is vouched for.
    const grace = user ? GRACE_MS : 0;
    const registration = kept ?? { user: undefined, expiresAt: 0, rivals: [] };
    if (user && !registration.user) this.#count(user, 1);
    registration.user = user ?? registration.user;
    registration.expiresAt = now + lifetime * 1000 + grace;
    this.#names.set(folded, registration);
    return accept({ user: registration.user, rivals: registration.rivals });
  }

  find(name: string, now: number): Registration | undefined {
    const folded = foldedName(name);
    const kept = folded === undefined ? undefined : this.#current(folded, now);
    return kept && { user: kept.user, rivals: kept.rivals };
  }

  #current(name: string, now: number): Kept | undefined {
    const kept = this.#names.get(name);
    if (!kept || kept.expiresAt > now) return kept;
    this.#remove(name, kept);
    return undefined;
  }

  #full(kept: Kept | undefined, user: Uint8Array | undefined, now: number) {
    if (user && !kept?.user && (this.#counts.get(hex(user)) ?? 0) >= this.#bounds.namesPerKey) {
      const most = this.#bounds.namesPerKey;
      return refuse('TOO_LARGE', `expected at most ${most} names of one key`);
    }
    if (kept || this.#names.size < this.#bounds.names) return undefined;
    for (const [name, each] of this.#names) if (each.expiresAt <= now) this.#remove(name, each);
    if (this.#names.size < this.#bounds.names) return undefined;
    return refuse('TOO_LARGE', `expected at most ${this.#bounds.names} names here`);
  }

  #remove(name: string, { user }: Kept): void {
    this.#names.delete(name);
    if (user) this.#count(user, -1);
  }

  #count(user: Uint8Array, by: 1 | -1): void {
    const count = (this.#counts.get(hex(user)) ?? 0) + by;
    if (count > 0) this.#counts.set(hex(user), count);
    else this.#counts.delete(hex(user));
  }
}

function noteRival(kept: Kept, user: Uint8Array): void {
  if (kept.rivals.length >= MAX_RIVALS) return;
  if (!kept.rivals.some(rival => sameOctets(rival, user))) kept.rivals.push(user);
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex');
}
