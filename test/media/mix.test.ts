import t from 'tap';
import type { Encoder } from '../../src/media/codecs/codec.js';
import { levelOf } from '../../src/media/frame.js';
import { GRAPH_RATES, Graph, type GraphNode, type NodeBehaviour } from '../../src/media/graph.js';
import { Limiter } from '../../src/media/limiter.js';
import type { Coding } from '../../src/media/mix.js';
import { RateConverter } from '../../src/media/rate-converter.js';
import { octetsAllocated } from './allocation.js';
import { levelAtDb, levelDb, sine } from './signal.js';

const SECOND = 50;

/** Says a sine of its own and keeps what it hears. */
class Member implements NodeBehaviour {
  readonly heard: Int16Array[] = [];
  passed = 0;
  produced = 0;
  /** What its packets claim, in dBov. */
  claims: number | undefined;
  readonly rate: number;
  #voice: Int16Array;
  #at = 0;

  constructor(rate: number, hz: number, amplitude: number) {
    this.rate = rate;
    // Whole periods, so that the voice goes on without a seam.
    this.#voice = sine(hz, rate, rate).map(sample => (sample * amplitude) / 10_000);
  }

  say(hz: number, amplitude: number): void {
    this.#voice = sine(hz, this.rate, this.rate).map(sample => (sample * amplitude) / 10_000);
  }

  produce(frame: Int16Array): void {
    this.produced++;
    for (let i = 0; i < frame.length; i++) {
      frame[i] = this.#voice[this.#at]!;
      this.#at = (this.#at + 1) % this.#voice.length;
    }
  }

  pass(): void {
    this.passed++;
  }

  claimedLevel(): number | undefined {
    return this.claims;
  }

  consume(frame: Int16Array): void {
    this.heard.push(frame.slice());
  }

  /** What was heard in the last `ticks` ticks. */
  last(ticks: number): Int16Array {
    return Int16Array.from(this.heard.slice(-ticks).flatMap(frame => [...frame]));
  }
}

function join(graph: Graph, mix: GraphNode, member: Member): GraphNode {
  const node = graph.add(member, member.rate);
  graph.connect(node, mix);
  graph.connect(mix, node);
  return node;
}

function run(graph: Graph, ticks: number): void {
  for (let i = 0; i < ticks; i++) graph.tick(i * 20);
}

/** The largest second difference: a click shows as one, whatever the voice. */
function roughness(samples: Int16Array): number {
  let most = 0;
  for (let i = 2; i < samples.length; i++) {
    most = Math.max(most, Math.abs(samples[i]! - 2 * samples[i - 1]! + samples[i - 2]!));
  }
  return most;
}

for (const from of GRAPH_RATES) {
  for (const to of GRAPH_RATES) {
    if (from === to) continue;
    t.test(`${from} Hz becomes ${to} Hz: voices keep their level, nothing is added`, async t => {
      const lower = Math.min(from, to);
      for (const hz of [200, 1000, lower * 0.4]) {
        const converter = new RateConverter(from, to, 20);
        const input = sine(hz, from, from);
        const out: number[] = [];
        const frame = new Int32Array(to / 50);
        for (let at = 0; at < input.length; at += from / 50) {
          converter.process(input.subarray(at, at + from / 50), frame);
          out.push(...frame);
        }
        const heard = Int16Array.from(out.slice(to / 4));
        t.ok(Math.abs(levelDb(heard) - levelDb(input)) < 0.1, `${hz} Hz keeps its level`);
        if (from > to) continue;
        const mirrored = levelAtDb(heard, lower - hz, to);
        t.ok(mirrored < -70, `${hz} Hz has no mirror image: ${mirrored} dB`);
      }
      if (from < to) return;
      const converter = new RateConverter(from, to, 20);
      const high = sine(lower * 0.6, from, from);
      const frame = new Int32Array(to / 50);
      let level = Number.NEGATIVE_INFINITY;
      for (let at = 0; at < high.length; at += from / 50) {
        converter.process(high.subarray(at, at + from / 50), frame);
        if (at > from / 2) level = Math.max(level, levelDb(Int16Array.from(frame)));
      }
      t.ok(level < -70, `what would fold is not there: ${level} dB`);
    });
  }
}

t.test('members of all rates hear one another and never themselves', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  const voices = [
    [8000, 400],
    [8000, 1100],
    [16_000, 600],
    [16_000, 2300],
    [48_000, 800],
    [48_000, 3100],
  ] as const;
  const members = voices.map(([rate, hz]) => new Member(rate, hz, 3000));
  for (const member of members) join(graph, mix, member);
  run(graph, 2 * SECOND);
  const said = levelDb(sine(400, 8000, 8000)) + 20 * Math.log10(3000 / 10_000);
  for (const [i, member] of members.entries()) {
    const heard = member.last(SECOND);
    for (const [j, [, hz]] of voices.entries()) {
      const level = levelAtDb(heard, hz, member.rate);
      if (i === j) t.ok(level - said < -60, `itself at ${hz} Hz: ${level - said} dB`);
      else t.ok(Math.abs(level - said) < 0.2, `${hz} Hz at ${member.rate}: ${level - said} dB`);
    }
  }
});

t.test('nothing clicks as members come and go in the middle of a wave', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  const listener = new Member(16_000, 300, 0);
  join(graph, mix, listener);
  const first = new Member(16_000, 310, 8000);
  const node = join(graph, mix, first);
  run(graph, 20);
  const second = new Member(8000, 457, 8000);
  second.produce(new Int16Array(37));
  const later = join(graph, mix, second);
  run(graph, 20);
  graph.remove(node);
  run(graph, 3);
  graph.remove(later);
  run(graph, 3);
  const whole = listener.last(40);
  t.ok(roughness(whole) < 1500, `${roughness(whole)}; a cut wave of this level shows 8000`);
  t.equal(levelDb(listener.last(1)), Number.NEGATIVE_INFINITY, 'and then there is silence');
});

t.test('a member is heard as loud as it is set to be, and still does not hear itself', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  const [quiet, other] = [new Member(8000, 500, 4000), new Member(8000, 900, 4000)];
  const node = join(graph, mix, quiet);
  join(graph, mix, other);
  graph.connect(node, mix, 0.5);
  run(graph, SECOND);
  const full = levelAtDb(quiet.last(25), 900, 8000);
  t.ok(Math.abs(levelAtDb(other.last(25), 500, 8000) - (full - 6.02)) < 0.1);
  t.ok(levelAtDb(quiet.last(25), 500, 8000) < -60);
  graph.connect(node, mix, 1);
  run(graph, SECOND);
  t.ok(Math.abs(levelAtDb(other.last(25), 500, 8000) - full) < 0.1);
});

t.test('loud voices are turned down together: no sample is cut off', async t => {
  const graph = new Graph();
  const mix = graph.addMix();
  const listener = new Member(8000, 300, 0);
  join(graph, mix, listener);
  const loud = [410, 530, 670].map(hz => new Member(8000, hz, 30_000));
  const nodes = loud.map(member => join(graph, mix, member));
  run(graph, SECOND);
  const heard = listener.last(25);
  t.ok(heard.every(sample => Math.abs(sample) <= 32_767));
  const harmonic = levelAtDb(heard, 3 * 410, 8000);
  t.ok(harmonic < levelAtDb(heard, 410, 8000) - 30, `distortion ${harmonic} dB`);
  for (const node of nodes.slice(1)) graph.remove(node);
  run(graph, 2 * SECOND);
  const alone = levelAtDb(listener.last(25), 410, 8000);
  t.ok(Math.abs(alone - levelDb(sine(410, 8000, 8000)) - 20 * Math.log10(3)) < 0.1, 'and up again');

  const limiter = new Limiter();
  const out = new Int16Array(160);
  limiter.limit(new Int32Array(160).fill(-32_768), out);
  t.equal(out[0], -32_768, 'what fits passes untouched');
  limiter.limit(
    Int32Array.from({ length: 160 }, (_, i) => (i === 159 ? -200_000 : 0)),
    out,
  );
  t.ok(out[159]! >= -32_768 && out[159]! < -32_700);
});

t.test('of many the loudest are heard; who claims to be quiet is not decoded', async t => {
  const graph = new Graph();
  const mix = graph.addMix(2);
  const members = [500, 700, 900, 1100].map(hz => new Member(8000, hz, 3000));
  for (const [i, member] of members.entries()) {
    member.claims = i < 2 ? -25 : -90;
    if (i >= 2) member.say(900, 0);
    join(graph, mix, member);
  }
  const listener = new Member(8000, 300, 0);
  listener.claims = -127;
  join(graph, mix, listener);
  run(graph, SECOND);
  const heard = listener.last(25);
  t.ok(levelAtDb(heard, 500, 8000) > -30 && levelAtDb(heard, 700, 8000) > -30);
  t.ok(levelAtDb(members[0]!.last(25), 500, 8000) < -60, 'a chosen one does not hear itself');
  t.equal(members[2]!.produced, 0, 'the others cost nothing');
  t.equal(members[2]!.passed, SECOND);

  // Another speaks up: it takes a place when it is clearly louder.
  members[3]!.say(1100, 9000);
  members[3]!.claims = -14;
  run(graph, SECOND);
  t.ok(levelAtDb(listener.last(25), 1100, 8000) > -25);
});

t.test('who claims to be loud and is not, loses the place', async t => {
  const graph = new Graph();
  const mix = graph.addMix(1);
  const liar = new Member(8000, 500, 0);
  liar.claims = 0;
  const honest = new Member(8000, 900, 3000);
  honest.claims = -24;
  const listener = new Member(8000, 300, 0);
  for (const member of [liar, honest, listener]) join(graph, mix, member);
  run(graph, SECOND);
  t.ok(levelAtDb(listener.last(25), 900, 8000) > -30, 'the honest one is heard');
  t.ok(liar.passed > 25, `the liar was passed over ${liar.passed} times`);
  // Once it really speaks, it is believed again.
  liar.say(500, 20_000);
  honest.claims = -90;
  honest.say(900, 0);
  run(graph, 40 * SECOND);
  t.ok(levelAtDb(listener.last(25), 500, 8000) > -20);
});

t.test('nobody loses a place to a claim: who would take it is decoded unheard first', async t => {
  const heardWith = (lie: boolean) => {
    const graph = new Graph();
    const mix = graph.addMix(2);
    const speakers = [500, 900].map(hz => new Member(8000, hz, 3000));
    const listener = new Member(8000, 300, 0);
    const liars = [1200, 1300].map(hz => new Member(8000, hz, 0));
    for (const speaker of speakers) speaker.claims = -24;
    listener.claims = -127;
    for (const liar of liars) liar.claims = -127;
    for (const member of [...speakers, listener, ...liars]) join(graph, mix, member);
    run(graph, 20);
    if (lie) for (const liar of liars) liar.claims = 0;
    run(graph, 100);
    return { heard: listener.last(120), decoded: liars.map(({ produced }) => produced) };
  };
  const honest = heardWith(false);
  const lied = heardWith(true);
  t.same(lied.heard, honest.heard, 'sample by sample');
  t.ok(
    lied.decoded.every(times => times > 0 && times < 20),
    `decoded ${lied.decoded} times`,
  );
});

t.test('who claims nothing is measured', async t => {
  const graph = new Graph();
  const mix = graph.addMix(1);
  const [loud, quiet] = [new Member(8000, 500, 9000), new Member(8000, 900, 500)];
  const listener = new Member(8000, 300, 0);
  for (const member of [quiet, loud, listener]) join(graph, mix, member);
  run(graph, SECOND);
  t.ok(levelAtDb(listener.last(25), 500, 8000) > -25);
  t.ok(levelAtDb(listener.last(25), 900, 8000) < -60);
});

t.test('those who hear the same share one encoder, and speakers go on where it was', async t => {
  let made = 0;
  let closed = 0;
  let coded = 0;
  const coding: Coding = {
    maxPayloadOctets: 2,
    newEncoder: (): Encoder => {
      made++;
      return {
        encode: (frame, out, at) => {
          coded++;
          out[at] = frame[159]! & 0xff;
          out[at + 1] = frame[159]! >> 8;
          return 2;
        },
        close: () => {
          closed++;
        },
      };
    },
  };
  class Coded extends Member {
    readonly coding = coding;
    readonly payloads: number[] = [];
    consumeCoded(payload: Uint8Array, octets: number, frame: Int16Array): void {
      t.equal(octets, 2);
      t.equal((((payload[1]! << 8) | payload[0]!) << 16) >> 16, frame[159]);
      this.payloads.push(frame[159]!);
    }
  }
  const graph = new Graph();
  const mix = graph.addMix();
  const listeners = Array.from({ length: 5 }, () => new Coded(8000, 300, 0));
  const speaker = new Coded(8000, 440, 5000);
  for (const member of listeners) join(graph, mix, member);
  const node = join(graph, mix, speaker);
  run(graph, 10);
  t.equal(made, 1);
  t.equal(coded, 10, 'once a tick, however many listen');
  t.equal(listeners[4]!.payloads.length, 10);
  t.equal(speaker.heard.length, 10, 'who speaks hears something else');
  graph.remove(node);
  run(graph, 1);
  t.same(
    listeners.map(({ payloads }) => payloads.length),
    [11, 11, 11, 11, 11],
  );
  graph.remove(mix);
  t.equal(closed, 1);
});

t.test('mixing allocates nothing, whatever the rates', async t => {
  const graph = new Graph();
  const mix = graph.addMix(3);
  for (let i = 0; i < 12; i++) {
    const rate = GRAPH_RATES[i % 3]!;
    const node = graph.add(
      {
        produce: frame => void frame.fill(i * 100),
        pass: () => undefined,
        claimedLevel: () => -20 - i,
        consume: () => undefined,
      },
      rate,
    );
    graph.connect(node, mix);
    graph.connect(mix, node);
  }
  const octets = octetsAllocated(() => graph.tick(20), 2000);
  // A dozen boxed numbers at most.
  t.ok(octets < 192, `${octets} octets a tick of twelve members`);
});

t.test('the level of a frame is that of RFC 6464', async t => {
  t.equal(levelOf(new Int16Array(160)), -127);
  t.ok(Math.abs(levelOf(new Int16Array(160).fill(-32_768))) < 0.01);
  t.ok(Math.abs(levelOf(sine(400, 160, 8000).map(x => x * 3.2767)) + 3.01) < 0.1);
});
