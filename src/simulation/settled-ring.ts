/** A ring that has settled, made at once: where static experiments and crashes begin. */
import { type FingerBase, partOfSlot, slotsBeyond } from '../overlay/fingers.js';
import { distance, idAfter, indexAtOrAfter } from '../overlay/ids.js';
import type { Finger, MemberOptions, Routing } from '../overlay/member-state.js';
import { Membership } from '../overlay/membership.js';
import type { MembershipEntry } from '../overlay/membership-entry.js';
import type { Peer } from '../overlay/peer.js';
import { successorListLength } from '../overlay/routing.js';
import { beginUpkeep, settledMember } from '../overlay/settled.js';
import { DECEITS } from './hostile-members.js';
import type { SimulatedRing } from './simulated-ring.js';

export interface SettledRingOptions {
  readonly nodes: number;
  /** `auto` begins with a table. */
  readonly routing: Routing | 'auto';
  readonly member: Partial<MemberOptions>;
  /** Of the members, in equal parts of each deceit. */
  readonly hostile?: number;
  /** Stabilisation and the rest; without it members only answer and ask. */
  readonly upkeep: boolean;
}

/** For each finger so many of its part are measured, as members do over some rounds. */
const MEASURED = 16;

export function settle(ring: SimulatedRing, options: SettledRingOptions): void {
  const { nodes, member, hostile = 0, upkeep } = options;
  const routing = options.routing === 'auto' ? 'table' : options.routing;
  const hosts = new Map<string, number>();
  const peers: Peer[] = [];
  for (let i = 0; i < nodes; i++) {
    const { peer, host } = ring.newPeer();
    peers.push(peer);
    hosts.set(peer.id, host);
  }
  peers.sort((a, b) => (a.id < b.id ? -1 : 1));
  const entries = routing === 'table' ? peers.map(present) : [];
  const shared = routing === 'table' && !upkeep ? new Membership(entries) : undefined;
  const length = Math.min(nodes - 1, successorListLength(nodes));
  const hostileCount = Math.round(hostile * nodes);
  const hostileSteps = shuffled(ring, nodes).slice(0, hostileCount);
  const deceits = new Map(hostileSteps.map((index, i) => [index, DECEITS[i % DECEITS.length]!]));
  const members = peers.map((peer, index) => {
    const successors = Array.from({ length }, (_, i) => peers[(index + 1 + i) % nodes]!);
    const fingers =
      routing === 'table'
        ? new Map<number, Finger>()
        : chooseFingers(ring, peers, index, successors.at(-1), routing, hosts);
    const state = settledMember(
      peer,
      ring.toolsOf(peer),
      { ...member, routing: options.routing },
      {
        predecessor: peers[(index + nodes - 1) % nodes]!,
        successors,
        fingers,
        membership: routing === 'table' ? (shared ?? new Membership(entries)) : undefined,
      },
    );
    return ring.adopt(state, hosts.get(peer.id)!, deceits.get(index));
  });
  if (!upkeep) return;
  for (const settled of members) ring.act(settled, beginUpkeep(settled.state, ring.now));
}

function chooseFingers(
  ring: SimulatedRing,
  peers: readonly Peer[],
  index: number,
  last: Peer | undefined,
  base: FingerBase,
  hosts: ReadonlyMap<string, number>,
): Map<number, Finger> {
  const self = peers[index]!;
  const fingers = new Map<number, Finger>();
  if (!last) return fingers;
  const covered = distance(self.id, last.id);
  for (const slot of slotsBeyond(covered, base)) {
    const { start, size } = partOfSlot(slot, base);
    const first = indexAtOrAfter(peers, idAfter(self.id, start));
    const inPart: Peer[] = [];
    const end = start + size;
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[(first + i) % peers.length]!;
      const ahead = distance(self.id, peer.id);
      if (ahead < start || ahead >= end) break;
      inPart.push(peer);
      if (inPart.length > 4 * MEASURED) break;
    }
    let best: Finger | undefined;
    for (let i = 0; i < Math.min(MEASURED, inPart.length); i++) {
      const peer = spreadOver(peers, first, inPart, self, end, i);
      const rttMs = ring.area.rttMs(hosts.get(self.id)!, hosts.get(peer.id)!);
      if (peer.id !== self.id && (!best || rttMs < best.rttMs)) best = { peer, rttMs };
    }
    if (best && distance(self.id, best.peer.id) > covered) fingers.set(slot, best);
  }
  return fingers;
}

/** The `i`-th of those measured: all of a small part, an even choice of a large one. */
function spreadOver(
  peers: readonly Peer[],
  first: number,
  inPart: readonly Peer[],
  self: Peer,
  end: number,
  i: number,
): Peer {
  if (inPart.length <= 4 * MEASURED) {
    return inPart[Math.floor((i * inPart.length) / Math.min(MEASURED, inPart.length))]!;
  }
  const last = indexAtOrAfter(peers, idAfter(self.id, end));
  const count = (last - first + peers.length) % peers.length || peers.length;
  return peers[(first + Math.floor((i * count) / MEASURED)) % peers.length]!;
}

function present(peer: Peer): MembershipEntry {
  const signature = `${peer.id} signed member ${peer.id} ${peer.address} 1 present`;
  return { peer, version: 1, state: 'present', signature, signer: peer.id };
}

function shuffled(ring: SimulatedRing, count: number): number[] {
  const indices = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(ring.random.unit() * (i + 1));
    [indices[i], indices[j]] = [indices[j]!, indices[i]!];
  }
  return indices;
}
