/**
 * Content that does not fit one message is cut into parts, each a REGISTER of its own, or an answer that is asked
 * for; `PartAssembler` puts them together again, in any order, within bounds of memory.
 */
import { createHash } from 'node:crypto';
import { CodedError } from '../../core/errors.js';
import type { Peer } from '../ring/peer.js';
import type { Content } from './content.js';
import { type Link, MAX_BODY_OCTETS, MAX_LINKS, type PartPlace } from './fields.js';
import { type Decoded, refused, type WireRefusal } from './refusal.js';

/** Links of one message: some 3.6 kB. */
export const LINKS_IN_PART = 32;
/** Octets of body of one message: what a member sends at once stays short of delaying a call. */
export const BODY_IN_PART = 32_768;

export interface Part {
  readonly content: Content;
  /** Undefined where this is the whole. */
  readonly place: PartPlace | undefined;
}

/** @throws {CodedError} `UNWRITABLE` beyond MAX_LINKS or MAX_BODY_OCTETS */
export function cutContent(content: Content): Part[] {
  const { links, body } = content;
  if (links.length > MAX_LINKS || body.length > MAX_BODY_OCTETS) {
    const found = `${links.length} and ${body.length}`;
    throw new CodedError(
      'UNWRITABLE',
      `a message may have ${MAX_LINKS} links and ${MAX_BODY_OCTETS} octets of body, this one has ${found}`,
      { remedy: 'Send it as several messages.' },
    );
  }
  const count = Math.max(
    1,
    Math.ceil(links.length / LINKS_IN_PART),
    Math.ceil(body.length / BODY_IN_PART),
  );
  if (count === 1) return [{ content, place: undefined }];
  const digest = digestOf(body);
  return Array.from({ length: count }, (_, index) => {
    const offset = Math.min(body.length, index * BODY_IN_PART);
    const ofPart = {
      ...content,
      links: links.slice(index * LINKS_IN_PART, (index + 1) * LINKS_IN_PART),
      body: body.subarray(offset, offset + BODY_IN_PART),
    };
    const place = { index, count, links: links.length, octets: body.length, offset, digest };
    return { content: ofPart, place };
  });
}

export interface PartOrigin {
  readonly kind: 'request' | 'answer';
  readonly from: Peer;
  readonly number: number;
}

export type AssemblyEvent =
  | { readonly type: 'part'; readonly origin: PartOrigin; readonly part: Part }
  | { readonly type: 'timeout'; readonly assembly: number }
  /** The link to a member has ended: nothing more comes from it. */
  | { readonly type: 'gone'; readonly from: Peer };

export type AssemblyAction =
  | { readonly type: 'whole'; readonly origin: PartOrigin; readonly content: Content }
  /** The part is kept; the first that is missing, by its index, is still to come. */
  | { readonly type: 'waiting'; readonly origin: PartOrigin; readonly missing: number }
  | { readonly type: 'refused'; readonly origin: PartOrigin; readonly refusal: WireRefusal }
  | { readonly type: 'set-timer'; readonly assembly: number; readonly ms: number }
  /** It did not come in time, and what came is forgotten. */
  | { readonly type: 'expired'; readonly origin: PartOrigin; readonly missing: readonly number[] };

export interface AssemblyBounds {
  /** Of all that is under way, as announced by the first part of each; beyond them what has stalled longest is forgotten. */
  readonly octets: number;
  readonly messages: number;
  /** Beyond that a sender is refused. */
  readonly octetsPerSender: number;
  readonly timeoutMs: number;
}

export const ASSEMBLY_BOUNDS: AssemblyBounds = {
  octets: 16 * 2 ** 20,
  octetsPerSender: 4 * 2 ** 20,
  messages: 256,
  timeoutMs: 32_000,
};

const NO_BODY = new Uint8Array(0);

/** What a link, and a part, cost beside the octets of the body. */
const LINK_OCTETS = 512;
const PART_OCTETS = 1_024;

/** What is kept of a part: the rest is in every part, and kept once. */
interface Piece {
  readonly links: readonly Link[];
  readonly body: Uint8Array;
  readonly offset: number;
}

interface Assembly {
  readonly number: number;
  readonly origin: PartOrigin;
  readonly first: PartPlace;
  /** Name, words and key, as the part that came first has them. */
  readonly content: Content;
  /** Set aside. */
  readonly octets: number;
  readonly pieces: Map<number, Piece>;
}

/** Pure: what happens comes in by `step`, and what is to be done comes out. */
export class PartAssembler {
  /** The one of which nothing came for longest first: it makes room where there is none. */
  readonly #assemblies = new Map<string, Assembly>();
  readonly #bounds: AssemblyBounds;
  #next = 1;

  constructor(bounds: AssemblyBounds = ASSEMBLY_BOUNDS) {
    this.#bounds = bounds;
  }

  /** Messages under way. */
  get size(): number {
    return this.#assemblies.size;
  }

  /** Octets set aside for them. */
  get octets(): number {
    return sum(this.#assemblies.values());
  }

  step(event: AssemblyEvent): AssemblyAction[] {
    switch (event.type) {
      case 'part':
        return this.#take(event.origin, event.part);
      case 'timeout':
        return this.#expire(event.assembly);
      case 'gone':
        for (const [key, { origin }] of this.#assemblies) {
          if (origin.from.id === event.from.id) this.#assemblies.delete(key);
        }
        return [];
    }
  }

  #take(origin: PartOrigin, part: Part): AssemblyAction[] {
    const { place } = part;
    if (!place) return [{ type: 'whole', origin, content: part.content }];
    const key = keyOf(origin);
    const known = this.#assemblies.get(key);
    const assembly = known ?? this.#begin(origin, part.content, place);
    if (!('pieces' in assembly)) return [{ type: 'refused', origin, refusal: assembly }];
    const actions: AssemblyAction[] = [];
    if (!known) {
      const ms = this.#bounds.timeoutMs;
      actions.push({ type: 'set-timer', assembly: assembly.number, ms });
    }
    this.#assemblies.delete(key);
    const refusal = mismatch(assembly, part, place);
    if (refusal) {
      return [...actions, { type: 'refused', origin, refusal }];
    }
    if (!assembly.pieces.has(place.index)) {
      assembly.pieces.set(place.index, pieceOf(part.content, place));
    }
    const missing = missingOf(assembly)[0];
    if (missing !== undefined) {
      this.#assemblies.set(key, assembly);
      return [...actions, { type: 'waiting', origin, missing }];
    }
    const whole = join(assembly);
    return whole.ok
      ? [...actions, { type: 'whole', origin, content: whole.value }]
      : [...actions, { type: 'refused', origin, refusal: whole }];
  }

  #begin(origin: PartOrigin, content: Content, first: PartPlace): Assembly | WireRefusal {
    const kept = detached({ origin, content: { ...content, links: [], body: undefined } });
    const octets =
      first.octets +
      first.links * LINK_OCTETS +
      first.count * PART_OCTETS +
      JSON.stringify(kept).length;
    const { bounds, sender } = { bounds: this.#bounds, sender: origin.from.id };
    const ofSender = [...this.#assemblies.values()].filter(
      ({ origin: { from } }) => from.id === sender,
    );
    if (sum(ofSender) + octets > bounds.octetsPerSender) {
      return refused('OVERLOADED', 'too many messages in parts are under way; try again later');
    }
    for (const stalled of this.#assemblies.keys()) {
      if (this.#assemblies.size < bounds.messages && this.octets + octets <= bounds.octets) break;
      this.#assemblies.delete(stalled);
    }
    return {
      number: this.#next++,
      origin: kept.origin,
      first,
      content: { ...kept.content, body: NO_BODY },
      octets,
      pieces: new Map<number, Piece>(),
    };
  }

  #expire(number: number): AssemblyAction[] {
    for (const [key, assembly] of this.#assemblies) {
      if (assembly.number !== number) continue;
      this.#assemblies.delete(key);
      return [{ type: 'expired', origin: assembly.origin, missing: missingOf(assembly) }];
    }
    return [];
  }
}

function mismatch({ first, content, pieces }: Assembly, part: Part, place: PartPlace) {
  const { name, links, body } = part.content;
  const same =
    name === content.name &&
    place.count === first.count &&
    place.links === first.links &&
    place.octets === first.octets &&
    place.digest === first.digest;
  if (!same) return refused('MALFORMED', 'expected parts of one message, found parts of several');
  const known = pieces.get(place.index);
  if (known) {
    return Buffer.from(known.body).equals(body)
      ? undefined
      : refused('MALFORMED', `expected part ${place.index + 1} as before, found another`);
  }
  const octets = held(pieces, piece => piece.body.length) + body.length;
  if (
    octets > first.octets ||
    held(pieces, piece => piece.links.length) + links.length > first.links
  ) {
    return refused('MALFORMED', 'expected parts of the message, found more than the whole');
  }
  return undefined;
}

function join({ first, content, pieces }: Assembly): Decoded<Content> {
  const inOrder = [...pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece);
  let octets = 0;
  for (const { offset, body } of inOrder) {
    if (offset !== octets) return refused('MALFORMED', 'expected parts side by side');
    octets += body.length;
  }
  const links = inOrder.flatMap(piece => piece.links);
  const body = Buffer.concat(inOrder.map(piece => piece.body));
  if (octets !== first.octets || digestOf(body) !== first.digest) {
    return refused('MALFORMED', 'the parts are not the message that their DHT-Part announces');
  }
  return { ok: true, value: { ...content, links, body } };
}

/** A copy: a body is a view of a buffer that is used again. */
function pieceOf({ links, body }: Content, { offset }: PartPlace): Piece {
  return { links: detached(links), body: new Uint8Array(body), offset };
}

/** A copy whose strings are no slices of the head of a message, 64 KiB at most, which they would keep in memory. */
function detached<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

function held(pieces: ReadonlyMap<number, Piece>, of: (piece: Piece) => number): number {
  let total = 0;
  for (const piece of pieces.values()) total += of(piece);
  return total;
}

function missingOf({ first, pieces }: Assembly): number[] {
  return Array.from({ length: first.count }, (_, index) => index).filter(
    index => !pieces.has(index),
  );
}

function keyOf({ kind, from, number }: PartOrigin): string {
  return `${kind} ${from.id} ${number}`;
}

function sum(of: Iterable<Assembly>): number {
  let octets = 0;
  for (const assembly of of) octets += assembly.octets;
  return octets;
}

function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64url');
}
