/** What holds of a ring at all times, by name, and what breaks it. Whoever sees all members can check. */
import { between, type Id, indexAtOrAfter, ownerAmong } from './ids.js';

/** What is seen of one live member. */
export interface MemberView {
  readonly id: Id;
  readonly successors: readonly { readonly id: Id }[];
}

export type InvariantName =
  | 'one ring'
  | 'ordered'
  | 'live successor for each member'
  | 'every key has its copies'
  | 'no wrong owner answers'
  /** Stricter: nobody would answer wrongly, were it asked. */
  | 'each part has one owner';

export interface Violation {
  readonly invariant: InvariantName;
  readonly what: string;
}

/** Successors, as far as they are alive, lead from every member into one and the same circle. */
export function checkOneRing(members: readonly MemberView[]): Violation[] {
  const next = firstLiveSuccessors(members);
  const circles = new Map<Id, Id>();
  /** Which circle each member leads to, by the lowest id in it. */
  const leadsTo = new Map<Id, Id>();
  for (const { id } of members) {
    const path: Id[] = [];
    const onPath = new Set<Id>();
    let at: Id | undefined = id;
    while (at !== undefined && !leadsTo.has(at) && !onPath.has(at)) {
      path.push(at);
      onPath.add(at);
      at = next.get(at);
    }
    if (at === undefined) continue;
    let circle = leadsTo.get(at);
    if (circle === undefined) {
      const inCircle = path.slice(path.indexOf(at));
      circle = inCircle.reduce((a, b) => (a < b ? a : b));
      circles.set(circle, at);
    }
    for (const passed of path) leadsTo.set(passed, circle);
  }
  if (circles.size <= 1) return [];
  return [
    { invariant: 'one ring', what: `${circles.size} rings, of ${[...circles.keys()].join(', ')}` },
  ];
}

/** A successor list goes round clockwise, and neither reaches nor passes its member. */
export function checkOrdered({ id, successors }: MemberView): Violation[] {
  for (let i = 0; i < successors.length; i++) {
    const before = i === 0 ? id : successors[i - 1]!.id;
    const here = successors[i]!.id;
    if (here === id || !(i === 0 || between(here, before, id))) {
      return [{ invariant: 'ordered', what: `${id}: ${here} after ${before}` }];
    }
  }
  return [];
}

/** Nobody, unless alone, is cut off by the death of its successors. */
export function checkLiveSuccessors(members: readonly MemberView[]): Violation[] {
  if (members.length < 2) return [];
  const next = firstLiveSuccessors(members);
  return members
    .filter(({ id }) => !next.has(id))
    .map(({ id }) => ({ invariant: 'live successor for each member', what: `${id} has none` }));
}

/** `holders`: how many live members hold each key. */
export function checkCopies(holders: ReadonlyMap<Id, number>, copies: number): Violation[] {
  return [...holders]
    .filter(([, count]) => count < copies)
    .map(([key, count]) => ({
      invariant: 'every key has its copies',
      what: `${key}: ${count} of ${copies}`,
    }));
}

/** `members` sorted by id: who answers for a key is the first at or after it. */
export function checkOwner(
  members: readonly { readonly id: Id }[],
  key: Id,
  owner: Id,
): Violation[] {
  const right = ownerAmong(members, key)?.id;
  if (right === owner) return [];
  return [
    { invariant: 'no wrong owner answers', what: `${key}: ${owner} answered, ${right} owns it` },
  ];
}

/** `members` sorted by id: nobody is in the part of another one, which begins after its predecessor. */
export function checkPart(
  members: readonly { readonly id: Id }[],
  { id, predecessor }: { readonly id: Id; readonly predecessor: { readonly id: Id } | undefined },
): Violation[] {
  if (!predecessor) return [];
  const before = members[(indexAtOrAfter(members, id) + members.length - 1) % members.length];
  if (!before || before.id === id || !between(before.id, predecessor.id, id)) return [];
  return [
    { invariant: 'each part has one owner', what: `${before.id} is in the part of ${id} as well` },
  ];
}

function firstLiveSuccessors(members: readonly MemberView[]): Map<Id, Id> {
  const live = new Set(members.map(({ id }) => id));
  const next = new Map<Id, Id>();
  for (const { id, successors } of members) {
    const first = successors.find(successor => live.has(successor.id));
    if (first) next.set(id, first.id);
  }
  return next;
}
