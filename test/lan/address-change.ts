/**
 * The address of one host is replaced by another during a call: does the call go on, both ways? Is the phone found
 * and called where it is now, and can both sides hang up?
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { comes } from '../harness/avahi.js';
import { recordingOf, startBaresipCallee } from '../harness/baresip.js';
import { requireProgram } from '../harness/child.js';
import { atMost, exactly, type Figure, median, plain } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { lostSeconds, MARGIN_SECONDS, writeNumberedSound } from '../harness/numbered-sound.js';
import { progress } from '../harness/program.js';
import type { Ringline, RinglineEvent } from '../harness/ringline.js';
import { loudSeconds, readSound } from '../harness/sound.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const SECONDS = 4;
const CALL_SECONDS = SECONDS + 2 * MARGIN_SECONDS;
/** Of the call, before the address changes. */
const BEFORE_MS = 2000;
const GAP_GOAL_S = 2;
const PEER_PORT = 5082;
const FOUND_GOAL_MS = 2000;
const HUNG_UP_WITHIN_MS = 2000;

/** Who is at another address from now on, and who hangs up. */
const RUNS = [
  { moves: 'called', hangsUp: 'caller' },
  { moves: 'caller', hangsUp: 'called' },
  { moves: 'called', hangsUp: 'called' },
  { moves: 'caller', hangsUp: 'caller' },
] as const;

/** Lost by whoever moved, and by who did not, in s. */
interface Gaps {
  readonly there: number;
  readonly here: number;
}

interface Outcome {
  readonly gaps: Gaps;
  readonly hungUpMs: number;
  /** Until others saw the phone where it is, and until it was called there; of who was called alone. */
  readonly foundMs: number | undefined;
  readonly calledAgain: boolean;
}

export async function addressChange(site: Site): Promise<Figure[]> {
  const sound = join(site.directory, 'address-change.wav');
  const expected = writeNumberedSound(sound, SECONDS);
  const watching = new Phone(site, 2).command('who');
  const outcomes: Outcome[] = [];
  for (const [index, run] of RUNS.entries()) {
    progress(`lan: the address of ${run.moves} changes, ${run.hangsUp} hangs up`);
    outcomes.push(await callOnTheMove(site, { ...run, index, sound, expected, watching }));
  }
  await watching.stop();
  const baresip = await besideBaresip(site, sound, expected);
  const gaps = outcomes.flatMap(outcome => [outcome.gaps.there, outcome.gaps.here]);
  const of = (who: 'there' | 'here') => Math.max(...outcomes.map(({ gaps: each }) => each[who]));
  const found = outcomes.flatMap(({ foundMs }) => foundMs ?? []);
  const again = outcomes.filter(({ calledAgain }) => calledAgain).length;
  return [
    plain('sound lost while an address changes, median', median(gaps), 's'),
    atMost(GAP_GOAL_S, 'the same, worst of what was said to who moved', of('there'), 's'),
    atMost(GAP_GOAL_S, 'the same, worst of what they said', of('here'), 's'),
    atMost(
      HUNG_UP_WITHIN_MS,
      'hang-up heard by the other side, worst',
      worst(outcomes.map(each => each.hungUpMs)),
      'ms',
    ),
    atMost(FOUND_GOAL_MS, 'the new address is known to others, worst', worst(found), 'ms'),
    exactly(found.length, 'calls to the new address that were taken', again, ''),
    atMost(GAP_GOAL_S, 'who calls baresip moves: lost of what it says', baresip.there, 's'),
    atMost(GAP_GOAL_S, 'the same, of what it hears', baresip.here, 's'),
  ];
}

interface Run {
  readonly moves: 'caller' | 'called';
  readonly hangsUp: 'caller' | 'called';
  readonly index: number;
  readonly sound: string;
  readonly expected: Int16Array;
  /** `who` on a third host. */
  readonly watching: Ringline;
}

async function callOnTheMove(site: Site, run: Run): Promise<Outcome> {
  const { sound, expected, index } = run;
  const [ada, bob] = [new Phone(site, 0), new Phone(site, 1)];
  const recordings = ['caller', 'called'].map(who =>
    join(site.directory, `address-change-${index}-${who}.wav`),
  );
  const [callerHeard = '', calledHeard = ''] = recordings;
  const called = bob.command('answer', '--name', 'bob', '--play', sound, '--record', calledHeard);
  await called.heard('ready', READY_WITHIN_MS);
  // Who is hung up on would stay for longer.
  const seconds = run.hangsUp === 'caller' ? CALL_SECONDS : 10 * CALL_SECONDS;
  const files = ['--play', sound, '--record', callerHeard, '--seconds', String(seconds)];
  const call = ada.command('call', 'bob', '--codec', 'pcmu', ...files);
  const connected = await call.heard('connected', 30_000);
  await delay(BEFORE_MS);
  const mover = run.moves === 'caller' ? ada : bob;
  const before = mover.host.address;
  const changedAt = performance.now();
  await mover.host.setAddress(mover.host.otherAddress);
  const found = mover === bob ? findAgain(site, run.watching, mover.host, changedAt) : undefined;
  // First: who is called again must not be gone by then.
  const again = await found;
  const hungUpMs = await hangUp(run, call, called, connected);
  await called.stop();
  await mover.host.setAddress(before);
  const [there, here] = mover === ada ? [callerHeard, calledHeard] : [calledHeard, callerHeard];
  return {
    gaps: { there: lostSeconds(there, expected), here: lostSeconds(here, expected) },
    hungUpMs,
    foundMs: again?.foundMs,
    calledAgain: again !== undefined,
  };
}

/**
 * baresip is called, and stays where it is while who called it moves: it goes on by a re-INVITE from the new address,
 * which is nothing but RFC 3261 to it. Our BYE ends its recording.
 *
 * @returns what was lost of what it said, and of what it heard, in s
 */
async function besideBaresip(site: Site, sound: string, expected: Int16Array): Promise<Gaps> {
  requireProgram('baresip', 'baresip-core');
  progress('lan: the address of who calls baresip changes');
  const { cleanup } = site;
  const ada = new Phone(site, 0);
  const host = site.hosts[4]!;
  const directory = join(site.directory, 'address-change-baresip');
  const recording = join(site.directory, 'address-change-of-baresip.wav');
  const place = { cleanup, directory, host, port: PEER_PORT };
  const callee = await startBaresipCallee({ ...place, codec: 'PCMU', sound });
  const files = ['--play', sound, '--record', recording, '--seconds', String(CALL_SECONDS)];
  const target = `sip:peer@${host.address}:${PEER_PORT}`;
  const call = ada.command('call', target, '--codec', 'pcmu', ...files);
  await call.heard('connected', 10_000);
  await delay(BEFORE_MS);
  const before = ada.host.address;
  await ada.host.setAddress(ada.host.otherAddress);
  await call.heard('ended', 2 * CALL_SECONDS * 1000);
  const heard = await recordingOf(directory);
  await ada.host.setAddress(before);
  await callee.stop();
  const there = lostSeconds(recording, expected);
  // What it hears goes through its own jitter buffer: it is not the same sample for sample.
  return { there, here: SECONDS - loudSeconds(readSound(heard)) };
}

/** When all has been said. @returns how long the other side took to hear of it */
async function hangUp(
  { hangsUp }: Run,
  call: Ringline,
  called: Ringline,
  { id, at: connectedAt }: RinglineEvent,
): Promise<number> {
  const withinMs = CALL_SECONDS * 1000 + HUNG_UP_WITHIN_MS * 3;
  if (hangsUp === 'caller') {
    const isThis = (event: RinglineEvent) => event.event === 'ended' && event.id === id;
    const [byUs, byThem] = await Promise.all([
      call.heard('ended', withinMs),
      comes(called.events, isThis, 'who was called to hear of the end', withinMs),
    ]);
    return byThem.at - byUs.at;
  }
  await delay(connectedAt + CALL_SECONDS * 1000 - performance.now());
  const at = performance.now();
  const stopped = called.stop();
  const heard = await call.heard('ended', HUNG_UP_WITHIN_MS * 3);
  await stopped;
  return heard.at - at;
}

/** A third host sees the new address, and calls the phone there, to hear itself. */
async function findAgain(site: Site, watching: Ringline, host: Host, changedAt: number) {
  const seen = await comes(
    watching.events,
    event => event.at > changedAt && event.name === 'bob' && isAt(event, host.address),
    'who to see the new address',
  );
  const again = new Phone(site, 3).command('call', '*43@bob', '--seconds', '1');
  await again.heard('connected', 30_000);
  await again.heard('ended', 30_000);
  return { foundMs: seen.at - changedAt };
}

function isAt({ endpoints }: RinglineEvent, address: string): boolean {
  return Array.isArray(endpoints) && endpoints.includes(`${address}:5060`);
}

function worst(values: readonly number[]): number {
  return Math.max(...values);
}
