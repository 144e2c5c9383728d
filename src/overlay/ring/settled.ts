/** A member in the midst of a ring that has settled: where simulations begin. */
import { setFinger } from './fingers.js';
import type {
  Finger,
  MemberAction,
  MemberOptions,
  MemberState,
  MemberTools,
} from './member-state.js';
import type { Membership } from './membership.js';
import { becomeMember } from './neighbours.js';
import { newMember } from './new-member.js';
import type { Peer } from './peer.js';
import { schedule } from './requests.js';

export interface SettledPointers {
  readonly predecessor: Peer | undefined;
  readonly successors: readonly Peer[];
  readonly fingers: ReadonlyMap<number, Finger>;
  /** May be shared by members that do not keep it up. */
  readonly membership: Membership | undefined;
}

export function settledMember(
  self: Peer,
  tools: MemberTools,
  options: Partial<MemberOptions>,
  { predecessor, successors, fingers, membership }: SettledPointers,
): MemberState {
  const state = newMember(self, tools, options);
  state.phase = 'member';
  state.predecessor = predecessor;
  state.successors = [...successors];
  for (const [slot, finger] of fingers) setFinger(state, slot, finger);
  state.membership = membership;
  state.announced = membership !== undefined;
  return state;
}

/** What begins when a member has joined: rounds of stabilisation and the rest. */
export function beginUpkeep(state: MemberState, now: number): MemberAction[] {
  state.now = now;
  state.out = [];
  becomeMember(state);
  if (state.membership) schedule(state, 'compare', 60_000 * state.tools.chance());
  state.signals.length = 0;
  return state.out;
}
