import t from 'tap';
import type { ToneSpec } from '../../src/media/engine.js';
import { Graph, type NodeBehaviour } from '../../src/media/graph.js';
import { Pacer } from '../../src/media/pacer.js';
import { Tone } from '../../src/media/tone.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { octetsAllocated } from './allocation.js';
import { levelAtDb, levelDb } from './signal.js';

const FRAME = 160;
const RATE = 8000;

class Ear implements NodeBehaviour {
  readonly heard: number[] = [];
  skipped = 0;
  consume(frame: Int16Array): void {
    // The first milliseconds of a voice that comes or goes are faded.
    this.heard.push(frame.at(-1)!);
  }
  skip(frames: number): void {
    this.skipped += frames;
  }
}

/** Says one value all the time and remembers what it hears, as a leg does. */
class Member extends Ear {
  readonly #value: number;
  constructor(value: number) {
    super();
    this.#value = value;
  }
  produce(frame: Int16Array): void {
    frame.fill(this.#value);
  }
}

t.test('one arrow passes samples untouched, several add and saturate, none is silence', async t => {
  const graph = new Graph();
  const ear = new Ear();
  const sink = graph.add(ear);
  const loud = graph.add(new Member(-32_768));
  const quiet = graph.add(new Member(-5));
  graph.tick(0);
  graph.connect(loud, sink);
  graph.connect(loud, sink);
  graph.tick(20);
  graph.connect(quiet, sink);
  graph.tick(40);
  graph.disconnect(loud, sink);
  graph.tick(60);
  graph.remove(quiet);
  graph.tick(80);
  t.same(ear.heard, [0, -32_768, -32_768, -5, 0]);
});

t.test('in a mix everyone hears all others and never itself', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  const members = [1, 20, 300].map(value => new Member(value));
  const nodes = members.map(member => graph.add(member));
  const listener = new Ear();
  graph.connect(mix, graph.add(listener));
  // Either order of the two arrows.
  graph.connect(nodes[0]!, mix);
  graph.connect(mix, nodes[0]!);
  for (const node of nodes.slice(1)) {
    graph.connect(mix, node);
    graph.connect(node, mix);
  }
  graph.tick(0);
  t.same(
    members.map(member => member.heard),
    [[320], [301], [21]],
  );
  t.same(listener.heard, [321]);

  graph.disconnect(nodes[2]!, mix);
  graph.tick(20);
  t.same(
    members.map(member => member.heard[1]),
    [20, 1, 21],
    'who only listens hears everyone',
  );

  graph.remove(nodes[1]!);
  graph.tick(40);
  t.same(
    members.map(member => member.heard[2]),
    [0, undefined, 1],
  );
});

t.test('a mix of loud members saturates only at the end', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  const members = [30_000, 30_000, -30_000].map(value => new Member(value));
  for (const member of members) {
    const node = graph.add(member);
    graph.connect(node, mix);
    graph.connect(mix, node);
  }
  graph.tick(0);
  t.same(
    members.map(member => member.heard),
    [[0], [0], [32_767]],
  );
});

t.test('the graph does not allocate', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  for (let i = 0; i < 10; i++) {
    const node = graph.add({ produce: frame => void frame.fill(i), consume: () => undefined });
    graph.connect(node, mix);
    graph.connect(mix, node);
  }
  const octets = octetsAllocated(() => graph.tick(20), 2000);
  t.ok(octets < 64, `${octets} octets a tick of ten members`);
});

function pacer(clock: VirtualClock, ticks: number[]) {
  let skipped = 0;
  const made = new Pacer({
    clock,
    periodMs: 20,
    tick: nowMs => ticks.push(nowMs),
    skip: frames => {
      skipped += frames;
    },
  });
  return { pacer: made, skipped: () => skipped };
}

/** A clock that can stand still, as a machine does: timers then fire late. */
class StallingClock extends VirtualClock {
  #lostMs = 0;
  stall(ms: number): void {
    this.#lostMs += ms;
  }
  override now(): number {
    return super.now() + this.#lostMs;
  }
}

t.test('the clock does not drift, however late its timers are', async t => {
  const clock = new VirtualClock();
  const late = { now: () => clock.now(), wallTime: () => clock.wallTime() };
  const ticks: number[] = [];
  const lateClock = {
    ...late,
    after: (ms: number, fire: () => void) => clock.after(ms + 3.3, fire),
  };
  const slow = new Pacer({
    clock: lateClock,
    periodMs: 20,
    tick: nowMs => ticks.push(nowMs),
    skip: () => t.fail('nothing to skip'),
  });
  slow.start();
  await clock.advance(10_000);
  t.ok(ticks.length >= 499, `${ticks.length} ticks in 10 s`);
  t.match(slow.statistics(), { skipped: 0 });
  t.ok(Math.abs(slow.statistics().p50Ms - 3.3) < 0.2);
  slow.stop();
  const count = ticks.length;
  await clock.advance(1000);
  t.equal(ticks.length, count, 'stopped is stopped');
});

t.test('missed ticks are made up one each 10 ms, not in a burst', async t => {
  const clock = new StallingClock();
  const ticks: number[] = [];
  const { pacer: made, skipped } = pacer(clock, ticks);
  made.start();
  await clock.advance(100);
  clock.stall(107);
  await clock.advance(400);
  t.equal(skipped(), 0);
  const gaps = ticks.map((at, i) => (i === 0 ? 20 : at - ticks[i - 1]!));
  t.equal(Math.max(...gaps), 127);
  t.ok(gaps.filter(gap => gap < 10).length <= 1, `but for the step back into time: ${gaps}`);
  t.equal(ticks.length, Math.floor(clock.now() / 20), 'none is missing in the end');
  t.match(made.statistics(), { maxMs: 107 });
});

t.test('after more than a second missed ticks are left out, and the nodes are told', async t => {
  const clock = new StallingClock();
  const ticks: number[] = [];
  const { pacer: made, skipped } = pacer(clock, ticks);
  made.start();
  await clock.advance(100);
  clock.stall(5000);
  await clock.advance(400);
  t.equal(ticks.length + skipped(), Math.floor(clock.now() / 20));
  t.ok(skipped() >= 249);

  const graph = new Graph();
  const leg = new Member(1);
  const ear = new Ear();
  graph.add(leg);
  graph.add(ear);
  graph.skip(7);
  t.same([leg.skipped, ear.skipped], [7, 7]);
});

/** All samples of a tone until it ends, at most `frames` frames. */
function play(tones: ToneSpec, options: { loop?: boolean; levelDbm0?: number }, frames: number) {
  let ended = 0;
  const tone = new Tone({
    tones,
    ...options,
    sampleRate: RATE,
    onEnded: () => {
      ended++;
    },
  });
  const samples = new Int16Array(frames * FRAME);
  const frame = new Int16Array(FRAME);
  tone.produce(frame, 0, false);
  let played = 0;
  for (; played < frames && ended === 0; played++) {
    tone.produce(frame, 0, true);
    samples.set(frame, played * FRAME);
  }
  tone.produce(frame, 0, true);
  return { samples, frames: played, ended, after: levelDb(frame) };
}

t.test('a tone has its frequencies and its level', async t => {
  const { samples } = play([{ frequencies: [350, 440] }], { levelDbm0: -13 }, 50);
  for (const hz of [350, 440]) {
    // 3.17 dBm0 is a full-scale sine.
    t.ok(Math.abs(levelAtDb(samples, hz, RATE) - (-13 - 3.17)) < 0.05);
  }
  t.ok(levelAtDb(samples, 395, RATE) < -70);
});

t.test('tones follow each other, and end with the frame of their last sample', async t => {
  const busy = [
    { frequencies: [425], ms: 100 },
    { frequencies: [], ms: 50 },
  ];
  const { samples, frames, ended, after } = play(busy, {}, 100);
  t.equal(frames, 8, '150 ms in frames of 20');
  t.equal(ended, 1);
  t.equal(after, Number.NEGATIVE_INFINITY);
  t.ok(levelDb(samples.subarray(0, 800)) > -20);
  t.equal(levelDb(samples.subarray(800)), Number.NEGATIVE_INFINITY);
  t.equal(play(busy, { loop: true }, 100).ended, 0);
  t.equal(play([{ frequencies: [425], ms: 100 }], {}, 100).frames, 5);
});

t.test('a tone that cannot be played is refused', async t => {
  const make = (tones: ToneSpec, loop = false) =>
    new Tone({ tones, loop, sampleRate: RATE, onEnded: () => undefined });
  for (const tones of [
    [],
    [{ frequencies: [4000] }],
    [{ frequencies: [-1] }],
    [{ frequencies: [1, 2, 3, 4, 5] }],
    [{ frequencies: [400], ms: 0 }],
  ]) {
    t.throws(() => make(tones), { code: 'BAD_TONE' });
  }
  const endless = [{ frequencies: [400] }, { frequencies: [500], ms: 100 }];
  t.throws(() => make(endless, true), { code: 'BAD_TONE' }, 'what follows would never come');
});
