/**
 * Runs as data, and small ones that break what a large one broke. A case is kept like this: what
 * `ringline simulate … --shrink` printed is a `RingSchedule`; `instantOf` replays it, and tells when it
 * breaks, or that it does not any more.
 */
import { test } from 'tap';
import { planOf, type RingExperiment } from '../../src/simulation/ring-plan.js';
import { type Breach, instantOf, RingRun } from '../../src/simulation/ring-run.js';
import {
  beginningAt,
  endingAt,
  membersOf,
  type RingSchedule,
  scheduleText,
  withMembers,
} from '../../src/simulation/ring-schedule.js';
import { shrink } from '../../src/simulation/shrink.js';

function scheduleOf(experiment: Partial<RingExperiment>): RingSchedule {
  const all = { nodes: 100, lookups: 200, routing: 'base16', seed: 1, ...experiment } as const;
  return planOf(all).schedule;
}

/** Each message of the run, its instant and its ends. */
function messagesOf(schedule: RingSchedule): string[] {
  const run = new RingRun(schedule);
  const messages: string[] = [];
  run.ring.onSent((from, to, { kind }) => {
    messages.push(`${run.ring.now} ${from.id} ${to.id} ${kind}`);
  });
  run.ring.run(schedule.endMs);
  return messages;
}

function shrunk(schedule: RingSchedule, breach: Breach) {
  let runs = 0;
  const small = shrink(schedule, breach, (_, ran) => {
    runs = ran;
  });
  return { small, runs };
}

const churn = { lifetimeMinutes: 42, hours: 0.25, keys: 50 };

test('a schedule is data: read back it is the same run, message for message', async t => {
  const schedule = scheduleOf({ nodes: 30, goodbye: 0.5, ...churn });
  const types = new Set(schedule.events.map(({ type }) => type));
  t.same([...types].sort(), ['crash', 'get', 'join', 'leave', 'lookup', 'put']);
  const again = JSON.parse(scheduleText(schedule)) as RingSchedule;
  t.same(again, schedule);
  const messages = messagesOf(schedule);
  t.ok(messages.length > 10_000);
  t.ok(messagesOf(again).join() === messages.join());
  t.notOk(messagesOf({ ...schedule, delays: 1 }).join() === messages.join(), 'other delays');
});

test('who is taken out leaves the others who, and where, they are', async t => {
  const schedule = scheduleOf({ nodes: 20, ...churn });
  const all = new RingRun(schedule);
  const few = new RingRun(withMembers(schedule, new Set([3, 7, 11])));
  t.equal(few.ring.members.length, 3);
  for (const { peer, host } of few.ring.members) {
    const same = all.ring.memberOfNumber(host)!;
    t.equal(same.peer.id, peer.id);
    t.equal(all.ring.area.rttMs(host, 7), few.ring.area.rttMs(host, 7));
  }
  t.notOk(withMembers(schedule, new Set([3])).events.some(({ type }) => type === 'join'));
});

test('a run begun later has who was there by then, and what they held', async t => {
  const schedule = scheduleOf({ nodes: 40, ...churn });
  const join = schedule.events.find(event => event.type === 'join')!;
  const crash = schedule.events.find(event => event.type === 'crash')!;
  const startMs = Math.max(join.atMs, crash.atMs) + 1;
  const later = beginningAt(schedule, startMs);
  t.ok('member' in join && later.members.includes(join.member));
  t.ok('member' in crash && !later.members.includes(crash.member));
  t.equal(later.records?.length, 50);
  t.equal(later.endMs, schedule.endMs - startMs);
  const short = endingAt(later, 60_000);
  t.ok(short.events.length > 0 && short.events.every(({ atMs }) => atMs <= 60_000));
  t.equal(instantOf('one ring', short), undefined);
});

test('records without copies: the loss of one is shrunk to a crash among a handful', async t => {
  const schedule = scheduleOf({ ...churn, member: { copies: 1 } });
  const breach = 'every key has its copies';
  const { small, runs } = shrunk(schedule, breach);
  t.comment(`${runs} runs: ${scheduleText(small)}`);
  t.ok(membersOf(small).length <= 4, `${membersOf(small).length} members`);
  t.ok(small.events.length <= 3, `${small.events.length} events`);
  t.equal(small.records?.length, 1);
  t.ok(small.endMs <= 120_000);
  t.not(instantOf(breach, small), undefined, 'it still breaks');
  t.equal(instantOf(breach, { ...small, member: { copies: 5 } }), undefined, 'with copies not');
  t.same(shrunk(schedule, breach).small, small, 'found again, the same');
});

test('a lookup that is misled is shrunk to one liar, and who believes it', async t => {
  const schedule = scheduleOf({ nodes: 60, hostile: 0.1, paths: 1, keys: 20, lookups: 300 });
  const { small, runs } = shrunk(schedule, 'lookups are right');
  t.comment(`${runs} runs: ${scheduleText(small)}`);
  t.ok(membersOf(small).length <= 12, `${membersOf(small).length} members`);
  t.equal(small.events.filter(({ type }) => type === 'lookup').length, 1);
  t.equal(small.events.length, 1);
  t.ok(small.deceits && small.deceits.length <= 2);
  t.equal(instantOf('lookups are right', { ...small, deceits: [] }), undefined, 'it is the liar');
});

test('rings cut in two are one again when lookups begin, and all are right', async t => {
  const schedule = scheduleOf({ nodes: 60, cut: 0.4, keys: 20, lookups: 100 });
  const run = new RingRun(schedule);
  run.ring.run(schedule.endMs);
  t.equal(run.hops.length, 100);
  t.equal(run.wrong, 0);
  t.equal(run.found.size, 20);
  t.equal(run.ring.violations.size, 0);
});

test('what is not broken is not shrunk', async t => {
  const schedule = scheduleOf({ nodes: 10, lookups: 10 });
  t.throws(() => shrunk(schedule, 'one ring'), { code: 'NOT_BROKEN' });
});
