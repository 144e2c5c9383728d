/**
 * A message of the ring taken apart into what SIP carries: a name, a few words, links and a body; and put together
 * again. What comes from outside is checked here; how it stands in header fields is not known here.
 */
import type { Id } from '../ring/ids.js';
import type { RingAnswer, RingRequest } from '../ring/messages.js';
import type { Peer } from '../ring/peer.js';
import type { StoreRefusal } from '../ring/records.js';
import { type Items, readBody, writeBody } from './body.js';
import type { Link, LinkLetter } from './fields.js';
import { type Decoded, shown, taken, Unreadable } from './refusal.js';

export interface Content {
  /** As in DHT-Message: the type of the request or answer. */
  readonly name: string;
  readonly words: Readonly<Record<string, string>>;
  /** What is looked for, or stored. */
  readonly key?: Id;
  /** Where a node is reached, and for how long that holds, in s. */
  readonly contact?: string;
  readonly expiresS?: number;
  readonly links: readonly Link[];
  readonly body: Uint8Array;
}

/** Of a recursive lookup that does not say how long it may take. */
const DEFAULT_WITHIN_MS = 4_000;
const MAX_WITHIN_MS = 32_000;
const MAX_HOPS = 1_000;
const MAX_COPIES = 1_000;

const NO_BODY = new Uint8Array(0);

/** @throws {CodedError} `UNWRITABLE` */
export function requestContent(request: RingRequest): Content {
  const { type: name } = request;
  switch (request.type) {
    case 'ping':
    case 'neighbours':
    case 'join':
      return content({ name });
    case 'find': {
      const { key, withinMs } = request;
      const words: Record<string, string> =
        withinMs === undefined ? {} : { within: String(clampedMs(withinMs)) };
      const silent = request.avoid.map(id => ({ id, address: '0.0.0.0' }));
      return content({ name, key, words, links: links('X', silent) });
    }
    case 'notify': {
      const words: Record<string, string> = request.joining ? { joining: '' } : {};
      return content({ name, words, links: links('P', [request.predecessor]) });
    }
    case 'leave':
      return content({ name, links: neighbourLinks(request) });
    case 'store': {
      const words: Record<string, string> = request.copy ? { copy: '' } : {};
      const { records } = request;
      const place = records[0] && { key: records[0].key };
      return content({ name, words, ...place, body: writeBody({ records }) });
    }
    case 'fetch':
      return content({ name, key: request.key });
    case 'offer':
      return content({ name, body: writeBody({ versions: request.versions }) });
    case 'membership': {
      const { hops, entries } = request;
      return content({ name, words: { hops: String(hops) }, body: writeBody({ entries }) });
    }
    case 'compare':
      return content({ name, body: writeBody({ digests: request.digests }) });
    case 'merge':
      return content({ name, links: links('C', [request.contact]) });
  }
}

/** @throws {CodedError} `UNWRITABLE` */
export function answerContent(answer: RingAnswer): Content {
  const { type: name } = answer;
  switch (answer.type) {
    case 'trying':
    case 'pong':
    case 'busy':
    case 'accepted':
      return content({ name });
    case 'owner': {
      const { owner, hops } = answer;
      const words: Record<string, string> = hops === undefined ? {} : { hops: String(hops) };
      return content({ name, words, links: [...neighbourLinks(answer), ...links('O', [owner])] });
    }
    case 'closer': {
      const { closer, owners, predecessor } = answer;
      const all = [...links('P', [predecessor]), ...links('C', closer), ...links('O', owners)];
      return content({ name, links: all });
    }
    case 'links':
      return content({ name, links: neighbourLinks(answer) });
    case 'notified':
      return content({
        name,
        links: links('P', [answer.predecessor, answer.previous, answer.beyond]),
      });
    case 'stored':
      return content({ name, words: { copies: String(answer.copies) } });
    case 'refused':
      return content({ name, words: { reason: answer.reason } });
    case 'records':
      return content({ name, body: writeBody({ records: answer.records }) });
    case 'wanted':
      return content({ name, body: writeBody({ versions: answer.versions }) });
    case 'compared': {
      const { parts, entries } = answer;
      return content({ name, body: writeBody({ parts, entries }) });
    }
  }
}

/** Refused with `UNKNOWN_MESSAGE`, `MALFORMED`, `BAD_ID`, `UNSIGNED` for a record without a signature. */
export function readRequestContent(from: Content): Decoded<RingRequest> {
  return guarded(() => requestOf(from));
}

export function readAnswerContent(from: Content): Decoded<RingAnswer> {
  return guarded(() => answerOf(from));
}

/** Runs what throws `Unreadable`. */
export function guarded<Value>(read: () => Value): Decoded<Value> {
  try {
    return taken(read());
  } catch (error) {
    if (error instanceof Unreadable) return error.refusal;
    throw error;
  }
}

function requestOf(from: Content): RingRequest {
  const { name, words, key } = from;
  switch (name) {
    case 'ping':
    case 'neighbours':
    case 'join':
      return { type: name };
    case 'find': {
      const avoid = peers(from, 'X').map(({ id }) => id);
      const within = words.within;
      if (within === undefined) return { type: name, key: needed(key), avoid };
      const withinMs = number(within || String(DEFAULT_WITHIN_MS), 'within', MAX_WITHIN_MS);
      return { type: name, key: needed(key), avoid, withinMs };
    }
    case 'notify': {
      const joining = words.joining !== undefined;
      return { type: name, joining, predecessor: peerAt(from, 'P', 1) };
    }
    case 'leave':
      return { type: name, ...neighbours(from) };
    case 'store': {
      const { records } = items(from);
      const unsigned = records.find(({ signature }) => signature === '');
      if (unsigned)
        throw new Unreadable('UNSIGNED', `the record under ${unsigned.key} is not signed`);
      return { type: name, records, copy: words.copy !== undefined };
    }
    case 'fetch':
      return { type: name, key: needed(key) };
    case 'offer':
      return { type: name, versions: items(from).versions };
    case 'membership': {
      const hops = number(words.hops, 'hops', MAX_HOPS);
      return { type: name, hops, entries: items(from).entries };
    }
    case 'compare':
      return { type: name, digests: items(from).digests };
    case 'merge': {
      const contact = peerAt(from, 'C', 1);
      if (contact) return { type: name, contact };
      throw new Unreadable('MALFORMED', 'expected link C1 of the other ring, found none');
    }
    default:
      throw new Unreadable(
        'UNKNOWN_MESSAGE',
        `expected a request of the ring, found ${shown(name)}`,
      );
  }
}

function answerOf(from: Content): RingAnswer {
  const { name, words } = from;
  switch (name) {
    case 'trying':
    case 'pong':
    case 'busy':
    case 'accepted':
      return { type: name };
    case 'owner': {
      const owner = peerAt(from, 'O', 1);
      const hops = words.hops;
      return {
        type: name,
        ...neighbours(from),
        ...(owner && { owner }),
        ...(hops !== undefined && { hops: number(hops, 'hops', MAX_HOPS) }),
      };
    }
    case 'closer': {
      const predecessor = peerAt(from, 'P', 1);
      return { type: name, closer: peers(from, 'C'), owners: peers(from, 'O'), predecessor };
    }
    case 'links':
      return { type: name, ...neighbours(from) };
    case 'notified':
      return {
        type: name,
        predecessor: peerAt(from, 'P', 1),
        previous: peerAt(from, 'P', 2),
        beyond: peerAt(from, 'P', 3),
      };
    case 'stored':
      return { type: name, copies: number(words.copies, 'copies', MAX_COPIES) };
    case 'refused':
      return { type: name, reason: reasonOf(words.reason) };
    case 'records':
      return { type: name, records: items(from).records };
    case 'wanted':
      return { type: name, versions: items(from).versions };
    case 'compared': {
      const { parts, entries } = items(from);
      return { type: name, parts, entries };
    }
    default:
      throw new Unreadable(
        'UNKNOWN_MESSAGE',
        `expected an answer of the ring, found ${shown(name)}`,
      );
  }
}

/** A reason of later versions is as good as "full": it is not kept, and others may. */
function reasonOf(text: string | undefined): StoreRefusal | 'no-table' {
  switch (text) {
    case 'not-owner':
    case 'too-large':
    case 'full':
    case 'bad-signature':
    case 'outdated':
    case 'no-table':
      return text;
    case undefined:
      throw new Unreadable('MALFORMED', 'expected why it is refused, found nothing');
    default:
      return 'full';
  }
}

interface Neighbours {
  readonly predecessor: Peer | undefined;
  readonly successors: readonly Peer[];
}

export function content(of: Partial<Content> & { readonly name: string }): Content {
  return { words: {}, links: [], body: NO_BODY, ...of };
}

function neighbourLinks({ predecessor, successors }: Neighbours): Link[] {
  return [...links('P', [predecessor]), ...links('S', successors)];
}

export function links(letter: LinkLetter, of: readonly (Peer | undefined)[]): Link[] {
  return of.flatMap((peer, index) => (peer ? [{ letter, number: index + 1, peer }] : []));
}

function neighbours(from: Content): Neighbours {
  return { predecessor: peerAt(from, 'P', 1), successors: peers(from, 'S') };
}

/** Those of a letter by their numbers, however they stood. */
export function peers({ links }: Content, letter: LinkLetter): Peer[] {
  const of = links.filter(link => link.letter === letter).sort((a, b) => a.number - b.number);
  const twice = of.find(({ number }, index) => number === of[index + 1]?.number);
  if (!twice) return of.map(({ peer }) => peer);
  throw new Unreadable('MALFORMED', `expected link ${letter}${twice.number} once, found it twice`);
}

export function peerAt({ links }: Content, letter: LinkLetter, number: number): Peer | undefined {
  const [found, another] = links.filter(link => link.letter === letter && link.number === number);
  if (!another) return found?.peer;
  throw new Unreadable('MALFORMED', `expected link ${letter}${number} once, found it twice`);
}

export function items({ body }: Content): Items {
  return readBody(body);
}

export function needed(key: Id | undefined): Id {
  if (key !== undefined) return key;
  throw new Unreadable('MALFORMED', 'expected what is looked for in To, found a member');
}

export function number(text: string | undefined, what: string, max: number): number {
  const value = text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new Unreadable(
    'MALFORMED',
    `expected ${what} up to ${max}, found ${shown(text ?? 'nothing')}`,
  );
}

function clampedMs(ms: number): number {
  return Math.min(MAX_WITHIN_MS, Math.max(0, Math.round(ms)));
}
