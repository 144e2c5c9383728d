/** How long a record is believed, and when it is asked for again (RFC 6762 §5.2, §10). */

/** Longer lifetimes count as this one: RFC 6762 §10 recommends 75 minutes for all but host records. */
const MAX_LIFETIME_MS = 75 * 60_000;
/** A record said goodbye to, or flushed, lives on this long (RFC 6762 §10.1, §10.2). */
export const LAST_BREATH_MS = 1000;
/** A record is asked for again at these parts of its lifetime, and up to 2% later (RFC 6762 §5.2). */
const REFRESH_AT = [0.8, 0.85, 0.9, 0.95];
const REFRESH_JITTER = 0.02;

/** Times in milliseconds on one monotonic scale. */
export interface Lifetime {
  heardAt: number;
  expiresAt: number;
  /** When to ask for the record again; the last entry is next. */
  refreshAt: number[];
}

/**
 * @param ttl in seconds; 0 is a goodbye
 * @param random gives numbers in [0, 1)
 */
export function lifetime(ttl: number, now: number, random: () => number): Lifetime {
  if (ttl === 0) return { heardAt: now, expiresAt: now + LAST_BREATH_MS, refreshAt: [] };
  const ms = Math.min(ttl * 1000, MAX_LIFETIME_MS);
  const late = REFRESH_JITTER * random();
  const refreshAt = REFRESH_AT.map(part => now + ms * (part + late)).reverse();
  return { heardAt: now, expiresAt: now + ms, refreshAt };
}

/** Flushed: it lives on for a second, should the other packets of an announcement name it too. */
export function expireSoon(life: Lifetime, now: number): void {
  life.expiresAt = Math.min(life.expiresAt, now + LAST_BREATH_MS);
  life.refreshAt = [];
}

export function isOver(life: Lifetime, now: number): boolean {
  return life.expiresAt <= now;
}

/** Whether to ask for the record again; times that have passed are crossed out. */
export function takeRefresh(life: Lifetime, now: number): boolean {
  const waiting = life.refreshAt.length;
  while ((life.refreshAt.at(-1) ?? Number.POSITIVE_INFINITY) <= now) life.refreshAt.pop();
  return life.refreshAt.length < waiting;
}

/** When something is to be done about the record: ask again, or forget it. */
export function nextEvent(life: Lifetime): number {
  return life.refreshAt.at(-1) ?? life.expiresAt;
}

/** Whether asking in vain has begun: two of four questions are out. */
export function isLate(life: Pick<Lifetime, 'refreshAt'>): boolean {
  return life.refreshAt.length < REFRESH_AT.length - 2;
}

/** The TTL it was announced with, in seconds; `ttl` where it is not known. A goodbye stays one. */
export function ttlOf(life: Lifetime | undefined, ttl: number): number {
  return life && ttl > 0 ? Math.max(ttl, (life.expiresAt - life.heardAt) / 1000) : ttl;
}
