/** Runs a schedule: makes happen what it says, judges what comes of it, and looks at the whole ring as it goes. */
import { type Id, idOf, indexAtOrAfter } from '../overlay/ring/ids.js';
import type { InvariantName } from '../overlay/ring/invariants.js';
import { MEMBER_OPTIONS } from '../overlay/ring/member-state.js';
import { MERGED_WITHIN_MS } from './ring-plan.js';
import type { RingEvent, RingSchedule } from './ring-schedule.js';
import { settle } from './settled-ring.js';
import { simulatedRecord } from './simulated-record.js';
import { type LookupDone, type SimulatedMember, SimulatedRing } from './simulated-ring.js';

/** What must not happen: an invariant is broken, a record that was kept is not found, a lookup misleads. */
export type Breach = InvariantName | 'no record is lost' | 'lookups are right';

const CHECK_MS = 10_000;
const COPIES_CHECK_MS = 60_000;
/** Who may hold a copy: who holds it may have drifted from the owner. */
const COPIES_WITHIN = 16;
const RECORD_OCTETS = 200;

export class RingRun {
  readonly ring: SimulatedRing;
  readonly hops: number[] = [];
  readonly latencies: number[] = [];
  wrong = 0;
  firstHop = 0;
  timeouts = 0;
  joined = 0;
  left = 0;
  /** Of any record at any time, where that was watched. */
  fewestCopies = Number.POSITIVE_INFINITY;
  /** Kept by somebody, by their names. */
  readonly stored = new Set<string>();
  readonly found = new Set<string>();
  readonly #schedule: RingSchedule;
  /** Lookups that have not ended. */
  readonly #asking = new Map<RingEvent, SimulatedMember>();
  readonly #failed = new Set<Breach>();
  #unanswered = 0;

  constructor(schedule: RingSchedule) {
    const { seed, delays = 0, loss = 0, member, routing, events } = schedule;
    this.#schedule = schedule;
    this.ring = new SimulatedRing({ seed, delays, loss, member: { ...member, routing } });
    this.#settle();
    for (const event of events) this.ring.after(event.atMs, () => this.#happen(event));
    this.#watch();
  }

  /** Without an answer, though the asker lived to wait for it. */
  get unanswered(): number {
    const waiting = [...this.#asking.values()].filter(({ alive }) => alive);
    return this.#unanswered + waiting.length;
  }

  isBroken(breach: Breach): boolean {
    return breach === 'no record is lost' || breach === 'lookups are right'
      ? this.#failed.has(breach)
      : this.ring.violations.has(breach);
  }

  #settle(): void {
    const { members, deceits = [], records = [], routing, member, upkeep } = this.#schedule;
    const { ring } = this;
    settle(ring, {
      nodes: members.length,
      numbers: members,
      routing,
      member: member ?? {},
      deceits: new Map(deceits.map(({ member, deceit }) => [member, deceit])),
      upkeep,
    });
    const copies = member?.copies ?? MEMBER_OPTIONS.copies;
    for (const name of records) {
      const record = recordOf(name);
      for (const { state } of ring.holdersOf(record.key, copies)) {
        state.records.put(record, ring.now);
      }
      this.stored.add(name);
    }
  }

  #happen(event: RingEvent): void {
    const { ring } = this;
    switch (event.type) {
      case 'put':
        this.#by(event.by, at =>
          ring.put(at, recordOf(event.record), ({ copies }) => {
            if (copies > 0) this.stored.add(event.record);
          }),
        );
        return;
      case 'get':
        this.#by(event.by, at => this.#get(at, event.record));
        return;
      case 'lookup':
        this.#by(event.by, at => this.#lookup(at, event));
        return;
      case 'join': {
        const contacts = event.through.flatMap(number => this.#memberFor(number)?.peer ?? []);
        ring.start(contacts, { number: event.member });
        this.joined++;
        return;
      }
      case 'crash':
      case 'leave': {
        const member = ring.memberOfNumber(event.member);
        if (!member) return;
        if (event.type === 'crash') ring.crash(member);
        else ring.leave(member);
        this.left++;
        if (this.left % 1000 === 0) ring.sweep();
        return;
      }
      case 'cut':
        // A key may now have two owners, and for some time after the cut.
        ring.truthIsDivided = true;
        for (const number of event.members) {
          const member = ring.memberOfNumber(number);
          if (member) member.part = 1;
        }
        return;
      case 'mend':
        for (const member of ring.members) member.part = 0;
        ring.after(MERGED_WITHIN_MS, () => {
          ring.truthIsDivided = false;
        });
        return;
    }
  }

  #by(number: number, act: (at: SimulatedMember) => void): void {
    const at = this.#memberFor(number);
    if (at) act(at);
  }

  /** That member, if it is in the ring and honest; else the next one that is. */
  #memberFor(number: number): SimulatedMember | undefined {
    const { ring } = this;
    const peers = ring.ring;
    const start = indexAtOrAfter(peers, ring.idOfNumber(number));
    for (let i = 0; i < peers.length; i++) {
      const member = ring.memberOf(peers[(start + i) % peers.length]!);
      if (!member.deceit) return member;
    }
    return undefined;
  }

  #get(at: SimulatedMember, name: string): void {
    const expected = this.stored.has(name);
    this.ring.get(at, idOf(name), ({ records }) => {
      if (records?.some(({ value }) => value !== undefined)) this.found.add(name);
      else if (expected) this.#failed.add('no record is lost');
    });
  }

  #lookup(at: SimulatedMember, event: Extract<RingEvent, { type: 'lookup' }>): void {
    const { recursive = false } = this.#schedule;
    this.#asking.set(event, at);
    const done = (answer: LookupDone) => {
      this.#asking.delete(event);
      this.#judge(answer);
    };
    this.ring.lookup(at, event.key, done, recursive);
  }

  #judge({ key, result, tookMs, timeouts }: LookupDone): void {
    this.timeouts += timeouts;
    if (!result) {
      this.#unanswered++;
      this.#failed.add('lookups are right');
      return;
    }
    this.hops.push(result.hops);
    this.latencies.push(tookMs);
    if (!this.#isRight(key, result)) {
      this.wrong++;
      this.#failed.add('lookups are right');
    } else if (result.hops <= 1 && timeouts === 0) this.firstHop++;
  }

  #isRight(key: Id, { owner }: NonNullable<LookupDone['result']>): boolean {
    const { ring } = this;
    if (ring.isRightOwner(key, owner)) return true;
    // Where the owner deceives, the next honest member is the best answer there is.
    const honest = ring.holdersOf(key, 32).find(({ deceit }) => !deceit);
    const truth = ring.ownerOf(key);
    return (
      truth !== undefined &&
      ring.memberOf(truth).deceit !== undefined &&
      honest?.peer.id === owner.id
    );
  }

  /** Holds the invariants of the whole ring while it runs. */
  #watch(): void {
    const { watched } = this.#schedule;
    if (!watched) return;
    const { ring } = this;
    const every = (ms: number, check: () => void) => {
      const again = () => {
        if (ring.now > watched.untilMs) return;
        check();
        ring.after(ms, again);
      };
      ring.after(watched.fromMs, again);
    };
    every(CHECK_MS, () => {
      if (!ring.truthIsDivided) ring.checkRing();
    });
    every(COPIES_CHECK_MS, () => this.#checkCopies());
  }

  /** One copy at least at all times. */
  #checkCopies(): void {
    const { ring } = this;
    const keys = [...this.stored].map(name => idOf(name));
    ring.checkCopies(keys, 1, COPIES_WITHIN);
    for (const key of keys) {
      this.fewestCopies = Math.min(this.fewestCopies, ring.countCopies(key, COPIES_WITHIN));
    }
  }
}

/** Runs until the breach; the instant of it, or undefined where there is none. */
export function instantOf(breach: Breach, schedule: RingSchedule): number | undefined {
  const run = new RingRun(schedule);
  const { ring } = run;
  return ring.runUntil(() => run.isBroken(breach), schedule.endMs) ? ring.now : undefined;
}

function recordOf(name: string) {
  return simulatedRecord(name, { value: new Uint8Array(RECORD_OCTETS) });
}
