/** What the browser asks, of whom (RFC 6762 §5.2, §7.1): what is missing, what runs out, and what is in doubt. */

import {
  type BrowserAction,
  type BrowserState,
  FIRST_INTERVAL_MS,
  type Instance,
  type KnownAnswer,
  LONGEST_INTERVAL_MS,
  type Question,
} from './browser-state.js';
import type { HostAddress, HostAddresses } from './host-addresses.js';
import { isLate, type Lifetime, takeRefresh } from './record-lifetime.js';

/** What is not asked now is asked at its next time: a flood of names must not make a flood of questions. */
const MAX_QUESTIONS = 20;
/** Phones asked by unicast at once. */
const MAX_DIRECT = 8;

/** All that is due now, in one question packet. */
export function query(state: BrowserState, now: number): BrowserAction[] {
  const questions = new Map<string, Question>();
  const directly = new Map<string, { address: string; link: string }>();
  const ask = (type: Question['type'], name: string) => {
    if (questions.size < MAX_QUESTIONS) questions.set(`${type} ${name}`, { type, name });
  };
  if (state.queryAt <= now) {
    ask('PTR', state.service);
    state.queryAt = now + state.queryPauseMs;
    state.queryPauseMs = Math.min(2 * state.queryPauseMs, LONGEST_INTERVAL_MS);
  }
  for (const instance of state.instances.values()) {
    if (!askAbout(state, instance, ask, now) || directly.size >= MAX_DIRECT) continue;
    const address = instance.seen?.endpoints[0]?.address;
    if (address !== undefined) directly.set(address, { address, link: instance.link });
  }
  for (const [host, addresses] of state.hosts) {
    for (const { type, address, link, ...life } of dueAddresses(addresses, now)) {
      ask(type, host);
      if (isLate(life) && directly.size < MAX_DIRECT) directly.set(address, { address, link });
    }
  }
  if (questions.size === 0) return [];
  const browsing = questions.has(`PTR ${state.service}`);
  const exceptOn = browsing && questions.size === 1 ? justOverheard(state, now) : [];
  if (browsing) state.queriedAt = now;
  const known = browsing ? knownAnswers(state, now) : [];
  const action = { questions: [...questions.values()], known, exceptOn };
  return [{ kind: 'query', ...action, directly: [...directly.values()] }];
}

/** Addresses to be asked for again now. */
function dueAddresses(addresses: HostAddresses, now: number): HostAddress[] {
  return [...addresses.values()].filter(address => takeRefresh(address, now));
}

function justOverheard({ overheardAt }: BrowserState, now: number): string[] {
  for (const [linkId, at] of overheardAt)
    if (at <= now - FIRST_INTERVAL_MS) overheardAt.delete(linkId);
  return [...overheardAt.keys()];
}

/**
 * What is about to expire and, while the phone cannot be reached or is in doubt, what is missing. True where the
 * phone should be asked by unicast too.
 */
function askAbout(
  { service }: BrowserState,
  instance: Instance,
  ask: (type: Question['type'], name: string) => void,
  now: number,
): boolean {
  const { pointer, server, text, fullName } = instance;
  let isUrgent = false;
  const refresh = (life: Lifetime | undefined, type: 'PTR' | 'SRV' | 'TXT', name: string) => {
    if (!life || !takeRefresh(life, now)) return;
    ask(type, name);
    isUrgent ||= isLate(life);
  };
  refresh(pointer, 'PTR', service);
  refresh(server, 'SRV', fullName);
  refresh(text, 'TXT', fullName);
  const isDoubted = instance.doubt?.ours ?? false;
  if (instance.seen && !isDoubted) {
    instance.askAt = Number.POSITIVE_INFINITY;
    instance.askPauseMs = FIRST_INTERVAL_MS;
    return isUrgent;
  }
  if (instance.askAt > now) return isUrgent;
  if (!text) ask('TXT', fullName);
  if (!server || isDoubted) ask('SRV', fullName);
  if (server) for (const type of ['A', 'AAAA'] as const) ask(type, server.host);
  instance.askAt = now + instance.askPauseMs;
  instance.askPauseMs = Math.min(2 * instance.askPauseMs, LONGEST_INTERVAL_MS);
  return isUrgent || isDoubted;
}

/** Phones that can be reached, without doubt, and for more than half the life of their pointer (RFC 6762 §7.1). */
function knownAnswers(state: BrowserState, now: number): KnownAnswer[] {
  const known: KnownAnswer[] = [];
  for (const { seen, fullName, pointer, doubt: doubted } of state.instances.values()) {
    const left = pointer.expiresAt - now;
    const fresh = left > (pointer.expiresAt - pointer.heardAt) / 2;
    if (seen && fresh && !doubted) known.push({ instance: fullName, ttl: Math.floor(left / 1000) });
  }
  return known;
}
