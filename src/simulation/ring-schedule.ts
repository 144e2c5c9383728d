/**
 * A run of a ring as plain data: who is there at first, and who does what at which instant. Replayed it is
 * the same run, message for message. With something taken out the rest stays as it is: who the members are,
 * where they are and when they act follows from their numbers and the schedule; of messages only the delays
 * of members concerned are others.
 */
import type { Id } from '../overlay/ring/ids.js';
import type { MemberOptions, Routing } from '../overlay/ring/member-state.js';
import type { Deceit } from './hostile-members.js';

/** `by` a member's number: where that is not in the ring, the next one that is acts for it. */
export type RingEvent =
  | { readonly atMs: number; readonly type: 'put'; readonly by: number; readonly record: string }
  /** A record that was kept, and is not found, is lost. */
  | { readonly atMs: number; readonly type: 'get'; readonly by: number; readonly record: string }
  | { readonly atMs: number; readonly type: 'lookup'; readonly by: number; readonly key: Id }
  | {
      readonly atMs: number;
      readonly type: 'join';
      readonly member: number;
      readonly through: readonly number[];
    }
  | { readonly atMs: number; readonly type: 'crash'; readonly member: number }
  /** Says goodbye. */
  | { readonly atMs: number; readonly type: 'leave'; readonly member: number }
  /** These are cut off from all others, until the cut is mended. */
  | { readonly atMs: number; readonly type: 'cut'; readonly members: readonly number[] }
  | { readonly atMs: number; readonly type: 'mend' };

export interface RingSchedule {
  /** Of the members' ids and places. */
  readonly seed: number;
  /** Another number, other delays of messages. */
  readonly delays?: number;
  readonly routing: Routing | 'auto';
  readonly member?: Partial<MemberOptions>;
  /** Of all messages. */
  readonly loss?: number;
  readonly recursive?: boolean;
  /** In the ring from the start, by number. */
  readonly members: readonly number[];
  readonly deceits?: readonly { readonly member: number; readonly deceit: Deceit }[];
  /** Held from the start, where they belong. */
  readonly records?: readonly string[];
  /** By instant. */
  readonly events: readonly RingEvent[];
  /** Stabilisation and the rest; without it members only answer and ask. */
  readonly upkeep: boolean;
  /** While the whole ring is looked at: not while it mends what crashed at once. */
  readonly watched?: { readonly fromMs: number; readonly untilMs: number };
  readonly endMs: number;
}

/** How many members there ever are. */
export function membersOf({ members, events }: RingSchedule): number[] {
  return [...members, ...events.flatMap(event => (event.type === 'join' ? [event.member] : []))];
}

/** Members that are missing do nothing, and nothing happens to them. */
export function withMembers(schedule: RingSchedule, kept: ReadonlySet<number>): RingSchedule {
  const { members, deceits, events } = schedule;
  const here = (member: number) => kept.has(member);
  return {
    ...schedule,
    members: members.filter(here),
    ...(deceits && { deceits: deceits.filter(({ member }) => here(member)) }),
    events: events.filter(event => !('member' in event) || here(event.member)),
  };
}

export function endingAt(schedule: RingSchedule, endMs: number): RingSchedule {
  const { events, watched } = schedule;
  return {
    ...schedule,
    events: events.filter(({ atMs }) => atMs <= endMs),
    ...(watched && { watched: { ...watched, untilMs: Math.min(watched.untilMs, endMs) } }),
    endMs,
  };
}

/** Begins later: with a ring that has settled, of those who are there by then, and with what they hold. */
export function beginningAt(schedule: RingSchedule, startMs: number): RingSchedule {
  const { events, watched, endMs } = schedule;
  const members = new Set(schedule.members);
  const records = new Set(schedule.records);
  for (const event of events) {
    if (event.atMs >= startMs) break;
    if (event.type === 'join') members.add(event.member);
    if (event.type === 'crash' || event.type === 'leave') members.delete(event.member);
    if (event.type === 'put') records.add(event.record);
  }
  const later = (ms: number) => Math.max(0, ms - startMs);
  return {
    ...schedule,
    members: [...members],
    records: [...records],
    events: events
      .filter(({ atMs }) => atMs >= startMs)
      .map(event => ({ ...event, atMs: later(event.atMs) })),
    ...(watched && {
      watched: { fromMs: later(watched.fromMs), untilMs: later(watched.untilMs) },
    }),
    endMs: later(endMs),
  };
}

/** As JSON, an event a line. */
export function scheduleText({ events, ...rest }: RingSchedule): string {
  const lines = Object.entries(rest).map(
    ([name, value]) => `  "${name}": ${JSON.stringify(value)}`,
  );
  const each = events.map(event => `    ${JSON.stringify(event)}`);
  const list = each.length === 0 ? '[]' : `[\n${each.join(',\n')}\n  ]`;
  return `{\n${[...lines, `  "events": ${list}`].join(',\n')}\n}\n`;
}
