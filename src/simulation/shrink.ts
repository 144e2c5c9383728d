/**
 * From a run that breaks something to a small one that still does: shorter, with fewer members, records,
 * lookups and events. Delta debugging (A. Zeller, R. Hildebrandt, "Simplifying and isolating
 * failure-inducing input", IEEE TSE 28(2), 2002): parts are left out, large ones first, for as long as what
 * remains is still broken in the same way.
 */
import { CodedError } from '../core/errors.js';
import { type Breach, instantOf } from './ring-run.js';
import {
  beginningAt,
  endingAt,
  membersOf,
  type RingEvent,
  type RingSchedule,
  withMembers,
} from './ring-schedule.js';

/** The run is tried beginning so long before the breach, with a ring that has settled. */
const LEADS_MS = [1_000, 10_000, 60_000, 300_000, 1_200_000, 3_600_000];

/** A breach that comes about by chance is looked for under so many sets of delays. */
const DELAYS = 4;

/** @param told each smaller case that was found, and how many runs that took */
export function shrink(
  schedule: RingSchedule,
  breach: Breach,
  told: (smaller: RingSchedule, runs: number) => void,
): RingSchedule {
  const shrinking = new Shrinking(schedule, breach, told);
  return shrinking.run();
}

class Shrinking {
  #case: RingSchedule;
  #runs = 0;
  readonly #breach: Breach;
  readonly #told: (smaller: RingSchedule, runs: number) => void;

  constructor(
    schedule: RingSchedule,
    breach: Breach,
    told: (smaller: RingSchedule, runs: number) => void,
  ) {
    this.#case = schedule;
    this.#breach = breach;
    this.#told = told;
  }

  run(): RingSchedule {
    const endMs = this.#instantOf(this.#case);
    if (endMs === undefined) {
      throw new CodedError('NOT_BROKEN', `expected a run that breaks "${this.#breach}"; none did`);
    }
    this.#take(endingAt(this.#case, endMs));
    for (let before = ''; before !== JSON.stringify(this.#case); ) {
      before = JSON.stringify(this.#case);
      this.#beginLater();
      this.#fewer(membersOf(this.#case), kept => withMembers(this.#case, new Set(kept)));
      this.#fewer(this.#case.records ?? [], records => ({ ...this.#case, records }));
      this.#fewerEvents(({ type }) => type === 'put' || type === 'get' || type === 'lookup');
      this.#fewerEvents(() => true);
      const { loss, recursive, ...plainer } = this.#case;
      if (loss !== undefined || recursive) this.#try(plainer);
    }
    return this.#case;
  }

  #beginLater(): void {
    for (const leadMs of LEADS_MS) {
      const startMs = Math.floor(this.#case.endMs - leadMs);
      if (startMs <= 0 || this.#try(beginningAt(this.#case, startMs))) return;
    }
  }

  #fewerEvents(concerned: (event: RingEvent) => boolean): void {
    const { events } = this.#case;
    const rest = new Set(events.filter(event => !concerned(event)));
    this.#fewer(events.filter(concerned), kept => {
      const here = new Set(kept);
      const all = this.#case.events;
      return { ...this.#case, events: all.filter(event => rest.has(event) || here.has(event)) };
    });
  }

  /** Leaves out as many as can be: halves, quarters and so on, at last each by itself. */
  #fewer<T>(items: readonly T[], having: (kept: readonly T[]) => RingSchedule): void {
    let kept = items;
    for (let size = Math.ceil(kept.length / 2); size > 0; size = smaller(size)) {
      for (let at = 0; at < kept.length; ) {
        const fewer = [...kept.slice(0, at), ...kept.slice(at + size)];
        if (this.#try(having(fewer))) kept = fewer;
        else at += size;
      }
    }
  }

  #try(candidate: RingSchedule): boolean {
    if (candidate.members.length === 0) return false;
    const { delays = 0 } = candidate;
    for (let i = 0; i < DELAYS; i++) {
      const tried = i === 0 ? candidate : { ...candidate, delays: (delays + i) % DELAYS };
      const endMs = this.#instantOf(tried);
      if (endMs === undefined) continue;
      this.#take(endingAt(tried, endMs));
      return true;
    }
    return false;
  }

  #instantOf(schedule: RingSchedule): number | undefined {
    this.#runs++;
    const ms = instantOf(this.#breach, schedule);
    return ms === undefined ? undefined : Math.ceil(ms);
  }

  #take(smaller: RingSchedule): void {
    this.#case = smaller;
    this.#told(smaller, this.#runs);
  }
}

function smaller(size: number): number {
  return size === 1 ? 0 : Math.ceil(size / 2);
}
