/**
 * `make simulate`: what is asked of the ring, by experiments of full size. `--quick` takes one seed where
 * ten are asked for; a word or more picks the experiments whose names hold one of them.
 */
import { fitLine } from '../../src/simulation/figures.js';
import { FORECAST_NODES } from '../../src/simulation/ring-chart.js';
import {
  type RingExperiment,
  type RingReport,
  runExperiment,
} from '../../src/simulation/ring-experiment.js';
import { atLeast, atMost, exactly, type Figure, plain, printFigures } from '../harness/figures.js';

const words = process.argv.slice(2).filter(word => !word.startsWith('--'));
const seeds = process.argv.includes('--quick') ? [1] : [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

function run(name: string, experiment: Partial<RingExperiment>): RingReport {
  const all = { nodes: 1000, lookups: 10_000, routing: 'base16', seed: 1, ...experiment } as const;
  const report = runExperiment(
    all,
    () => undefined,
    () => performance.now(),
  );
  const { tookSeconds, megabytes, violations } = report;
  process.stderr.write(`${name}: ${tookSeconds.toFixed(0)} s, ${megabytes} MB\n`);
  for (const [invariant, { count, first }] of Object.entries(violations)) {
    process.stderr.write(
      `  ${invariant}: ${count} times; ${first.join('; ')} (seed ${all.seed})\n`,
    );
  }
  return report;
}

function brokenTimes(reports: readonly RingReport[]): number {
  return reports.reduce(
    (all, { violations }) =>
      all + Object.values(violations).reduce((sum, { count }) => sum + count, 0),
    0,
  );
}

function percentRight({ lookups }: RingReport): number {
  return (100 * lookups.succeeded) / lookups.tried;
}

const experiments: Record<string, () => Figure[]> = {
  settled: () => {
    const figures: Figure[] = [];
    const mostHops = { table: 1, base16: 3.5, binary: 5.5 };
    for (const routing of ['table', 'base16', 'binary'] as const) {
      const reports = [100, 1000, 10_000].map(nodes =>
        run(`settled, ${nodes}, ${routing}`, { nodes, routing, lookups: 20_000 }),
      );
      for (const report of reports) {
        const { nodes, hops, latencyMs } = report;
        const of = `${routing}, ${nodes}`;
        const asked = nodes === 10_000;
        const most = asked ? mostHops[routing] : undefined;
        figures.push(
          exactly(100, `${of}: lookups right`, percentRight(report), '%'),
          most === undefined
            ? plain(`${of}: hops, mean`, hops.mean, '')
            : atMost(most, `${of}: hops, mean`, hops.mean, ''),
          asked
            ? atMost(200, `${of}: time, mean`, latencyMs.mean, 'ms')
            : plain(`${of}: time, mean`, latencyMs.mean, 'ms'),
        );
        if (asked) {
          figures.push(
            atMost(300, `${of}: run`, report.tookSeconds, 's'),
            atMost(4096, `${of}: memory`, report.megabytes, 'MB'),
          );
        }
      }
      const line = fitLine(
        reports.map(({ nodes, hops }) => ({ x: Math.log2(nodes), y: hops.mean })),
      );
      if (line) {
        const hops = line.offset + line.slope * Math.log2(FORECAST_NODES);
        figures.push(plain(`${routing}: hops forecast for ${FORECAST_NODES}`, hops, ''));
      }
    }
    return figures;
  },
  crash: () => {
    const figures: Figure[] = [];
    for (const nodes of [1000, 10_000]) {
      for (const [crash, right] of [
        [0.2, 100],
        [0.5, 99.9],
      ] as const) {
        const report = run(`crash of ${crash}, ${nodes}`, { nodes, crash });
        const of = `${nodes}, ${100 * crash}% crash at once`;
        figures.push(
          atLeast(right, `${of}: lookups right`, percentRight(report), '%'),
          plain(`${of}: time, mean`, report.latencyMs.mean, 'ms'),
        );
      }
    }
    return figures;
  },
  churn: () => {
    const reports = seeds.map(seed =>
      run(`churn, seed ${seed}`, { seed, lifetimeMinutes: 42, hours: 2, keys: 3000 }),
    );
    const sum = (of: (report: RingReport) => number) =>
      reports.reduce((all, report) => all + of(report), 0);
    const tried = sum(({ lookups }) => lookups.tried);
    const of = `churn of 42 minutes, ${seeds.length} seeds`;
    return [
      atMost(
        1,
        `${of}: wrong owners in 10,000`,
        (sum(({ lookups }) => lookups.wrongOwner) / tried) * 10_000,
        '',
      ),
      plain(
        `${of}: unanswered`,
        sum(({ lookups }) => lookups.unanswered),
        '',
      ),
      exactly(0, `${of}: invariants broken`, brokenTimes(reports), ''),
      exactly(
        0,
        `${of}: records lost`,
        sum(({ keys }) => keys.lost),
        '',
      ),
      plain(
        `${of}: fewest copies`,
        Math.min(...reports.map(({ keys }) => keys.fewestCopies ?? 0)),
        '',
      ),
      plain(
        `${of}: each`,
        sum(({ perNode }) => perNode.bytesPerSecond) / reports.length,
        'octets/s',
      ),
    ];
  },
  weibull: () => {
    // As sessions of real peers: many are short, and the old live on (D. Stutzbach, R. Rejaie, IMC 2006).
    const shape = 0.5;
    const lifetimes = { lifetimeMinutes: 42, hours: 2, shape };
    const report = run('churn after Weibull', { ...lifetimes, keys: 3000 });
    const of = `churn of 42 minutes after Weibull (${shape})`;
    return [
      atLeast(99.99, `${of}: lookups right`, percentRight(report), '%'),
      plain(`${of}: came and went`, report.joined + report.left, ''),
      exactly(0, `${of}: records lost`, report.keys.lost, ''),
      exactly(0, `${of}: invariants broken`, brokenTimes([report]), ''),
    ];
  },
  auto: () =>
    [250, 1000].flatMap(nodes => {
      const report = run(`auto, ${nodes}`, {
        routing: 'auto',
        nodes,
        lifetimeMinutes: 42,
        hours: 1,
      });
      const { routingAtEnd, perNode, nodesAtEnd } = report;
      const { table = 0, base16 = 0 } = routingAtEnd;
      const of = `auto, ${nodes}, sessions of 42 minutes`;
      // A table of 1,000 costs more than its budget there, one of 250 does not.
      const [kept, share] =
        nodes < 500 ? ['keep the table', table] : ['went over to fingers', base16];
      return [
        atLeast(99.99, `${of}: lookups right`, percentRight(report), '%'),
        atLeast(90, `${of}: ${kept}`, (100 * share) / nodesAtEnd, '%'),
        plain(`${of}: table, each`, perNode.tableBytesPerSecond, 'octets/s'),
      ];
    }),
  table: () => {
    const report = run('table, sessions of 2.9 hours', {
      routing: 'table',
      lifetimeMinutes: 174,
      hours: 2,
    });
    const { lookups, perNode } = report;
    const of = 'table, sessions of 2.9 hours';
    return [
      atLeast(99, `${of}: right at the first hop`, (100 * lookups.firstHop) / lookups.tried, '%'),
      plain(`${of}: upkeep of the table`, perNode.tableBytesPerSecond, 'octets/s'),
      plain(`${of}: all messages`, perNode.bytesPerSecond, 'octets/s'),
    ];
  },
  hostile: () =>
    [4, 6].flatMap(paths => {
      const report = run(`hostile, ${paths} paths`, { hostile: 0.1, paths, keys: 3000 });
      const of = `10% hostile, ${paths} paths`;
      return [
        atLeast(99, `${of}: lookups right`, percentRight(report), '%'),
        exactly(0, `${of}: records not found`, report.keys.lost, ''),
        plain(`${of}: time, mean`, report.latencyMs.mean, 'ms'),
      ];
    }),
  // Over one path, and over several for what that one does not lead to.
  'hostile, as phones go': () =>
    (['base16', 'table'] as const).map(routing => {
      const report = run(`hostile, ${routing}`, { routing, hostile: 0.1, keys: 3000, lookups: 1 });
      const { stored, lost } = report.keys;
      const of = `10% hostile, as phones go, ${routing}`;
      return atLeast(99, `${of}: names found`, (100 * (stored - lost)) / stored, '%');
    }),
};

const chosen = Object.entries(experiments).filter(
  ([name]) => words.length === 0 || words.some(word => name.includes(word)),
);
const figures = chosen.flatMap(([, experiment]) => experiment());
printFigures(figures);
process.exitCode = figures.some(({ met }) => met === false) ? 1 : 0;
