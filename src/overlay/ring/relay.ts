/** Answering who asks for the owner of a key: from what we know or, recursively, from others. */
import { type Id, within } from './ids.js';
import { RELAY_MARGIN_MS } from './lookup.js';
import type { MemberState, Relay } from './member-state.js';
import type { RingAnswer, RingRequest } from './messages.js';
import type { Peer } from './peer.js';
import { answer, ask } from './requests.js';
import { closerPeers, ownersNear, owns } from './routing.js';

/** Peers named in an answer: enough to go on with when the first is dead. */
const CLOSER = 3;
const OWNERS = 3;
/** A recursive lookup is not asked on for longer, whatever the asker says. */
const MAX_RELAY_MS = 30_000;

export function answerFind(
  state: MemberState,
  from: Peer,
  number: number,
  { key, withinMs, avoid }: Extract<RingRequest, { type: 'find' }>,
): void {
  if (state.phase !== 'member') {
    answer(state, from, number, { type: 'busy' });
    return;
  }
  const { predecessor, successors, self } = state;
  // Who asks for its own id is about to join: its old place does not stand in its way.
  const returning = key === from.id && predecessor?.id === from.id && from.id !== self.id;
  if (returning || owns(state, key)) {
    answer(state, from, number, { type: 'owner', predecessor, successors });
    return;
  }
  if (withinMs === undefined) {
    answer(state, from, number, whoIsCloser(state, key, avoid));
    return;
  }
  answer(state, from, number, { type: 'trying' });
  const deadline = state.now + Math.min(withinMs, MAX_RELAY_MS);
  relay(state, { to: from, number, key, tried: new Set([from.id, self.id]), deadline });
}

function whoIsCloser(state: MemberState, key: Id, avoid: readonly Id[]): RingAnswer {
  const { predecessor } = state;
  return {
    type: 'closer',
    closer: closerPeers(state, key, CLOSER, avoid),
    owners: ownersNear(state, key, OWNERS, avoid),
    predecessor,
  };
}

function relay(state: MemberState, passed: Relay): void {
  const { key, tried, deadline, to, number } = passed;
  const withinMs = deadline - state.now - RELAY_MARGIN_MS;
  const next = nextHops(state, passed).find(({ id }) => !tried.has(id));
  if (!next || withinMs <= 0) {
    answer(state, to, number, whoIsCloser(state, key, [...tried]));
    return;
  }
  tried.add(next.id);
  ask(state, next, { type: 'find', key, avoid: [], withinMs }, { type: 'relay', relay: passed });
}

function nextHops(state: MemberState, { key, to }: Relay): Peer[] {
  const { predecessor, self } = state;
  // Taken for the owner by who sees us after the key: the owner is before us.
  if (predecessor && within(key, to.id, self.id)) return [predecessor];
  return [...ownersNear(state, key, OWNERS), ...closerPeers(state, key, CLOSER)];
}

export function relayAnswered(
  state: MemberState,
  from: Peer,
  passed: Relay,
  body: RingAnswer | undefined,
): void {
  if (body?.type !== 'owner') {
    relay(state, passed);
    return;
  }
  const { owner = from, hops = 0 } = body;
  answer(state, passed.to, passed.number, { ...body, owner, hops: hops + 1 });
}
