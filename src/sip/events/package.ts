/** What an event package fixes for its subscriptions (RFC 6665 §5.4), as data: one record each. */

/** A body and its media type. */
export interface Content {
  readonly type: string;
  readonly body: Uint8Array;
}

export interface EventPackage {
  /** As the Event header field has it. */
  readonly name: string;
  /** Media types of its bodies, the one sent by default first. */
  readonly types: readonly string[];
  readonly expires: ExpiryLimits;
  /** A subscriber is told of changes no oftener than this, in ms; the first is told at once. */
  readonly intervalMs: number;
  /** Whether each phone that a fork reaches has a subscription of its own; the others get 481 (§5.4.9). */
  readonly forks: boolean;
}

/** In seconds. */
export interface ExpiryLimits {
  /** Where nothing is asked for. */
  readonly defaultS: number;
  /** Less is refused with 423, unless it is 0 (RFC 6665 §4.2.1.1). */
  readonly minS: number;
  /** More is cut down to this. */
  readonly maxS: number;
}

/** RFC 6665 §4.2.1.1: nothing from an hour up may be refused as too brief. */
const NEVER_TOO_BRIEF_S = 3600;

/** Lamps: what calls a phone has. RFC 4235 §3. */
export const DIALOG: EventPackage = {
  name: 'dialog',
  types: ['application/dialog-info+xml'],
  expires: { defaultS: 3600, minS: 60, maxS: 3600 }, // §3.4
  intervalMs: 1000, // §3.10
  forks: true, // §3.9
};

/** RFC 3856 §6. */
export const PRESENCE: EventPackage = {
  name: 'presence',
  types: ['application/pidf+xml'],
  expires: { defaultS: 3600, minS: 60, maxS: 3600 }, // §6.4
  intervalMs: 5000, // §6.10
  forks: false, // §6.9
};

/** What became of a REFER; its NOTIFYs are few and each matters. RFC 3515 §2.4, §3. */
export const REFER: EventPackage = {
  name: 'refer',
  types: ['message/sipfrag;version=2.0'],
  expires: { defaultS: 180, minS: 10, maxS: 3600 },
  intervalMs: 0,
  forks: true, // §3.9
};

/**
 * What an asked-for duration comes to.
 *
 * @param asked in seconds; undefined where nothing is asked for
 * @returns the seconds granted; undefined where it deserves 423
 */
export function grantedExpiry(
  { defaultS, minS, maxS }: ExpiryLimits,
  asked: number | undefined,
): number | undefined {
  const wanted = Math.min(asked ?? defaultS, maxS);
  const tooBrief = wanted > 0 && wanted < Math.min(minS, NEVER_TOO_BRIEF_S);
  return tooBrief ? undefined : wanted;
}

/** Whether one who accepts these media types (all, where it names none) can read bodies of the package. */
export function accepts({ types }: EventPackage, accepted: readonly string[]): boolean {
  if (accepted.length === 0) return true;
  const [type = ''] = (types[0] ?? '').split(';');
  const [family] = type.split('/');
  return accepted.some(range => [type, `${family}/*`, '*/*'].includes(range.toLowerCase()));
}
