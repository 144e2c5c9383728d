/**
 * Small cases that large runs which broke something were shrunk to, and what was learned from them: played
 * under many sets of delays, since what went wrong hung on who heard what first.
 */
import { test } from 'tap';
import { idOf } from '../../src/overlay/ring/ids.js';
import { type Breach, RingRun } from '../../src/simulation/ring-run.js';
import type { RingEvent, RingSchedule } from '../../src/simulation/ring-schedule.js';
import { SimulatedRing } from '../../src/simulation/simulated-ring.js';

const SEED = 7;
/** Members that there are anyway, and places between two of them. */
const OTHERS = 12;
const END_MS = 60_000;

const STEADY = { seed: SEED, routing: 'base16', upkeep: true, endMs: END_MS } as const;

/** Numbers of members in the order of their ids. */
function inOrder(count: number): number[] {
  const ring = new SimulatedRing({ seed: SEED });
  return Array.from({ length: count }, (_, number) => number).sort((a, b) =>
    ring.idOfNumber(a) < ring.idOfNumber(b) ? -1 : 1,
  );
}

/** How many of the runs break it, and the first that does. */
function broken(breach: Breach, schedules: readonly RingSchedule[]) {
  const failing = schedules.filter(schedule => {
    const run = new RingRun(schedule);
    run.ring.run(schedule.endMs);
    return run.isBroken(breach);
  });
  return { count: failing.length, first: failing[0] };
}

function schedulesOf(
  members: readonly number[],
  eventsOf: (crashMs: number) => RingEvent[],
): RingSchedule[] {
  const schedules: RingSchedule[] = [];
  for (let delays = 0; delays < 40; delays++) {
    for (const afterMs of [150, 500, 2_000, 5_000]) {
      schedules.push({ ...STEADY, members, delays, events: eventsOf(afterMs) });
    }
  }
  return schedules;
}

const NUMBERS = inOrder(OTHERS + 2);
const [first, second, after] = NUMBERS.slice(5, 8) as [number, number, number];
const rest = NUMBERS.filter(number => number !== first && number !== second);
const join = (member: number, atMs: number) =>
  ({ atMs, type: 'join', member, through: [rest[0]!] }) as const;
const crash = (member: number, atMs: number) => ({ atMs, type: 'crash', member }) as const;

test('two join one after the other, and the second dies at once: the part of the first stays its own', async t => {
  // The member after them was told by nobody who was before the dead one, and took the first that came.
  const schedules = schedulesOf(rest, afterMs => [
    join(first, 10_000),
    join(second, 12_000),
    crash(second, 12_500 + afterMs),
  ]);
  t.same(broken('each part has one owner', schedules), { count: 0, first: undefined });
});

test('one joins, its successor dies, and another joins in its place: both know of each other', async t => {
  const members = NUMBERS.filter(number => number !== first && number !== after);
  const schedules = schedulesOf(members, afterMs => [
    join(first, 10_000),
    crash(second, 10_500 + afterMs),
    join(after, 13_000 + afterMs),
  ]);
  t.same(broken('each part has one owner', schedules), { count: 0, first: undefined });
});

test('one joins, and its two successors die: the one before it has heard of it', async t => {
  const members = NUMBERS.filter(number => number !== first);
  const schedules = schedulesOf(members, afterMs => [
    join(first, 10_000),
    crash(second, 10_500 + afterMs),
    crash(after, 11_000 + afterMs),
  ]);
  t.same(broken('each part has one owner', schedules), { count: 0, first: undefined });
});

test('what a joiner is to own is offered until it has it, whatever message is lost', async t => {
  // Records were lost where the only offer, or what it brought, did not arrive: their owner kept up no copies.
  const records = Array.from({ length: 400 }, (_, i) => `user-${i}`);
  const missing = Array.from({ length: 40 }, (_, delays) => {
    const events = [join(first, 10_000)];
    const run = new RingRun({ ...STEADY, delays, members: rest, events, records, loss: 0.1 });
    run.ring.run(END_MS);
    const joined = run.ring.memberOfNumber(first)!;
    const owned = records.filter(name => run.ring.ownerOf(idOf(name))?.id === joined.peer.id);
    t.ok(owned.length > 0);
    return owned.filter(name => joined.state.records.get(idOf(name), END_MS).length === 0).length;
  });
  t.same(missing, Array(40).fill(0));
});
