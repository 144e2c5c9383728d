/**
 * Who of many is heard, chosen before anything is decoded: the loudest by the level that their packets claim
 * (RFC 6464), or by what was decoded where they claim none. A claim that what was decoded does not bear out is taken for
 * less from then on. Nobody takes the place of another by a claim alone: who would is decoded unheard first.
 */

import { SILENCE_DBOV } from './frame.js';

/** Quieter than this, in dBov, nobody gets a place. */
const HEARD_DBOV = -60;
/** By how much louder one has to be than somebody who has a place. */
const HYSTERESIS_DB = 6;
/** A pause between words costs no place: a level falls by this each frame at most. */
const FALL_DB = 0.5;
/** A claim may be this much too high; levels and voices are measured in different ways. */
const HONEST_DB = 12;
/** How fast a claim of one who is heard is disbelieved, and what a frame forgives of it. */
const DISTRUST = 0.25;
const FORGIVEN_DB = 0.02;
/** For how many frames a claim is good that was borne out. */
const BORNE_OUT_TICKS = 25;
/** Places before all others, in dB. */
const UNPROVEN_DB = 1000;

/** Places in a candidate's numbers: a field of its own would box each. */
const LEVEL = 0;
const EXCESS = 1;

/** One who may speak. */
export class Candidate {
  chosen = false;
  /** To be decoded unheard in this tick: is it as loud as it claims? */
  auditioned = false;
  /** Ticks for which its claim is believed. */
  #good = 0;
  readonly #numbers = Float64Array.of(SILENCE_DBOV, 0);
  #claims = false;

  /** Smoothed, in dBov. */
  get level(): number {
    return this.#numbers[LEVEL]!;
  }

  /** What a claim is too high by, in dB. */
  get excess(): number {
    return this.#numbers[EXCESS]!;
  }

  /** Level as it counts against others: with an advantage for those who have a place. */
  get standing(): number {
    if (this.chosen) return this.level + HYSTERESIS_DB;
    return this.isProven ? this.level : this.level - UNPROVEN_DB;
  }

  get isProven(): boolean {
    return !this.#claims || this.#good > 0;
  }

  /**
   * Before decoding.
   *
   * @param level of the next frame in dBov: `claimed` by its packet, or measured in the frame before
   */
  hear(level: number, claimed: boolean): void {
    this.#claims = claimed;
    if (this.#good > 0) this.#good--;
    const excess = Math.max(0, this.excess - FORGIVEN_DB);
    const now = claimed ? level - excess : level;
    this.#numbers[EXCESS] = excess;
    this.#numbers[LEVEL] = Math.max(now, this.level - FALL_DB, SILENCE_DBOV);
  }

  /** After decoding: does the claim hold? */
  audit(claimed: number, measured: number): void {
    if (!this.#claims) return;
    this.#good = BORNE_OUT_TICKS;
    const tooHigh = claimed - measured;
    const target = tooHigh > HONEST_DB ? tooHigh : 0;
    // Who has a place may be concealed for a moment; who wants one has to be what it says at once.
    const weight = this.chosen ? DISTRUST : 1;
    const excess = this.excess + (target - this.excess) * weight;
    this.#numbers[EXCESS] = excess;
    if (target > 0) this.#numbers[LEVEL] = Math.min(this.level, claimed - excess);
  }
}

export class SpeakerChoice {
  readonly #places: (Candidate | undefined)[];

  /** @param places how many are heard at a time */
  constructor(places: number) {
    this.#places = new Array<Candidate | undefined>(places).fill(undefined);
  }

  /** Marks the chosen ones, by the levels they have now. */
  choose(candidates: readonly { readonly candidate: Candidate }[]): void {
    const places = this.#places;
    places.fill(undefined);
    for (let i = 0; i < candidates.length; i++) {
      let rising: Candidate | undefined = candidates[i]!.candidate;
      if (rising.level < HEARD_DBOV) continue;
      for (let place = 0; place < places.length && rising; place++) {
        const holder: Candidate | undefined = places[place];
        if (holder && holder.standing >= rising.standing) continue;
        places[place] = rising;
        rising = holder;
      }
    }
    this.#audition(candidates);
    for (let i = 0; i < candidates.length; i++) candidates[i]!.candidate.chosen = false;
    for (let place = 0; place < places.length; place++) {
      const holder = places[place];
      if (holder) holder.chosen = true;
    }
  }

  /** The loudest who would have a place, were it only proven; one a tick, so that liars cost little. */
  #audition(candidates: readonly { readonly candidate: Candidate }[]): void {
    const last = this.#places[this.#places.length - 1];
    let loudest: Candidate | undefined;
    for (let i = 0; i < candidates.length; i++) {
      const { candidate } = candidates[i]!;
      candidate.auditioned = false;
      if (!last || candidate.isProven || this.#places.includes(candidate)) continue;
      if (candidate.level < last.level + HYSTERESIS_DB) continue;
      if (!loudest || candidate.level > loudest.level) loudest = candidate;
    }
    if (loudest) loudest.auditioned = true;
  }
}
