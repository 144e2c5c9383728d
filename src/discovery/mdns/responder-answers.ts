/** What is answered, to whom and when (RFC 6762 §6, §7): seldom, together, and nothing that is known already. */
import { foldName } from '../phone-name.js';
import { type DnsQuestion, type DnsRecord, responseOf } from './dns-message.js';
import { recordKey } from './record-identity.js';
import {
  type Asked,
  answersOn,
  type LinkState,
  type Match,
  type ResponderAction,
  type ResponderEvent,
  type ResponderState,
} from './responder-state.js';
import { companions, denial } from './service-records.js';

/** RFC 6762 §6.7: whoever asks from another port knows nothing of multicast DNS. */
const MDNS_PORT = 5353;
const LEGACY_TTL_S = 10;
/** RFC 6762 §6: where others may answer too, at random within this time. */
const SHARED_DELAY_MS = { least: 20, spread: 100 };
/** RFC 6762 §7.2: further known answers come within this time. */
const TRUNCATED_DELAY_MS = { least: 400, spread: 100 };
/** RFC 6762 §6: a record is multicast once in this time, in defence of its name more often. */
const SPACING_MS = 1000;
const DEFENCE_SPACING_MS = 250;
/** What is asked beyond these is not answered: who asks again later gets it. */
const MAX_UNICASTS = 64;
const MAX_COLLECTED = 32;
const MAX_KNOWN = 2000;

/** Takes a question; what it leads to may be due later. */
export function answer(
  state: ResponderState,
  link: LinkState,
  { source, unicast, message, now }: ResponderEvent & { kind: 'heard' },
): ResponderAction[] {
  const who = `${source.address} ${source.port}`;
  const before = link.collecting.get(who);
  const known = before?.known ?? new Map<string, number>();
  for (const record of message.answers)
    if (known.size < MAX_KNOWN) known.set(recordKey(record), record.ttl);
  const probing = message.authorities.length > 0;
  const { id, questions } = message;
  const asked: Asked = before
    ? { ...before, questions: [...before.questions, ...questions].slice(0, MAX_KNOWN) }
    : { source, unicast, id, questions, probing, known };
  if (before) {
    link.collecting.set(who, { ...asked, dueAt: before.dueAt });
    return [];
  }
  if (message.truncated && link.collecting.size < MAX_COLLECTED) {
    const { least, spread } = TRUNCATED_DELAY_MS;
    const mayConcernUs = matchesOf(link, questions).length > 0;
    if (mayConcernUs)
      link.collecting.set(who, { ...asked, dueAt: now + least + spread * state.random() });
    return [];
  }
  return respond(state, link, asked, now);
}

/** Sends what is due. */
export function answerDue(state: ResponderState, link: LinkState, now: number): ResponderAction[] {
  const actions: ResponderAction[] = [];
  for (const [who, asked] of link.collecting) {
    if (asked.dueAt > now) continue;
    link.collecting.delete(who);
    actions.push(...respond(state, link, asked, now));
  }
  const answers: DnsRecord[] = [];
  let spacingMs = SPACING_MS;
  for (const [key, pending] of link.pending) {
    if (pending.dueAt > now) continue;
    link.pending.delete(key);
    answers.push(pending.record);
    spacingMs = Math.min(spacingMs, pending.spacingMs);
  }
  actions.push(...multicast(link, answers, companionsOf(link, answers), now, spacingMs));
  while (link.unicasts[0] && link.unicasts[0].dueAt <= now) {
    const { to, answers: records } = link.unicasts.shift()!;
    const message = responseOf({ answers: records, additionals: companionsOf(link, records) });
    actions.push({ kind: 'send', link: link.id, message, to });
  }
  return actions;
}

/** When `answerDue` has something to do; Infinity if never. */
export function nextAnswerAt(link: LinkState): number {
  let at = link.unicasts[0]?.dueAt ?? Number.POSITIVE_INFINITY;
  for (const { dueAt } of link.pending.values()) at = Math.min(at, dueAt);
  for (const { dueAt } of link.collecting.values()) at = Math.min(at, dueAt);
  return at;
}

/** One multicast response, without the records that went out a moment ago. */
export function multicast(
  link: LinkState,
  answers: readonly DnsRecord[],
  additionals: readonly DnsRecord[],
  now: number,
  spacingMs = SPACING_MS,
): ResponderAction[] {
  const fresh = (records: readonly DnsRecord[]) =>
    records.filter(record => {
      const key = recordKey(record);
      if ((link.sentAt.get(key) ?? Number.NEGATIVE_INFINITY) > now - spacingMs) return false;
      link.sentAt.set(key, now);
      link.pending.delete(key);
      return true;
    });
  const first = fresh(answers);
  if (first.length === 0) return [];
  const message = responseOf({ answers: first, additionals: fresh(additionals) });
  return [{ kind: 'send', link: link.id, message }];
}

/** Somebody else has just said it (RFC 6762 §7.4). */
export function suppress(link: LinkState, heard: DnsRecord): void {
  const key = recordKey(heard);
  const pending = link.pending.get(key);
  if (pending?.shared && heard.ttl >= pending.record.ttl) link.pending.delete(key);
}

/** Somebody says of what is ours that it will soon be over: it is said right (RFC 6762 §6.6). */
export function reassert(
  state: ResponderState,
  link: LinkState,
  heard: DnsRecord,
  now: number,
): void {
  const key = recordKey(heard);
  const ours = answersOn(link)
    .get(foldName(heard.name))
    ?.matches.find(({ record }) => recordKey(record) === key);
  if (ours && heard.ttl < ours.record.ttl / 2) schedule(link, ours, now + sharedDelay(state), now);
}

function respond(
  state: ResponderState,
  link: LinkState,
  asked: Asked,
  now: number,
): ResponderAction[] {
  const { source, known, questions, probing } = asked;
  const matches = matchesOf(link, questions).filter(
    ({ record }) => (known.get(recordKey(record)) ?? -1) < record.ttl / 2,
  );
  if (matches.length === 0) return [];
  if (source.port !== MDNS_PORT) return [legacyResponse(link, asked, matches)];
  // RFC 6762 §6: at once where nobody else can answer.
  const isOurs = matches.every(({ shared }) => !shared) && (probing || questions.length === 1);
  const dueAt = isOurs ? now : now + sharedDelay(state, link, now);
  const byUnicast: DnsRecord[] = [];
  for (const match of matches) {
    // RFC 6762 §5.4: what all others have not heard for long, they hear too.
    const age = now - (link.sentAt.get(recordKey(match.record)) ?? Number.NEGATIVE_INFINITY);
    const isRecent = age < match.record.ttl * 250;
    if ((asked.unicast || match.unicast) && isRecent) byUnicast.push(match.record);
    else schedule(link, match, dueAt, now, probing ? DEFENCE_SPACING_MS : SPACING_MS);
  }
  if (byUnicast.length > 0 && link.unicasts.length < MAX_UNICASTS) {
    link.unicasts.push({ to: source, answers: byUnicast, dueAt });
    link.unicasts.sort((a, b) => a.dueAt - b.dueAt);
  }
  return [];
}

/** Joins what waits already, so that it goes in one packet. */
function sharedDelay(state: ResponderState, link?: LinkState, now = 0): number {
  const { least, spread } = SHARED_DELAY_MS;
  for (const { dueAt } of link?.pending.values() ?? []) {
    const delay = dueAt - now;
    if (delay >= least && delay <= least + spread) return delay;
  }
  return least + spread * state.random();
}

/** What was multicast a moment ago waits: whoever asks may have come too late for it. */
function schedule(
  link: LinkState,
  { record, shared }: Match,
  wantedAt: number,
  now: number,
  spacingMs = SPACING_MS,
): void {
  const key = recordKey(record);
  const before = link.pending.get(key);
  const sentAt = link.sentAt.get(key) ?? Number.NEGATIVE_INFINITY;
  const dueAt = Math.max(wantedAt, sentAt + spacingMs, now);
  link.pending.set(key, {
    record,
    shared,
    dueAt: Math.min(dueAt, before?.dueAt ?? Number.POSITIVE_INFINITY),
    spacingMs: Math.min(spacingMs, before?.spacingMs ?? SPACING_MS),
  });
}

/** RFC 6762 §6.7 */
function legacyResponse(link: LinkState, asked: Asked, matches: readonly Match[]): ResponderAction {
  const plain = (record: DnsRecord): DnsRecord => ({
    ...record,
    ttl: Math.min(record.ttl, LEGACY_TTL_S),
    flush: false,
  });
  const answers = matches.map(({ record }) => record);
  const message = responseOf({
    id: asked.id,
    questions: asked.questions.map(question => ({ ...question, unicast: false })),
    answers: answers.map(plain),
    additionals: companionsOf(link, answers).map(plain),
  });
  return { kind: 'send', link: link.id, message, to: asked.source };
}

/** What the questions are answered with, and whether by unicast; of what is not there it is said so (§6.1). */
function matchesOf(
  link: LinkState,
  questions: readonly DnsQuestion[],
): (Match & { readonly unicast: boolean })[] {
  const found = new Map<string, Match & { readonly unicast: boolean }>();
  const index = answersOn(link);
  for (const { name, type, unicast } of questions) {
    const here = index.get(foldName(name));
    if (!here) continue;
    const { claim } = here;
    const isUnique = foldName(claim.name) === foldName(name);
    const wanted = here.matches.filter(({ record }) => type === 'ANY' || record.data.type === type);
    const matches =
      wanted.length === 0 && isUnique ? [{ record: denial(claim), shared: false }] : wanted;
    for (const match of matches) {
      const key = recordKey(match.record);
      // Whoever asked for it to be multicast gets it so.
      const isUnicast = unicast && (found.get(key)?.unicast ?? true);
      found.set(key, { ...match, unicast: isUnicast });
    }
  }
  return [...found.values()];
}

/** Each once, and none that is an answer itself. */
function companionsOf(link: LinkState, answers: readonly DnsRecord[]): DnsRecord[] {
  const claims = [...link.claims.values()].filter(({ phase }) => phase !== 'probing');
  const answered = new Set(answers.map(recordKey));
  const found = new Map<string, DnsRecord>();
  for (const record of answers.flatMap(each => companions(each, claims))) {
    const key = recordKey(record);
    if (!answered.has(key)) found.set(key, record);
  }
  return [...found.values()];
}
