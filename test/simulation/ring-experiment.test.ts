/** Experiments with rings, small enough for every run of the tests; `make simulate` has the large ones. */
import { test } from 'tap';
import { EventQueue } from '../../src/simulation/event-queue.js';
import { fitLine, mean, percentile } from '../../src/simulation/figures.js';
import { ringChart } from '../../src/simulation/ring-chart.js';
import { type RingExperiment, runExperiment } from '../../src/simulation/ring-experiment.js';
import { planOf } from '../../src/simulation/ring-plan.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { settle } from '../../src/simulation/settled-ring.js';
import { SimulatedRing } from '../../src/simulation/simulated-ring.js';
import { WideArea } from '../../src/simulation/wide-area.js';

function run(experiment: Partial<RingExperiment>) {
  const all = { nodes: 200, lookups: 1000, routing: 'base16', seed: 1, ...experiment } as const;
  return runExperiment(
    all,
    () => undefined,
    () => 0,
  );
}

test('in a settled ring every lookup is right, and as short as its fingers allow', async t => {
  const most = { table: 1, base16: 2.5, binary: 3.2 };
  for (const routing of ['table', 'base16', 'binary'] as const) {
    const { lookups, hops, violations } = run({ routing });
    t.same(
      { ...lookups, firstHop: 0 },
      {
        tried: 1000,
        succeeded: 1000,
        wrongOwner: 0,
        unanswered: 0,
        firstHop: 0,
        timeouts: 0,
      },
    );
    t.ok(hops.mean <= most[routing], `${routing}: ${hops.mean} hops`);
    t.ok(hops.mean > 0.9);
    t.same(violations, {});
  }
});

test('members chosen for being quick make lookups quick', async t => {
  const { hops, latencyMs } = run({ nodes: 1000 });
  t.ok(latencyMs.mean < 0.8 * hops.mean * 80, `${latencyMs.mean} ms for ${hops.mean} hops`);
});

test('a settled ring has no quicker fingers than members find in that time', async t => {
  const nodes = 400;
  const uptimeMs = 600_000;
  for (const routing of ['binary', 'base16'] as const) {
    const [young, old] = [0, uptimeMs].map(ms => {
      const ring = new SimulatedRing({ seed: 5, member: { routing } });
      settle(ring, { nodes, routing, member: {}, upkeep: true, uptimeMs: ms });
      return ring;
    }) as [SimulatedRing, SimulatedRing];
    const atFirst = fingerMs(young);
    young.run(uptimeMs);
    const [found, settled] = [fingerMs(young), fingerMs(old)];
    t.comment(`${routing}: at first ${atFirst} ms, found ${found} ms, settled ${settled} ms`);
    t.ok(found < 0.85 * atFirst, 'they find quicker ones');
    t.ok(settled >= found, 'not better than they do');
    t.ok(settled < 1.25 * found, 'nor much worse');
  }
});

/** How far fingers are, in the mean. */
function fingerMs(ring: SimulatedRing): number {
  return mean(
    ring.members.flatMap(({ host, state }) =>
      [...state.fingers.values()].map(({ peer }) =>
        ring.area.rttMs(host, ring.memberOf(peer).host),
      ),
    ),
  );
}

test('a fifth crashes at once, and every lookup succeeds; so do those from member to member', async t => {
  for (const recursive of [false, true]) {
    const { lookups, nodesAtEnd } = run({ crash: 0.2, recursive, nodes: 150 });
    t.equal(nodesAtEnd, 120);
    t.equal(lookups.wrongOwner, 0);
    t.equal(lookups.succeeded, lookups.tried, recursive ? 'recursive' : 'iterative');
  }
});

test('members come and go: no wrong owner, no record lost, no invariant broken', async t => {
  const report = run({ nodes: 100, lifetimeMinutes: 42, hours: 0.5, keys: 100 });
  t.ok(report.joined > 50 && report.left > 50);
  t.equal(report.lookups.wrongOwner, 0);
  t.equal(report.lookups.succeeded, report.lookups.tried);
  t.equal(report.keys.stored, 100);
  t.equal(report.keys.lost, 0);
  t.same(report.violations, {});
});

test('a tenth deceives: over disjoint paths lookups are right, over one they are not', async t => {
  const guarded = run({ nodes: 300, hostile: 0.1, paths: 4, keys: 200, lookups: 500 });
  t.ok(guarded.lookups.succeeded >= 0.99 * guarded.lookups.tried, `${guarded.lookups.succeeded}`);
  t.equal(guarded.keys.lost, 0);
  const trusting = run({ nodes: 300, hostile: 0.1, paths: 1, keys: 200, lookups: 500 });
  t.ok(trusting.lookups.succeeded < 0.97 * trusting.lookups.tried, `${trusting.lookups.succeeded}`);
});

test('a tenth deceives: names are found that one path does not lead to', async t => {
  for (const routing of ['base16', 'table'] as const) {
    const notFound = (pathsOfAbsent: number) => {
      const member = { pathsOfAbsent };
      return run({ nodes: 300, routing, hostile: 0.1, keys: 300, lookups: 1, member }).keys.lost;
    };
    t.ok(notFound(1) > 10, `${routing}: to who believes that they are not there`);
    t.equal(notFound(4), 0, routing);
  }
});

test('sessions have the mean that was asked for, and the shape', async t => {
  // The median of Weibull's distribution is its mean × (ln 2)^(1/shape) / Γ(1 + 1/shape).
  for (const [shape, median] of [
    [1, 20.8],
    [0.6, 10.8],
  ] as const) {
    const minutes = sessions({ nodes: 100, lifetimeMinutes: 30, hours: 150, shape });
    t.ok(Math.abs(mean(minutes) - 30) < 1.5, `a mean of ${mean(minutes)} minutes`);
    const middle = percentile(minutes, 50);
    t.ok(Math.abs(middle - median) < 1, `a median of ${middle} minutes`);
  }
});

/** Minutes from coming to going, of all who came in the first two thirds: they are gone by the end. */
function sessions(experiment: Partial<RingExperiment>): number[] {
  const { events, endMs } = planOf({
    lookups: 1,
    routing: 'base16',
    seed: 1,
    nodes: 1,
    ...experiment,
  }).schedule;
  const came = new Map<number, number>();
  const lengths: number[] = [];
  for (const event of events) {
    if (event.type === 'join' && event.atMs < (2 / 3) * endMs) came.set(event.member, event.atMs);
    const since = event.type === 'crash' ? came.get(event.member) : undefined;
    if (since !== undefined) lengths.push((event.atMs - since) / 60_000);
  }
  return lengths.sort((a, b) => a - b);
}

test('the same seed gives the same report, another seed another', async t => {
  const experiment = { nodes: 80, lookups: 200, crash: 0.2 };
  const plain = (seed: number) => ({ ...run({ ...experiment, seed }), megabytes: 0 });
  t.same(plain(7), plain(7));
  t.not(plain(8).hops.mean, plain(7).hops.mean);
});

test('impossible experiments are refused with a remedy', async t => {
  t.throws(() => run({ nodes: 0 }), { code: 'BAD_USAGE' });
  t.throws(() => run({ lookups: 0 }), { code: 'BAD_USAGE' });
  t.throws(() => run({ lifetimeMinutes: 10 }), { code: 'BAD_USAGE', remedy: /--hours/ });
});

test('events come in the order of their instants, and of one instant as they were added', async t => {
  const queue = new EventQueue<number>();
  const random = new SeededRandom(3);
  const delays = Array.from({ length: 2000 }, () => Math.floor(random.unit() * 300));
  delays.forEach((delay, i) => {
    queue.add(delay, i);
  });
  const expected = delays
    .map((delay, i) => [delay, i] as const)
    .sort(([a, i], [b, j]) => a - b || i - j);
  const came: (readonly [number, number])[] = [];
  for (let item = queue.next(1000); item !== undefined; item = queue.next(1000)) {
    came.push([queue.now, item]);
  }
  t.same(came, expected);
  t.equal(queue.now, 1000);
  queue.add(5, 1);
  t.equal(queue.next(1004), undefined, 'not before its time');
  t.equal(queue.next(1005), 1);
});

test('hosts of the wide area are as far from each other as is said of them', async t => {
  const area = new WideArea();
  const random = new SeededRandom(1);
  for (let i = 0; i < 400; i++) area.add(i, random);
  const rtts: number[] = [];
  for (let i = 0; i < 400; i++) for (let j = 0; j < i; j++) rtts.push(area.rttMs(i, j));
  rtts.sort((a, b) => a - b);
  t.comment(`mean ${mean(rtts)}, median ${percentile(rtts, 50)}, 90% ${percentile(rtts, 90)}`);
  t.ok(Math.abs(percentile(rtts, 50) - 76) < 3);
  t.equal(area.rttMs(3, 9), area.rttMs(9, 3));
  t.ok(area.delayMs(3, 9, random) >= area.rttMs(3, 9) / 2);
});

test('a chart is drawn of one ring, and of several with the forecast', async t => {
  const reports = [50, 100, 200].map(nodes => run({ nodes, lookups: 100 }));
  t.match(
    ringChart(reports.slice(0, 1)),
    /^<svg [^>]+>[\s\S]+<rect[\s\S]+hops \(mean [\d.]+\)[\s\S]+<\/svg>\n$/,
  );
  t.match(ringChart(reports), /forecast for 8,000,000: \d/);
  t.notMatch(ringChart(reports), /NaN|Infinity|undefined/);
  t.same(
    fitLine([
      { x: 1, y: 3 },
      { x: 2, y: 5 },
      { x: 3, y: 7 },
    ]),
    { offset: 1, slope: 2 },
  );
  t.equal(fitLine([{ x: 1, y: 3 }]), undefined);
});
