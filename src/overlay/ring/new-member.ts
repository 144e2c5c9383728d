/** A member before anything has happened to it. */
import {
  MEMBER_OPTIONS,
  type MemberOptions,
  type MemberState,
  type MemberTools,
} from './member-state.js';
import type { Peer } from './peer.js';
import { type RecordBounds, RecordStore } from './records.js';

export function newMember(
  self: Peer,
  tools: MemberTools,
  options: Partial<MemberOptions> = {},
  bounds?: RecordBounds,
  version = 1,
): MemberState {
  const all = { ...MEMBER_OPTIONS, ...options };
  const routing = all.routing === 'auto' ? 'table' : all.routing;
  return {
    self,
    options: all,
    tools,
    phase: 'idle',
    now: 0,
    predecessor: undefined,
    previous: undefined,
    previousBeyond: undefined,
    beyond: undefined,
    newcomer: undefined,
    predecessorHeardAt: 0,
    successors: [],
    routing,
    fingers: new Map(),
    nextSlot: -1,
    far: [],
    farStale: false,
    membership: undefined,
    announced: false,
    withoutTable: 0,
    version,
    suspects: new Map(),
    lost: new Map(),
    contacts: [],
    pending: new Map(),
    nextNumber: 1,
    rttMs: undefined,
    rttVariationMs: 0,
    stabilising: false,
    checkingPredecessor: false,
    lookups: new Map(),
    finished: [],
    puts: new Map(),
    gets: new Map(),
    transfers: new Map(),
    records: new RecordStore(bounds),
    ownedStamp: 1,
    owedTo: undefined,
    synced: new Map(),
    timersSet: new Set(),
    joinAttempts: 0,
    news: new Map(),
    membershipBytes: 0,
    membershipSince: 0,
    mergedAt: Number.NEGATIVE_INFINITY,
    out: [],
    signals: [],
  };
}
