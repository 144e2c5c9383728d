/**
 * The multicast DNS responder (RFC 6762 §6-10) as a state machine: names are asked for, announced, answered for,
 * given up when they are somebody else's, and said goodbye to. See `responder-answers.ts` for the answers.
 */
import { foldName, nextName } from '../phone-name.js';
import { type DnsMessage, type DnsRecord, queryOf, responseOf } from './dns-message.js';
import { compareRecordSets, recordKey } from './record-identity.js';
import {
  answer,
  answerDue,
  multicast,
  nextAnswerAt,
  reassert,
  suppress,
} from './responder-answers.js';
import {
  type Claim,
  type LinkState,
  newLinkState,
  type ResponderAction,
  type ResponderEvent,
  type ResponderLink,
  type ResponderState,
  wantedClaims,
} from './responder-state.js';
import { denial, META_QUERY } from './service-records.js';

/** RFC 6762 §8.1: three probes, the first after a random part of the pause between them. */
const PROBES = 3;
const PROBE_PAUSE_MS = 250;
/** RFC 6762 §8.2: who comes first in order asks again after this time. */
const DEFERRED_MS = 1000;
/** RFC 6762 §8.3 asks for two at least, the second after a second; pauses double. Wi-Fi loses some. */
const ANNOUNCEMENTS = 3;
const ANNOUNCEMENT_PAUSE_MS = 1000;
/** RFC 6762 §8.1: after so many conflicts within ten seconds, each further attempt waits for five. */
const MANY_CONFLICTS = { count: 15, withinMs: 10_000, waitMs: 5000 };
/** Numbers are skipped at random, more each time, so that a hundred phones of one name soon have their own. */
const NAME_STEPS = [1, 4, 16, 64, 256, 1024];
const RETIRED_MS = 5000;
const MAX_RETIRED = 256;

export function step(state: ResponderState, event: ResponderEvent): ResponderAction[] {
  const { now } = event;
  const actions: ResponderAction[] = [];
  switch (event.kind) {
    case 'publish':
      publish(state, event);
      actions.push(...refresh(state, now));
      break;
    case 'withdraw':
      if (state.entries.delete(event.key)) actions.push(...refresh(state, now));
      break;
    case 'network':
      follow(state, event.links);
      actions.push(...refresh(state, now));
      break;
    case 'heard': {
      const link = state.links.get(event.link);
      if (!link) break;
      if (event.message.response) actions.push(...hearResponse(state, link, event.message, now));
      else {
        breakTies(state, link, event.message, now);
        actions.push(...answer(state, link, event));
      }
      break;
    }
    case 'stop':
      state.entries.clear();
      return refresh(state, now);
    case 'due':
      break;
  }
  for (const link of state.links.values()) {
    actions.push(...probe(link, now), ...announce(link, now), ...answerDue(state, link, now));
  }
  return [...actions, ...tellNames(state)];
}

/** When the next `due` event is wanted; Infinity if never. */
export function wakeAt(state: ResponderState): number {
  let at = Number.POSITIVE_INFINITY;
  for (const link of state.links.values()) {
    at = Math.min(at, nextAnswerAt(link));
    for (const { phase, nextAt } of link.claims.values())
      if (phase !== 'done') at = Math.min(at, nextAt);
  }
  return at;
}

function publish(
  { entries }: ResponderState,
  { key, publication }: ResponderEvent & { kind: 'publish' },
): void {
  const entry = entries.get(key);
  if (entry?.publication.name === publication.name) entry.publication = publication;
  else {
    const label = publication.name;
    entries.set(key, { publication, label, taken: 0, named: undefined, yielded: new Set() });
  }
}

function follow(state: ResponderState, links: readonly ResponderLink[]): void {
  const wanted = new Set(links.map(({ id }) => id));
  for (const id of state.links.keys()) if (!wanted.has(id)) state.links.delete(id);
  for (const each of links) {
    const link = state.links.get(each.id);
    if (link) link.addresses = each.addresses;
    else state.links.set(each.id, newLinkState(each));
  }
}

/**
 * Brings the claims of every link to what is wanted. What is new is asked for, what has changed is announced, what
 * is wanted no more says goodbye; but not where it was asked for again and lost, since its pointers lead to the
 * winner there.
 */
function refresh(state: ResponderState, now: number): ResponderAction[] {
  const actions: ResponderAction[] = [];
  const probeAt = now + firstProbeDelay(state, now);
  const before = state.ours;
  state.ours = new Set();
  for (const link of state.links.values()) {
    const wanted = wantedClaims(state, link);
    const goodbyes: DnsRecord[] = [];
    for (const [key, claim] of link.claims) {
      if (wanted.get(key)?.name === claim.name) continue;
      if (claim.phase !== 'probing') goodbyes.push(...claim.unique, ...claim.shared);
      link.claims.delete(key);
    }
    for (const [key, claimed] of wanted) {
      for (const record of claimed.unique) state.ours.add(recordKey(record));
      const claim = link.claims.get(key);
      if (!claim) {
        link.claims.set(key, { ...claimed, phase: 'probing', sent: 0, nextAt: probeAt });
      } else if (differ(claim, claimed)) {
        const progress =
          claim.phase === 'probing'
            ? claim
            : ({ phase: 'announcing', sent: 0, nextAt: now } as const);
        const { phase, sent, nextAt } = progress;
        goodbyes.push(...claim.shared.filter(each => !includes(claimed.shared, each)));
        goodbyes.push(...claim.unique.filter(each => !hasType(claimed.unique, each)));
        link.claims.set(key, { ...claimed, phase, sent, nextAt });
      }
    }
    forgetWithdrawn(link);
    if (goodbyes.length > 0) actions.push(goodbye(link, goodbyes));
  }
  retire(state, before, now);
  return actions;
}

function firstProbeDelay(state: ResponderState, now: number): number {
  return isContested(state, now) ? MANY_CONFLICTS.waitMs : PROBE_PAUSE_MS * state.random();
}

function isContested({ conflictsAt }: ResponderState, now: number): boolean {
  const { count, withinMs } = MANY_CONFLICTS;
  return conflictsAt.length >= count && now - (conflictsAt.at(-count) ?? 0) < withinMs;
}

function differ(a: Pick<Claim, 'unique' | 'shared'>, b: Pick<Claim, 'unique' | 'shared'>): boolean {
  const keys = ({ unique, shared }: typeof a) => [...unique, ...shared].map(recordKey).join('\n');
  return keys(a) !== keys(b);
}

/** What replaces records of its type makes others forget those (RFC 6762 §10.2): only of the last it has to be said. */
function hasType(records: readonly DnsRecord[], { data }: DnsRecord): boolean {
  return records.some(each => each.data.type === data.type);
}

function includes(records: readonly DnsRecord[], record: DnsRecord): boolean {
  return records.some(each => recordKey(each) === recordKey(record));
}

/** Nothing is kept, or said later, of records that are ours no more. */
function forgetWithdrawn(link: LinkState): void {
  link.index = undefined;
  const current = new Set<string>();
  for (const claim of link.claims.values())
    for (const record of [...claim.unique, ...claim.shared, denial(claim)])
      current.add(recordKey(record));
  for (const key of link.sentAt.keys()) if (!current.has(key)) link.sentAt.delete(key);
  for (const key of link.pending.keys()) if (!current.has(key)) link.pending.delete(key);
}

/** RFC 6762 §10.1. What kinds of services there are is true of other hosts too. */
function goodbye(link: LinkState, records: readonly DnsRecord[]): ResponderAction {
  const own = records.filter(({ name }) => name !== META_QUERY);
  const answers = own.map(record => ({ ...record, ttl: 0 }));
  return { kind: 'send', link: link.id, message: responseOf({ answers }) };
}

function retire(state: ResponderState, before: ReadonlySet<string>, now: number): void {
  for (const [key, until] of state.retired) if (until <= now) state.retired.delete(key);
  for (const key of before) {
    if (!state.ours.has(key) && state.retired.size < MAX_RETIRED)
      state.retired.set(key, now + RETIRED_MS);
  }
}

/** One packet asks for all names that are due (RFC 6762 §8.1). */
function probe(link: LinkState, now: number): ResponderAction[] {
  const due: Claim[] = [];
  let isFree = false;
  for (const claim of link.claims.values()) {
    if (claim.phase !== 'probing' || claim.nextAt > now) continue;
    if (claim.sent === PROBES) {
      Object.assign(claim, { phase: 'announcing', sent: 0, nextAt: now });
      link.index = undefined;
      isFree = true;
      continue;
    }
    claim.sent++;
    claim.nextAt = now + PROBE_PAUSE_MS;
    due.push(claim);
  }
  if (isFree) wakeHost(link, now);
  if (due.length === 0) return [];
  // Answers by unicast would be welcome, but where programs share the port another one may get them (§15.1).
  const questions = due.map(({ name }) => ({ name, type: 'ANY', unicast: false }) as const);
  const authorities = due.flatMap(({ unique }) => unique.map(each => ({ ...each, flush: false })));
  return [{ kind: 'send', link: link.id, message: queryOf({ questions, authorities }) }];
}

/** A host is of no use to others before there is a service on it: both are told in one packet. */
function wakeHost({ claims }: LinkState, now: number): void {
  const all = [...claims.values()];
  const isUseful = all.some(({ entry, phase }) => entry !== undefined && phase !== 'probing');
  for (const claim of all) {
    if (claim.entry !== undefined || claim.phase !== 'announcing' || claim.sent > 0) continue;
    claim.nextAt = isUseful ? now : Number.POSITIVE_INFINITY;
  }
}

function announce(link: LinkState, now: number): ResponderAction[] {
  const due = [...link.claims.values()].filter(
    ({ phase, nextAt }) => phase === 'announcing' && nextAt <= now,
  );
  if (due.length === 0) return [];
  for (const claim of due) {
    claim.nextAt = now + ANNOUNCEMENT_PAUSE_MS * 2 ** claim.sent;
    claim.sent++;
    if (claim.sent === ANNOUNCEMENTS) claim.phase = 'done';
  }
  const answers = due.flatMap(({ shared, unique }) => [...shared, ...unique]);
  const hosts = due.filter(({ entry }) => entry === undefined).map(denial);
  return multicast(link, answers, hosts, now);
}

/** Two hosts ask for a name at once: whose records come later in order gets it (RFC 6762 §8.2). */
function breakTies(state: ResponderState, link: LinkState, message: DnsMessage, now: number): void {
  if (message.authorities.length === 0) return;
  for (const claim of link.claims.values()) {
    if (claim.phase !== 'probing') continue;
    const name = foldName(claim.name);
    const theirs = message.authorities.filter(each => foldName(each.name) === name);
    const isOther = theirs.some(each => !isOurs(state, each));
    if (!isOther || compareRecordSets(claim.unique, theirs) >= 0) continue;
    claim.sent = 0;
    claim.nextAt = now + DEFERRED_MS;
  }
}

/** Our records on other links are no conflict: two links may be one network. */
function isOurs({ ours, retired }: ResponderState, record: DnsRecord): boolean {
  const key = recordKey(record);
  return ours.has(key) || retired.has(key);
}

function hearResponse(
  state: ResponderState,
  link: LinkState,
  { answers, additionals }: DnsMessage,
  now: number,
): ResponderAction[] {
  const claims = new Map([...link.claims.values()].map(each => [foldName(each.name), each]));
  const conflicts = new Set<Claim>();
  for (const record of [...answers, ...additionals]) {
    suppress(link, record);
    reassert(state, link, record, now);
    const claim = claims.get(foldName(record.name));
    if (!claim || record.ttl === 0 || isOurs(state, record)) continue;
    const types = claim.entry === undefined ? ['A', 'AAAA'] : ['SRV', 'TXT'];
    if (types.includes(record.data.type)) conflicts.add(claim);
  }
  return [...conflicts].flatMap(claim => conflict(state, link, claim, now));
}

/** RFC 6762 §9: who has a name asks for it once more; who asks for it takes another. */
function conflict(
  state: ResponderState,
  link: LinkState,
  claim: Claim,
  now: number,
): ResponderAction[] {
  // The wait is not cut short by those who make it necessary.
  if (claim.phase === 'probing' && claim.sent === 0 && isContested(state, now)) return [];
  state.conflictsAt.push(now);
  if (state.conflictsAt.length > MANY_CONFLICTS.count) state.conflictsAt.shift();
  if (claim.phase !== 'probing') {
    Object.assign(claim, { phase: 'probing', sent: 0, nextAt: now + firstProbeDelay(state, now) });
    link.index = undefined;
    return [];
  }
  return giveUp(state, claim, now);
}

function giveUp(
  state: ResponderState,
  { entry: entryKey, type }: Claim,
  now: number,
): ResponderAction[] {
  const entry = entryKey === undefined ? undefined : state.entries.get(entryKey);
  if (entryKey === undefined || !entry) {
    state.hostLabel = nextName(state.hostLabel);
    return refresh(state, now);
  }
  const { label: from, publication } = entry;
  if (type !== publication.services[0]?.type) {
    entry.yielded.add(type);
    return [{ kind: 'yielded', key: entryKey, name: from, type }, ...refresh(state, now)];
  }
  const choice = NAME_STEPS[Math.min(entry.taken, NAME_STEPS.length - 1)] ?? 1;
  entry.label = nextName(from, 1 + Math.floor(choice * state.random()));
  entry.taken++;
  entry.yielded.clear();
  const contested = isContested(state, now);
  return [
    { kind: 'renamed', key: entryKey, from, to: entry.label, contested },
    ...refresh(state, now),
  ];
}

/** A name is settled when nobody on any link has objected to it, nor to the host's. */
function tellNames(state: ResponderState): ResponderAction[] {
  const actions: ResponderAction[] = [];
  if (state.links.size === 0) return actions;
  for (const [key, entry] of state.entries) {
    const type = entry.publication.services[0]?.type;
    const isSettled = [...state.links.values()].every(({ claims }) =>
      [...claims.values()].every(
        claim =>
          claim.phase !== 'probing' ||
          (claim.entry !== undefined && (claim.entry !== key || claim.type !== type)),
      ),
    );
    if (!isSettled) continue;
    entry.taken = 0;
    if (entry.named === entry.label) continue;
    entry.named = entry.label;
    actions.push({ kind: 'named', key, name: entry.label });
  }
  return actions;
}
