/** `ringline simulate`: thousands of super-nodes on virtual time, in this one process. */
import { writeFile } from 'node:fs/promises';
import { CodedError } from '../core/errors.js';
import type { Routing } from '../overlay/ring/member-state.js';
import { fitLine } from '../simulation/figures.js';
import { FORECAST_NODES, ringChart } from '../simulation/ring-chart.js';
import {
  breachOf,
  type RingExperiment,
  type RingReport,
  runExperiment,
} from '../simulation/ring-experiment.js';
import { planOf } from '../simulation/ring-plan.js';
import { membersOf, type RingSchedule, scheduleText } from '../simulation/ring-schedule.js';
import { shrink } from '../simulation/shrink.js';
import { EXIT } from './exit-codes.js';
import { formatTable, type Output } from './output.js';

export interface SimulateFlags
  extends Pick<
    RingExperiment,
    | 'lookups'
    | 'routing'
    | 'crash'
    | 'shape'
    | 'hours'
    | 'goodbye'
    | 'cut'
    | 'hostile'
    | 'paths'
    | 'loss'
    | 'keys'
    | 'recursive'
  > {
  /** One size, or several with commas between. */
  readonly nodes: string;
  /** Mean session in minutes. */
  readonly lifetime?: number;
  readonly seed?: number;
  readonly chart?: string;
  readonly shrink?: boolean;
}

/** Progress is shown of what takes longer than this. */
const PATIENCE_MS = 1000;
/** Disjoint paths where there are liars and nothing else was asked for. */
const PATHS_AMONG_LIARS = 6;
/** A forecast from fewer sizes would be a guess. */
const SIZES_FOR_FORECAST = 3;

export async function simulate(flags: SimulateFlags, output: Output): Promise<number> {
  const seed = flags.seed ?? Math.floor(Math.random() * 2 ** 31);
  const reports: RingReport[] = [];
  const experiments: RingExperiment[] = [];
  const sizes = sizesOf(flags.nodes);
  for (const nodes of sizes) {
    const experiment = experimentOf(flags, nodes, seed);
    const report = runExperiment(experiment, progressOn(process.stderr), () => performance.now());
    reports.push(report);
    experiments.push(experiment);
    // People get one table of all sizes, programs each as it is done.
    const table = reports.length === sizes.length ? describe(reports) : undefined;
    output.event({ event: 'simulated', ...report }, table);
  }
  const forecast = forecastOf(reports);
  if (forecast !== undefined) {
    output.event(
      { event: 'forecast', nodes: FORECAST_NODES, hops: { mean: forecast } },
      `A line through these sizes forecasts ${forecast.toFixed(1)} hops for ${FORECAST_NODES.toLocaleString('en')} super-nodes.`,
    );
  }
  if (flags.chart !== undefined) {
    await writeFile(flags.chart, ringChart(reports));
    output.event({ event: 'chart', file: flags.chart }, `Chart: ${flags.chart}`);
  }
  const code = tellBroken(reports, output);
  if (flags.shrink) {
    const broken = reports.findIndex(report => breachOf(report) !== undefined);
    tellSmallCase(experiments[broken], reports[broken], output);
  }
  return code;
}

/** Looks for the smallest run that breaks what the first broken one did. */
function tellSmallCase(
  experiment: RingExperiment | undefined,
  report: RingReport | undefined,
  output: Output,
): void {
  const breach = report && breachOf(report);
  if (!experiment || !breach) {
    output.event({ event: 'shrunk' }, 'Nothing is broken: there is nothing to shrink.');
    return;
  }
  const { schedule } = planOf(experiment);
  const small = shrink(schedule, breach, progressOfShrinking(process.stderr));
  const { length } = membersOf(small);
  output.event(
    { event: 'shrunk', breach, schedule: small },
    `The smallest run found that breaks "${breach}": ${length} members, ${small.events.length} events, ${(small.endMs / 1000).toFixed(1)} s.\n${scheduleText(small)}`,
  );
}

function experimentOf(flags: SimulateFlags, nodes: number, seed: number): RingExperiment {
  const { lookups, routing, crash, lifetime, shape, hours, goodbye, cut } = flags;
  const { hostile, paths, loss, keys, recursive } = flags;
  const kept = keys ?? (lifetime !== undefined || hostile !== undefined ? 3 * nodes : 0);
  return {
    nodes,
    lookups,
    routing,
    seed,
    keys: kept,
    ...(crash !== undefined && { crash }),
    ...(lifetime !== undefined && { lifetimeMinutes: lifetime }),
    ...(shape !== undefined && { shape }),
    ...(hours !== undefined && { hours }),
    ...(goodbye !== undefined && { goodbye }),
    ...(cut !== undefined && { cut }),
    ...(hostile !== undefined && { hostile }),
    paths: paths ?? (hostile ? PATHS_AMONG_LIARS : 1),
    ...(loss !== undefined && { loss }),
    ...(recursive && { recursive }),
  };
}

function sizesOf(text: string): number[] {
  return text.split(',').map(part => {
    const size = Number(part.replaceAll('_', ''));
    if (part.trim() !== '' && Number.isInteger(size) && size >= 1) return size;
    throw new CodedError('BAD_USAGE', `expected a number of nodes, found "${part}"`, {
      remedy: 'Give one, as --nodes 1000, or several with commas between: --nodes 100,1000,10000.',
    });
  });
}

function describe(reports: readonly RingReport[]): string {
  const row = (title: string, value: (report: RingReport) => string) => [
    title,
    ...reports.map(value),
  ];
  const rows = [
    row('super-nodes', ({ nodes }) => count(nodes)),
    row('routing', ({ routing, routingAtEnd }) =>
      routing === 'auto' ? `auto: ${listOf(routingAtEnd)}` : routing,
    ),
    row('lookups tried', ({ lookups }) => count(lookups.tried)),
    row(
      '  succeeded',
      ({ lookups }) => `${count(lookups.succeeded)} (${share(lookups.succeeded, lookups.tried)})`,
    ),
    row('  wrong owner', ({ lookups }) => count(lookups.wrongOwner)),
    row('  unanswered', ({ lookups }) => count(lookups.unanswered)),
    row('  right at the first hop', ({ lookups }) => share(lookups.firstHop, lookups.tried)),
    row('hops: mean, 50%, 99%', ({ hops }) => `${hops.mean.toFixed(2)}, ${hops.p50}, ${hops.p99}`),
    row('milliseconds: mean, 50%, 99%', ({ latencyMs: { mean, p50, p99 } }) =>
      [mean, p50, p99].map(ms => ms.toFixed(0)).join(', '),
    ),
  ];
  if (reports.some(({ joined, left }) => joined + left > 0)) {
    rows.push(
      row('members joined, gone', ({ joined, left }) => `${count(joined)}, ${count(left)}`),
    );
  }
  if (reports.some(({ keys }) => keys.stored > 0)) {
    rows.push(
      row('records stored, lost', ({ keys }) => `${count(keys.stored)}, ${count(keys.lost)}`),
    );
  }
  rows.push(
    row('messages a second, each', ({ perNode }) => perNode.messagesPerSecond.toFixed(2)),
    row('octets a second, each', ({ perNode }) => count(Math.round(perNode.bytesPerSecond))),
  );
  if (reports.some(({ perNode }) => perNode.tableBytesPerSecond > 0)) {
    rows.push(
      row('  of them for the table', ({ perNode }) =>
        count(Math.round(perNode.tableBytesPerSecond)),
      ),
    );
  }
  rows.push(
    row('seed', ({ seed }) => String(seed)),
    row(
      'took',
      ({ tookSeconds, megabytes }) => `${tookSeconds.toFixed(1)} s, ${count(megabytes)} MB`,
    ),
  );
  return formatTable(rows);
}

function forecastOf(reports: readonly RingReport[]): number | undefined {
  if (reports.length < SIZES_FOR_FORECAST) return undefined;
  const line = fitLine(reports.map(({ nodes, hops }) => ({ x: Math.log2(nodes), y: hops.mean })));
  return line && line.offset + line.slope * Math.log2(FORECAST_NODES);
}

/** Broken invariants, and the seed that repeats them. */
function tellBroken(reports: readonly RingReport[], output: Output): number {
  let code: number = EXIT.ok;
  for (const { violations, seed, nodes } of reports) {
    for (const [invariant, { count: times, first }] of Object.entries(violations)) {
      output.event(
        { event: 'broken', invariant, times, first, seed, nodes },
        `Broken ${times} times: ${invariant}. The first:\n  ${first.join('\n  ')}\nRepeat it with --seed ${seed}.`,
      );
      code = EXIT.failed;
    }
  }
  return code;
}

function progressOn(stream: NodeJS.WriteStream): (done: number, doing: string) => void {
  const startedAt = performance.now();
  let shownAt = startedAt;
  return (done, doing) => {
    const now = performance.now();
    if (now - startedAt < PATIENCE_MS || now - shownAt < PATIENCE_MS / 4) return;
    shownAt = now;
    const text = `${doing}: ${Math.round(done * 100)}%, ${((now - startedAt) / 1000).toFixed(0)} s`;
    stream.write(stream.isTTY ? `\r\x1b[K${text}${done >= 1 ? '\r\x1b[K' : ''}` : `${text}\n`);
  };
}

function progressOfShrinking(
  stream: NodeJS.WriteStream,
): (smaller: RingSchedule, runs: number) => void {
  let shownAt = Number.NEGATIVE_INFINITY;
  return (smaller, runs) => {
    const now = performance.now();
    if (now - shownAt < PATIENCE_MS) return;
    shownAt = now;
    const { length } = membersOf(smaller);
    const seconds = (smaller.endMs / 1000).toFixed(1);
    stream.write(
      `after ${runs} runs: ${length} members, ${smaller.events.length} events, ${seconds} s\n`,
    );
  };
}

function listOf(counts: Readonly<Partial<Record<Routing, number>>>): string {
  return Object.entries(counts)
    .map(([routing, members]) => `${count(members)} ${routing}`)
    .join(', ');
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function share(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(2)}%`;
}
