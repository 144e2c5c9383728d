/** From an experiment to its schedule: crashes, sessions, liars and lookups are drawn from the seed beforehand. */
import { CodedError } from '../core/errors.js';
import { idOf } from '../overlay/ring/ids.js';
import type { MemberOptions, Routing } from '../overlay/ring/member-state.js';
import { DECEITS } from './hostile-members.js';
import type { RingEvent, RingSchedule } from './ring-schedule.js';
import { SeededRandom } from './seeded-random.js';

export interface RingExperiment {
  readonly nodes: number;
  readonly lookups: number;
  /** `auto`: a table, until its upkeep costs more than its budget. */
  readonly routing: Routing | 'auto';
  readonly seed: number;
  /** Of the members, at one instant, before the lookups. */
  readonly crash?: number;
  /** Mean session; members come as fast as they go. */
  readonly lifetimeMinutes?: number;
  /** Of a Weibull distribution; 1 is the exponential one, below 1 the old live on. */
  readonly shape?: number;
  readonly hours?: number;
  /** Of those who go: they say so, where all others just vanish. */
  readonly goodbye?: number;
  /** Of the members: cut off from the others for two minutes; lookups begin when all are one ring again. */
  readonly cut?: number;
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

export interface RingPlan {
  readonly schedule: RingSchedule;
  /** When what is measured begins. */
  readonly measuredFromMs: number;
  readonly phases: readonly { readonly untilMs: number; readonly doing: string }[];
}

/** Lookups of one member that only looks up, in the mean. */
const STATIC_LOOKUP_PAUSE_MS = 30_000;
const SETTLING_MS = 60_000;
/** Lookups after a crash begin at once, and are spread over so long. */
const AFTER_CRASH_MS = 300_000;
const CUT_MS = 120_000;
/** Two rings are one again within this. */
export const MERGED_WITHIN_MS = 600_000;
/** After the last lookup: they end, and copies are made good. */
const QUIET_MS = 120_000;
/** Between two records fetched at the end. */
const FETCH_MS = 20;
const CONTACTS = 3;

export function planOf(experiment: RingExperiment): RingPlan {
  check(experiment);
  const { nodes, keys = 0, crash, lifetimeMinutes, cut, hostile = 0 } = experiment;
  const { seed, routing, loss, recursive, paths, member } = experiment;
  const random = new SeededRandom(seed);
  const upkeep = crash !== undefined || lifetimeMinutes !== undefined || cut !== undefined;
  const members = Array.from({ length: nodes }, (_, i) => i);
  const names = Array.from({ length: keys }, (_, i) => `user-${i}`);
  const liars = shuffled(random, members).slice(0, Math.round(hostile * nodes));
  const phases: { untilMs: number; doing: string }[] = [];
  let atMs = 0;
  const phase = (ms: number, doing: string) => {
    atMs += ms;
    phases.push({ untilMs: atMs, doing });
  };

  const events: RingEvent[] = [];
  // Among liars records are where they belong from the start.
  const put = hostile === 0 ? names : [];
  for (const record of put) {
    const by = pick(random, members);
    events.push({ atMs: (random.unit() * SETTLING_MS) / 2, type: 'put', by, record });
  }
  if (put.length > 0) phase(SETTLING_MS, `storing ${keys} records`);
  if (upkeep) phase(SETTLING_MS, 'settling');
  const fromMs = atMs;
  const { happening, lastsMs, quietMs } = happenings(experiment, random, fromMs);
  const alive = new Alive(members);
  for (const event of happening) {
    if (event.type === 'crash' || event.type === 'leave') alive.remove(event.member);
    if (event.type !== 'join' && event.type !== 'lookup') {
      events.push(event);
      continue;
    }
    if (event.type === 'lookup') {
      const key = names.length > 0 ? idOf(pick(random, names)) : randomKey(random);
      events.push({ ...event, by: alive.anybody(random), key });
      continue;
    }
    const through = Array.from({ length: CONTACTS }, () => alive.anybody(random));
    events.push({ ...event, through });
    alive.add(event.member);
  }
  phase(lastsMs, upkeep ? 'members and lookups' : 'lookups');
  const untilMs = atMs;
  phase(QUIET_MS, 'the last answers');
  names.forEach((record, i) => {
    events.push({ atMs: atMs + i * FETCH_MS, type: 'get', by: alive.anybody(random), record });
  });
  if (keys > 0) phase(keys * FETCH_MS + SETTLING_MS, 'fetching every record');
  const ordered = events
    .map(event => ({ ...event, atMs: Math.round(event.atMs) }))
    .sort((a, b) => a.atMs - b.atMs);

  const deceits = liars.map((liar, i) => ({ member: liar, deceit: DECEITS[i % DECEITS.length]! }));
  const schedule: RingSchedule = {
    seed,
    routing,
    ...((member || paths !== undefined) && {
      member: { ...member, ...(paths !== undefined && { paths }) },
    }),
    ...(loss !== undefined && { loss }),
    ...(recursive && { recursive }),
    members,
    ...(deceits.length > 0 && { deceits }),
    ...(hostile > 0 && { records: names }),
    events: ordered,
    upkeep,
    ...(upkeep && { watched: { fromMs: fromMs + quietMs, untilMs } }),
    endMs: atMs,
  };
  return { schedule, measuredFromMs: fromMs, phases };
}

function check(experiment: RingExperiment): void {
  const { nodes, lookups, lifetimeMinutes, hours } = experiment;
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

/** By instant; who looks up, and through whom somebody joins, is drawn when it is known who is there. */
type Happening =
  | { readonly atMs: number; readonly type: 'lookup' }
  | { readonly atMs: number; readonly type: 'join'; readonly member: number }
  | Exclude<RingEvent, { type: 'lookup' | 'join' }>;

interface Happenings {
  readonly happening: readonly Happening[];
  readonly lastsMs: number;
  /** What crashed at once, or was cut, takes some rounds to mend. */
  readonly quietMs: number;
}

function happenings(experiment: RingExperiment, random: SeededRandom, fromMs: number): Happenings {
  const { nodes, lookups, crash, cut, lifetimeMinutes, hours = 0 } = experiment;
  const happening: Happening[] = [];
  const numbers = Array.from({ length: nodes }, (_, i) => i);
  let lastsMs = (lookups / nodes) * STATIC_LOOKUP_PAUSE_MS;
  let quietMs = 0;
  let lookFromMs = 0;
  if (crash !== undefined) {
    lastsMs = AFTER_CRASH_MS;
    quietMs = SETTLING_MS;
    for (const member of shuffled(random, numbers).slice(0, Math.round(crash * nodes))) {
      happening.push({ atMs: fromMs, type: 'crash', member });
    }
  }
  if (lifetimeMinutes !== undefined) {
    lastsMs = hours * 3_600_000;
    happening.push(...comingAndGoing(experiment, random, fromMs, lastsMs));
  }
  if (cut !== undefined) {
    const members = shuffled(random, numbers).slice(0, Math.round(cut * nodes));
    happening.push({ atMs: fromMs, type: 'cut', members }, { atMs: fromMs + CUT_MS, type: 'mend' });
    lookFromMs = CUT_MS + MERGED_WITHIN_MS;
    lastsMs = Math.max(lastsMs, lookFromMs + AFTER_CRASH_MS);
    quietMs = lookFromMs;
  }
  for (let i = 0; i < lookups; i++) {
    const atMs = fromMs + lookFromMs + random.unit() * (lastsMs - lookFromMs);
    happening.push({ atMs, type: 'lookup' });
  }
  happening.sort((a, b) => a.atMs - b.atMs);
  return { happening, lastsMs, quietMs };
}

/** As many come as go: Poisson arrivals, sessions of the given mean. */
function comingAndGoing(
  { nodes, lifetimeMinutes = 0, shape = 1, goodbye = 0 }: RingExperiment,
  random: SeededRandom,
  fromMs: number,
  lastsMs: number,
): Happening[] {
  const lifetimeMs = lifetimeMinutes * 60_000;
  const untilMs = fromMs + lastsMs;
  const scale = lifetimeMs / gamma(1 + 1 / shape);
  const events: Happening[] = [];
  const departs = (member: number, sinceMs: number) => {
    const atMs = sinceMs + scale * (-Math.log(1 - random.unit())) ** (1 / shape);
    const type = random.unit() < goodbye ? 'leave' : 'crash';
    if (atMs <= untilMs) events.push({ atMs, type, member });
  };
  for (let member = 0; member < nodes; member++) departs(member, fromMs);
  const pause = () => (-Math.log(1 - random.unit()) * lifetimeMs) / nodes;
  for (let member = nodes, atMs = fromMs + pause(); atMs <= untilMs; member++, atMs += pause()) {
    events.push({ atMs, type: 'join', member });
    departs(member, atMs);
  }
  return events;
}

/** Who is there, by number: from whom somebody is drawn. */
class Alive {
  readonly #numbers: number[];
  readonly #indices: Map<number, number>;

  constructor(numbers: readonly number[]) {
    this.#numbers = [...numbers];
    this.#indices = new Map(numbers.map((number, index) => [number, index]));
  }

  add(number: number): void {
    this.#indices.set(number, this.#numbers.push(number) - 1);
  }

  remove(number: number): void {
    const index = this.#indices.get(number);
    const last = this.#numbers.pop();
    if (index === undefined || last === undefined) return;
    this.#indices.delete(number);
    if (last === number) return;
    this.#numbers[index] = last;
    this.#indices.set(last, index);
  }

  /** The first member of all, where nobody is left: it is not there, and nobody acts for it. */
  anybody(random: SeededRandom): number {
    return this.#numbers.length > 0 ? pick(random, this.#numbers) : 0;
  }
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  return from[Math.floor(random.unit() * from.length)]!;
}

function shuffled<T>(random: SeededRandom, items: readonly T[]): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random.unit() * (i + 1));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}

function randomKey(random: SeededRandom): string {
  return Buffer.from(random.bytes(20)).toString('hex');
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
