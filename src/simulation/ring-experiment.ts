/** An experiment with a ring: members that stay, crash at once, come and go, or deceive; and lookups. */
import type { InvariantName } from '../overlay/ring/invariants.js';
import type { Routing } from '../overlay/ring/member-state.js';
import { mean, percentile } from './figures.js';
import { planOf, type RingExperiment, type RingPlan } from './ring-plan.js';
import { type Breach, RingRun } from './ring-run.js';
import type { SimulatedRing } from './simulated-ring.js';

export type { RingExperiment } from './ring-plan.js';

export interface Distribution {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

export interface RingReport {
  readonly nodes: number;
  readonly nodesAtEnd: number;
  readonly routing: Routing | 'auto';
  /** How many members came to route how. */
  readonly routingAtEnd: Readonly<Partial<Record<Routing, number>>>;
  readonly seed: number;
  readonly lookups: {
    /** By members that lived to see the answer. */
    readonly tried: number;
    /** Answered, and rightly. */
    readonly succeeded: number;
    readonly wrongOwner: number;
    readonly unanswered: number;
    /** Of those tried: right, and from the first member asked. */
    readonly firstHop: number;
    readonly timeouts: number;
  };
  readonly hops: Distribution;
  readonly latencyMs: Distribution;
  readonly keys: {
    readonly stored: number;
    readonly lost: number /** Of any record at any time, where that was watched. */;
    readonly fewestCopies?: number;
  };
  readonly perNode: {
    readonly messagesPerSecond: number;
    readonly bytesPerSecond: number;
    /** Of the membership set: its changes and comparisons. */
    readonly tableBytesPerSecond: number;
  };
  readonly joined: number;
  readonly left: number;
  readonly violations: Readonly<Partial<Record<InvariantName, { count: number; first: string[] }>>>;
  /** Lookups by their hops. */
  readonly hopCounts: readonly number[];
  /** Every hundredth of the lookups' times, in milliseconds. */
  readonly latencyPercentiles: readonly number[];
  readonly simulatedSeconds: number;
  readonly tookSeconds: number;
  readonly megabytes: number;
}

export type Progress = (done: number, doing: string) => void;

const STEPS = 200;

/** @param clockMs real time, for what it took */
export function runExperiment(
  experiment: RingExperiment,
  progress: Progress,
  clockMs: () => number,
): RingReport {
  const startedAt = clockMs();
  progress(0, `settling ${experiment.nodes} members`);
  const plan = planOf(experiment);
  const run = new RingRun(plan.schedule);
  const { ring } = run;
  ring.run(plan.measuredFromMs);
  const before = trafficOf(ring);
  for (const { untilMs, doing } of plan.phases) {
    const from = ring.now;
    for (let step = 1; step <= STEPS && untilMs > from; step++) {
      ring.run(from + ((untilMs - from) * step) / STEPS);
      progress(step / STEPS, doing);
    }
  }
  return reportOf(experiment, plan, run, before, (clockMs() - startedAt) / 1000);
}

/** What of this is most worth looking into, if anything is broken. */
export function breachOf({ violations, keys, lookups }: RingReport): Breach | undefined {
  const [violated] = Object.keys(violations) as InvariantName[];
  if (violated) return violated;
  if (keys.lost > 0) return 'no record is lost';
  return lookups.wrongOwner + lookups.unanswered > 0 ? 'lookups are right' : undefined;
}

function reportOf(
  { nodes, routing, seed }: RingExperiment,
  { measuredFromMs }: RingPlan,
  run: RingRun,
  before: Traffic,
  tookSeconds: number,
): RingReport {
  const { ring, stored, found, wrong, unanswered, firstHop, timeouts } = run;
  const hops = run.hops.sort((a, b) => a - b);
  const latencies = run.latencies.sort((a, b) => a - b);
  const hopCounts: number[] = [];
  for (const count of hops) hopCounts[count] = (hopCounts[count] ?? 0) + 1;
  const routingAtEnd: Partial<Record<Routing, number>> = {};
  for (const peer of ring.ring) {
    const { state } = ring.memberOf(peer);
    routingAtEnd[state.routing] = (routingAtEnd[state.routing] ?? 0) + 1;
  }
  const seconds = (ring.now - measuredFromMs) / 1000;
  const nodeSeconds = seconds * nodes;
  const traffic = trafficOf(ring);
  return {
    nodes,
    nodesAtEnd: ring.ring.length,
    routing,
    routingAtEnd,
    seed,
    lookups: {
      tried: hops.length + unanswered,
      succeeded: hops.length - wrong,
      wrongOwner: wrong,
      unanswered,
      firstHop,
      timeouts,
    },
    hops: distribution(hops),
    latencyMs: distribution(latencies),
    keys: {
      stored: stored.size,
      lost: [...stored].filter(name => !found.has(name)).length,
      ...(Number.isFinite(run.fewestCopies) && { fewestCopies: run.fewestCopies }),
    },
    perNode: {
      messagesPerSecond: (traffic.messages - before.messages) / nodeSeconds,
      bytesPerSecond: (traffic.bytes - before.bytes) / nodeSeconds,
      tableBytesPerSecond: (traffic.table - before.table) / nodeSeconds,
    },
    joined: run.joined,
    left: run.left,
    violations: Object.fromEntries(ring.violations),
    hopCounts: Array.from(hopCounts, count => count ?? 0),
    latencyPercentiles: Array.from({ length: 101 }, (_, i) => percentile(latencies, i)),
    simulatedSeconds: seconds,
    tookSeconds,
    megabytes: Math.round(process.memoryUsage().rss / 2 ** 20),
  };
}

interface Traffic {
  readonly messages: number;
  readonly bytes: number;
  readonly table: number;
}

function trafficOf({ traffic: { messages, bytes, byType } }: SimulatedRing): Traffic {
  const table = ['membership', 'compare', 'compared'];
  return {
    messages,
    bytes,
    table: table.reduce((sum, type) => sum + (byType.get(type)?.[1] ?? 0), 0),
  };
}

function distribution(sorted: readonly number[]): Distribution {
  return { mean: mean(sorted), p50: percentile(sorted, 50), p99: percentile(sorted, 99) };
}
