/** An experiment with a ring: members that stay, crash at once, come and go, or deceive; and lookups. */
import { CodedError } from '../core/errors.js';
import { type Id, idOf } from '../overlay/ids.js';
import type { InvariantName } from '../overlay/invariants.js';
import { MEMBER_OPTIONS, type MemberOptions, type Routing } from '../overlay/member-state.js';
import { mean, percentile } from './figures.js';
import { settle } from './settled-ring.js';
import {
  type LookupDone,
  type SimulatedMember,
  SimulatedRing,
  simulatedRecord,
} from './simulated-ring.js';

export interface RingExperiment {
  readonly nodes: number;
  readonly lookups: number;
  readonly routing: Routing;
  readonly seed: number;
  /** Of the members, at one instant, before the lookups. */
  readonly crash?: number;
  /** Mean session; members come as fast as they go, none says goodbye. */
  readonly lifetimeMinutes?: number;
  /** Of a Weibull distribution; 1 is the exponential one, below 1 the old live on. */
  readonly shape?: number;
  readonly hours?: number;
  /** Of the members. */
  readonly hostile?: number;
  /** Disjoint paths of a lookup. */
  readonly paths?: number;
  /** Of all messages. */
  readonly loss?: number;
  /** Records stored before anything happens. */
  readonly keys?: number;
  readonly recursive?: boolean;
  readonly member?: Partial<MemberOptions>;
}

export interface Distribution {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

export interface RingReport {
  readonly nodes: number;
  readonly nodesAtEnd: number;
  readonly routing: Routing;
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

/** Lookups of one member that only looks up, in the mean. */
const STATIC_LOOKUP_PAUSE_MS = 30_000;
const SETTLING_MS = 60_000;
/** Lookups after a crash begin at once, and are spread over so long. */
const AFTER_CRASH_MS = 300_000;
const CHECK_MS = 10_000;
const COPIES_CHECK_MS = 60_000;
/** After the last lookup: they end, and copies are made good. */
const QUIET_MS = 120_000;
const STEPS = 200;
const COPIES = MEMBER_OPTIONS.copies;

/** @param clockMs real time, for what it took */
export function runExperiment(
  experiment: RingExperiment,
  progress: Progress,
  clockMs: () => number,
): RingReport {
  check(experiment);
  const startedAt = clockMs();
  const run = new Run(experiment, progress);
  run.run();
  return run.report((clockMs() - startedAt) / 1000);
}

function check({ nodes, lookups, lifetimeMinutes, hours }: RingExperiment): void {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 1_000_000) {
    throw new CodedError('BAD_USAGE', `expected 1 to 1,000,000 nodes, found ${nodes}`);
  }
  if (!Number.isInteger(lookups) || lookups < 1) {
    throw new CodedError('BAD_USAGE', `expected at least one lookup, found ${lookups}`);
  }
  if ((lifetimeMinutes === undefined) !== (hours === undefined)) {
    throw new CodedError(
      'BAD_USAGE',
      'a lifetime of members needs the hours to run, and these a lifetime',
      {
        remedy: 'Give both: --lifetime MINUTES --hours H.',
      },
    );
  }
}

class Run {
  readonly #experiment: RingExperiment;
  readonly #progress: Progress;
  readonly #ring: SimulatedRing;
  readonly #keys: Id[] = [];
  readonly #hops: number[] = [];
  readonly #latencies: number[] = [];
  #abandoned = 0;
  #wrong = 0;
  #unanswered = 0;
  #firstHop = 0;
  #timeouts = 0;
  #joined = 0;
  #left = 0;
  #found = new Set<Id>();
  #fewestCopies = Number.POSITIVE_INFINITY;
  /** When what is measured begins. */
  #measuredFrom = 0;
  #trafficBefore = { messages: 0, bytes: 0, table: 0 };

  constructor(experiment: RingExperiment, progress: Progress) {
    const { seed, loss = 0, routing, paths = 1, member } = experiment;
    this.#experiment = experiment;
    this.#progress = progress;
    this.#ring = new SimulatedRing({ seed, loss, member: { ...member, routing, paths } });
  }

  run(): void {
    const {
      nodes,
      routing,
      crash,
      lifetimeMinutes,
      hours = 0,
      hostile = 0,
      paths = 1,
    } = this.#experiment;
    const ring = this.#ring;
    const upkeep = crash !== undefined || lifetimeMinutes !== undefined;
    this.#progress(0, `settling ${nodes} members`);
    const member = { ...this.#experiment.member, paths };
    settle(ring, { nodes, routing, member, hostile, upkeep });
    this.#store();
    if (upkeep) this.#runUntil(ring.now + SETTLING_MS, 'settling');
    this.#measuredFrom = ring.now;
    this.#trafficBefore = this.#traffic();
    let lastsMs = this.#lookupsAlone();
    if (crash !== undefined) {
      this.#crash(crash);
      lastsMs = AFTER_CRASH_MS;
    }
    if (lifetimeMinutes !== undefined) {
      lastsMs = hours * 3_600_000;
      this.#churn(lifetimeMinutes * 60_000, ring.now + lastsMs);
    }
    if (upkeep) this.#watch(ring.now + lastsMs);
    this.#lookUp(lastsMs);
    this.#runUntil(ring.now + lastsMs, upkeep ? 'members and lookups' : 'lookups');
    this.#runUntil(ring.now + QUIET_MS, 'the last answers');
    this.#fetchAll();
  }

  report(tookSeconds: number): RingReport {
    const { nodes, lookups, routing, seed } = this.#experiment;
    const ring = this.#ring;
    const hops = this.#hops.sort((a, b) => a - b);
    const latencies = this.#latencies.sort((a, b) => a - b);
    const tried = lookups - this.#abandoned;
    const hopCounts: number[] = [];
    for (const count of hops) hopCounts[count] = (hopCounts[count] ?? 0) + 1;
    const seconds = (ring.now - this.#measuredFrom) / 1000;
    const nodeSeconds = seconds * nodes;
    const traffic = this.#traffic();
    const before = this.#trafficBefore;
    return {
      nodes,
      nodesAtEnd: ring.ring.length,
      routing,
      seed,
      lookups: {
        tried,
        succeeded: hops.length - this.#wrong,
        wrongOwner: this.#wrong,
        unanswered: this.#unanswered,
        firstHop: this.#firstHop,
        timeouts: this.#timeouts,
      },
      hops: distribution(hops),
      latencyMs: distribution(latencies),
      keys: {
        stored: this.#keys.length,
        lost: this.#keys.filter(key => !this.#found.has(key)).length,
        ...(Number.isFinite(this.#fewestCopies) && { fewestCopies: this.#fewestCopies }),
      },
      perNode: {
        messagesPerSecond: (traffic.messages - before.messages) / nodeSeconds,
        bytesPerSecond: (traffic.bytes - before.bytes) / nodeSeconds,
        tableBytesPerSecond: (traffic.table - before.table) / nodeSeconds,
      },
      joined: this.#joined,
      left: this.#left,
      violations: Object.fromEntries(ring.violations),
      hopCounts: Array.from(hopCounts, count => count ?? 0),
      latencyPercentiles: Array.from({ length: 101 }, (_, i) => percentile(latencies, i)),
      simulatedSeconds: seconds,
      tookSeconds,
      megabytes: Math.round(process.memoryUsage().rss / 2 ** 20),
    };
  }

  #lookupsAlone(): number {
    const { lookups, nodes } = this.#experiment;
    return (lookups / nodes) * STATIC_LOOKUP_PAUSE_MS;
  }

  /** Records, put by random members; among liars they are where they belong from the start. */
  #store(): void {
    const { keys = 0, hostile = 0 } = this.#experiment;
    const ring = this.#ring;
    for (let i = 0; i < keys; i++) {
      const name = `user-${i}`;
      const key = idOf(name);
      const record = simulatedRecord(name, { value: new Uint8Array(200) });
      if (hostile > 0) {
        this.#keys.push(key);
        for (const { state } of ring.holdersOf(key, COPIES)) state.records.put(record, ring.now);
      } else {
        ring.after(ring.random.unit() * (SETTLING_MS / 2), () => {
          ring.put(this.#anybody(), record, ({ copies }) => {
            if (copies > 0) this.#keys.push(key);
          });
        });
      }
    }
    if (keys > 0 && hostile === 0)
      this.#runUntil(ring.now + SETTLING_MS, `storing ${keys} records`);
  }

  #crash(fraction: number): void {
    const ring = this.#ring;
    const doomed = Math.round(fraction * ring.members.length);
    for (let i = 0; i < doomed; i++) {
      ring.crash(this.#anybody());
      this.#left++;
    }
    ring.sweep();
  }

  /** As many come as go: Poisson arrivals, sessions of the given mean. */
  #churn(lifetimeMs: number, untilMs: number): void {
    const ring = this.#ring;
    const { nodes, shape = 1 } = this.#experiment;
    const scale = lifetimeMs / gamma(1 + 1 / shape);
    const session = () => scale * (-Math.log(1 - ring.random.unit())) ** (1 / shape);
    const depart = (member: SimulatedMember) => {
      ring.after(session(), () => {
        if (ring.now > untilMs) return;
        ring.crash(member);
        this.#left++;
        if (this.#left % nodes === 0) ring.sweep();
      });
    };
    for (const member of ring.members) depart(member);
    const arrive = () => {
      ring.after((-Math.log(1 - ring.random.unit()) * lifetimeMs) / nodes, () => {
        if (ring.now > untilMs) return;
        const contacts = [this.#anybody().peer, this.#anybody().peer, this.#anybody().peer];
        depart(ring.start(contacts));
        this.#joined++;
        arrive();
      });
    };
    arrive();
  }

  /** Holds the invariants of the whole ring while it runs. */
  #watch(untilMs: number): void {
    const ring = this.#ring;
    // What crashed at once takes some rounds to mend.
    const from = this.#experiment.crash === undefined ? 0 : SETTLING_MS;
    const every = (ms: number, check: () => void) => {
      const again = () => {
        if (ring.now > untilMs) return;
        check();
        ring.after(ms, again);
      };
      ring.after(from, again);
    };
    every(CHECK_MS, () => ring.checkRing());
    every(COPIES_CHECK_MS, () => {
      // One copy at least at all times: who holds it may have drifted from the owner.
      ring.checkCopies(this.#keys, 1, 16);
      for (const key of this.#keys) {
        this.#fewestCopies = Math.min(this.#fewestCopies, ring.countCopies(key, 16));
      }
    });
  }

  #lookUp(withinMs: number): void {
    const { lookups, recursive = false } = this.#experiment;
    const ring = this.#ring;
    for (let i = 0; i < lookups; i++) {
      ring.after(ring.random.unit() * withinMs, () => {
        const at = this.#anybody();
        const stored = this.#keys.length;
        const key = stored > 0 ? this.#keys[this.#index(stored)]! : randomId(ring);
        let ended = false;
        ring.lookup(
          at,
          key,
          done => {
            ended = true;
            this.#judge(done);
          },
          recursive,
        );
        if (!ended)
          ring.after(60_000, () => {
            if (!ended) this.#abandoned++;
          });
      });
    }
  }

  #judge({ key, result, tookMs, timeouts }: LookupDone): void {
    this.#timeouts += timeouts;
    if (!result) {
      this.#unanswered++;
      return;
    }
    this.#hops.push(result.hops);
    this.#latencies.push(tookMs);
    const right = this.#isRight(key, result);
    if (!right) this.#wrong++;
    else if (result.hops <= 1 && timeouts === 0) this.#firstHop++;
  }

  #isRight(key: Id, { owner }: NonNullable<LookupDone['result']>): boolean {
    const ring = this.#ring;
    if (ring.isRightOwner(key, owner)) return true;
    // Where the owner deceives, the next honest member is the best answer there is.
    const honest = ring.holdersOf(key, 32).find(({ deceit }) => !deceit);
    return ring.ownerOf(key) !== undefined && honest?.peer.id === owner.id && honest.inRing
      ? ring.memberOf(ring.ownerOf(key)!).deceit !== undefined
      : false;
  }

  /** Every record once more, by somebody: what is not found is lost. */
  #fetchAll(): void {
    const ring = this.#ring;
    if (this.#keys.length === 0) return;
    this.#keys.forEach((key, i) => {
      ring.after(i * 20, () => {
        ring.get(this.#anybody(), key, ({ records }) => {
          if (records?.some(({ value }) => value !== undefined)) this.#found.add(key);
        });
      });
    });
    this.#runUntil(ring.now + this.#keys.length * 20 + SETTLING_MS, 'fetching every record');
  }

  /** An honest member of the ring. */
  #anybody(): SimulatedMember {
    const { ring } = this.#ring;
    for (;;) {
      const member = this.#ring.memberOf(ring[this.#index(ring.length)]!);
      if (!member.deceit) return member;
    }
  }

  #index(length: number): number {
    return Math.floor(this.#ring.random.unit() * length);
  }

  #traffic(): { messages: number; bytes: number; table: number } {
    const { messages, bytes, byType } = this.#ring.traffic;
    const table = ['membership', 'compare', 'compared'];
    return {
      messages,
      bytes,
      table: table.reduce((sum, type) => sum + (byType.get(type)?.[1] ?? 0), 0),
    };
  }

  #runUntil(untilMs: number, doing: string): void {
    const from = this.#ring.now;
    for (let step = 1; step <= STEPS; step++) {
      this.#ring.run(from + ((untilMs - from) * step) / STEPS);
      this.#progress(step / STEPS, doing);
    }
  }
}

function distribution(sorted: readonly number[]): Distribution {
  return { mean: mean(sorted), p50: percentile(sorted, 50), p99: percentile(sorted, 99) };
}

function randomId(ring: SimulatedRing): Id {
  return Buffer.from(ring.random.bytes(20)).toString('hex');
}

/** Euler's gamma function for arguments from 1 on (Lanczos, five terms: nine digits). */
function gamma(x: number): number {
  const terms = [
    76.1800917295, -86.5053203294, 24.0140982408, -1.23173957245, 1.20865097387e-3,
    -5.39523938495e-6,
  ];
  const t = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  const series = terms.reduce((sum, term, i) => sum + term / (x + 1 + i), 1.00000000019);
  return Math.exp(-t + Math.log((2.50662827463 * series) / x));
}
