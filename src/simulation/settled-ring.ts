/** A ring that has settled, made at once: where static experiments and crashes begin. */
import {
  type FingerBase,
  isQuicker,
  PROBED,
  partOfSlot,
  placeInPart,
  slotsBeyond,
} from '../overlay/ring/fingers.js';
import { distance, type Id, idAfter, indexAtOrAfter } from '../overlay/ring/ids.js';
import {
  type Finger,
  MEMBER_OPTIONS,
  type MemberOptions,
  type Routing,
} from '../overlay/ring/member-state.js';
import { Membership } from '../overlay/ring/membership.js';
import type { MembershipEntry } from '../overlay/ring/membership-entry.js';
import type { Peer } from '../overlay/ring/peer.js';
import { successorListLength } from '../overlay/ring/routing.js';
import { beginUpkeep, settledMember } from '../overlay/ring/settled.js';
import type { Deceit } from './hostile-members.js';
import type { SimulatedRing } from './simulated-ring.js';

export interface SettledRingOptions {
  readonly nodes: number;
  /** The members' numbers, where they are not 0 and on. */
  readonly numbers?: readonly number[];
  /** `auto` begins with a table. */
  readonly routing: Routing | 'auto';
  readonly member: Partial<MemberOptions>;
  /** Who deceives, by number. */
  readonly deceits?: ReadonlyMap<number, Deceit>;
  /** Stabilisation and the rest; without it members only answer and ask. */
  readonly upkeep: boolean;
  /** Members have been there so long, and have looked for quick fingers all the while; an hour by default. */
  readonly uptimeMs?: number;
}

const UPTIME_MS = 3_600_000;

export function settle(ring: SimulatedRing, options: SettledRingOptions): void {
  const { nodes, numbers = Array.from({ length: nodes }, (_, i) => i), member, upkeep } = options;
  const { uptimeMs = UPTIME_MS } = options;
  const routing = options.routing === 'auto' ? 'table' : options.routing;
  const hosts = new Map<Id, number>();
  const peers: Peer[] = [];
  for (const number of numbers) {
    const { peer, host } = ring.newPeer(number);
    peers.push(peer);
    hosts.set(peer.id, host);
  }
  peers.sort((a, b) => (a.id < b.id ? -1 : 1));
  const entries = routing === 'table' ? peers.map(present) : [];
  const shared = routing === 'table' && !upkeep ? new Membership(entries) : undefined;
  const length = Math.min(nodes - 1, successorListLength(nodes));
  const rounds = uptimeMs / { ...MEMBER_OPTIONS, ...member }.fingerMs;
  const members = peers.map((peer, index) => {
    const successors = Array.from({ length }, (_, i) => peers[(index + 1 + i) % nodes]!);
    const tools = ring.toolsOf(peer);
    const { chance } = tools;
    const covered = distance(peer.id, successors.at(-1)?.id ?? peer.id);
    const fingers =
      routing === 'table'
        ? new Map<number, Finger>()
        : measuredFingers({ ring, peers, hosts, index, covered, base: routing, rounds, chance });
    const state = settledMember(
      peer,
      tools,
      { ...member, routing: options.routing },
      {
        predecessor: nodes > 1 ? peers[(index + nodes - 1) % nodes] : undefined,
        successors,
        fingers,
        membership: routing === 'table' ? (shared ?? new Membership(entries)) : undefined,
      },
    );
    const host = hosts.get(peer.id)!;
    return ring.adopt(state, host, options.deceits?.get(host));
  });
  if (!upkeep) return;
  for (const settled of members) ring.act(settled, beginUpkeep(settled.state, ring.now));
}
interface Measured {
  readonly ring: SimulatedRing;
  readonly peers: readonly Peer[];
  readonly hosts: ReadonlyMap<Id, number>;
  readonly index: number;
  /** How far the successor list reaches. */
  readonly covered: number;
  readonly base: FingerBase;
  /** So many parts were visited, in all. */
  readonly rounds: number;
  readonly chance: () => number;
}

/** What a member has found in so many rounds: it visits one part after the other, and asks some of each. */
function measuredFingers(measured: Measured): Map<number, Finger> {
  const { ring, peers, hosts, index, covered, base, rounds, chance } = measured;
  const { id } = peers[index]!;
  const host = hosts.get(id)!;
  const fingers = new Map<number, Finger>();
  if (covered === 0) return fingers;
  const slots = slotsBeyond(covered, base);
  const visits = Math.max(1, Math.floor(rounds / slots.length));
  for (const slot of slots) {
    const part = partOfSlot(slot, base);
    for (let visit = 0; visit < visits; visit++) {
      const first = indexAtOrAfter(peers, idAfter(id, placeInPart(part, chance())));
      for (let i = 0; i < PROBED; i++) {
        const peer = peers[(first + i) % peers.length]!;
        const ahead = distance(id, peer.id);
        if (ahead < part.start || ahead >= part.start + part.size) break;
        if (ahead <= covered) continue;
        const rttMs = ring.area.rttMs(host, hosts.get(peer.id)!);
        if (isQuicker(fingers.get(slot), rttMs)) fingers.set(slot, { peer, rttMs });
      }
    }
  }
  return fingers;
}

function present(peer: Peer): MembershipEntry {
  const signature = `${peer.id} signed member ${peer.id} ${peer.address} 1 present`;
  return { peer, version: 1, state: 'present', signature, signer: peer.id };
}
