/** Asks all sources at once who may be a super-node, and hands out whom to try: drives `candidate-book.ts`. */
import { type Clock, sleep, type Timer } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomUnit } from '../../core/random.js';
import type { Candidate, CandidateFailure, CandidateSource } from './candidate.js';
import {
  type BookAction,
  type BookEvent,
  type CandidateBook,
  isSettled,
  newCandidateBook,
  ofNode,
  stepBook,
  wakeAt,
} from './candidate-book.js';

/** So long is waited for the others before strangers are asked: mDNS and SLP answer within a second. */
const LAST_RESORT_MS = 5000;
/** Strangers are not asked again sooner, doubling, unless the network is another or somebody is lost. */
const LAST_RESORT_AGAIN_MS = 15 * 60_000;
const LAST_RESORT_LONGEST_MS = 4 * 3600_000;
/** Sources are not asked again sooner, whoever wants them to be; where nobody is reached, later each time. */
const AGAIN_MS = 10_000;
const LONGEST_AGAIN_MS = 5 * 60_000;
/** A source that fails is asked again after a pause that doubles. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 15 * 60_000;

export interface CandidatesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Name of the overlay. */
  readonly overlay: string;
  /** Of this device, which is no candidate to itself. */
  readonly nodeId?: string;
  readonly sources: readonly CandidateSource[];
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

interface Waiting {
  readonly resolve: (candidate: Candidate) => void;
}

export class Candidates {
  readonly #options: CandidatesOptions;
  readonly #book: CandidateBook;
  readonly #waiting: Waiting[] = [];
  /** Of the search under way. */
  #search: AbortController | undefined;
  readonly #searches = new Set<Promise<void>>();
  /** Of those that are a last resort. */
  #lastResort: AbortController | undefined;
  /** Not before. */
  #lastResortAt = Number.NEGATIVE_INFINITY;
  #lastResortMs = 0;
  #searchedAt = Number.NEGATIVE_INFINITY;
  /** How long after a search the next may begin. */
  #againMs = 0;
  #again: Timer | undefined;
  #timer: Timer | undefined;
  readonly #stopped = new AbortController();

  constructor(options: CandidatesOptions) {
    const { overlay, nodeId, random } = options;
    this.#options = options;
    this.#book = newCandidateBook(overlay, () => randomUnit(random), nodeId);
  }

  /** Begins to ask. */
  start(): void {
    if (!this.#search) this.look();
  }

  /** Ends all searches; resolves when every source has let go. Whoever waits for a candidate is rejected. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#search?.abort();
    this.#lastResort?.abort();
    this.#again?.cancel();
    this.#timer?.cancel();
    await Promise.all(this.#searches);
  }

  /** Whom to try next: waits until there is somebody. Rejects with the signal's reason, or when all is stopped. */
  next(signal: AbortSignal): Promise<Candidate> {
    const ends = [signal, this.#stopped.signal];
    return new Promise((resolve, reject) => {
      const over = ends.find(({ aborted }) => aborted);
      if (over) {
        reject(over.reason);
        return;
      }
      const settle = () => {
        for (const end of ends) end.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        settle();
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#take({ kind: 'unwanted' });
        reject(ends.find(({ aborted }) => aborted)?.reason);
      };
      const waiting: Waiting = {
        resolve: candidate => {
          settle();
          resolve(candidate);
        },
      };
      for (const end of ends) end.addEventListener('abort', onAbort);
      this.#waiting.push(waiting);
      this.#take({ kind: 'wanted' });
    });
  }

  /** Whom to try, one after the other, until the signal or `stop`. */
  async *stream(signal: AbortSignal): AsyncGenerator<Candidate, void, undefined> {
    const isOver = () => signal.aborted || this.#stopped.signal.aborted;
    while (!isOver()) {
      try {
        yield await this.next(signal);
      } catch (error) {
        if (isOver()) return;
        throw error;
      }
    }
  }

  /** It is a super-node of our overlay. With its node ID, its other addresses are not tried. */
  proved(candidate: Candidate): void {
    for (const source of this.#options.sources) source.proved?.(candidate);
    this.#take({ kind: 'proved', candidate });
  }

  /** It is none, or none any more; it is tried again after a pause that grows. */
  failed(candidate: Candidate, reason: CandidateFailure = 'no-answer'): void {
    for (const source of this.#options.sources) source.failed?.(candidate);
    this.#take({ kind: 'failed', candidate, reason });
  }

  /** It is no super-node, or none any more: it is tried again like others that failed, soon where it is heard again. */
  gone(nodeId: string): void {
    for (const candidate of ofNode(this.#book, nodeId))
      for (const source of this.#options.sources) source.failed?.(candidate);
    this.#take({ kind: 'gone', nodeId });
  }

  /** None of those that were proved serves us: others are tried as fast as at the start, until one is proved. */
  hurry(): void {
    this.#take({ kind: 'hurried' });
  }

  /** Another network: everybody is worth an attempt again, and sources are asked again. */
  networkChanged(): void {
    this.#take({ kind: 'network' });
    this.#anew();
    this.look();
  }

  /** Asks the sources again: at once, or later where that was just done, and nobody was reached by it. */
  look(): void {
    if (this.#stopped.signal.aborted || this.#again) return;
    const { clock } = this.#options;
    const waitMs = this.#searchedAt + Math.max(AGAIN_MS, this.#againMs) - clock.now();
    if (waitMs <= 0) {
      this.#begin();
      return;
    }
    this.#again = clock.after(waitMs, () => {
      this.#again = undefined;
      this.#begin();
    });
  }

  #begin(): void {
    const { clock, sources } = this.#options;
    this.#againMs = Math.min(Math.max(AGAIN_MS, 2 * this.#againMs), LONGEST_AGAIN_MS);
    this.#searchedAt = clock.now();
    this.#search?.abort();
    this.#search = new AbortController();
    for (const source of sources)
      if (!source.lastResort) this.#track(this.#keepAsking(source, this.#search.signal));
    if (isSettled(this.#book) || this.#lastResortAt > clock.now()) return;
    const pauseMs = Math.max(LAST_RESORT_AGAIN_MS, 2 * this.#lastResortMs);
    this.#lastResortMs = Math.min(pauseMs, LAST_RESORT_LONGEST_MS);
    this.#lastResortAt = clock.now() + this.#lastResortMs;
    this.#lastResort?.abort();
    this.#lastResort = new AbortController();
    for (const source of sources)
      if (source.lastResort) this.#track(this.#askLast(source, this.#lastResort.signal));
  }

  /** What was in vain before need not be now. */
  #anew(): void {
    this.#againMs = 0;
    this.#lastResortAt = Number.NEGATIVE_INFINITY;
    this.#lastResortMs = 0;
    this.#again?.cancel();
    this.#again = undefined;
  }

  #track(search: Promise<void>): void {
    this.#searches.add(search);
    void search.finally(() => this.#searches.delete(search));
  }

  async #askLast(source: CandidateSource, signal: AbortSignal): Promise<void> {
    try {
      await sleep(this.#options.clock, LAST_RESORT_MS, signal);
    } catch {
      return;
    }
    await this.#keepAsking(source, signal);
  }

  async #keepAsking(source: CandidateSource, signal: AbortSignal): Promise<void> {
    const { clock, logger, overlay } = this.#options;
    const found = (candidate: Candidate) => {
      if (!signal.aborted) this.#take({ kind: 'found', candidate });
    };
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        await source.search({ overlay, found, signal });
        return;
      } catch (error) {
        if (signal.aborted) return;
        logger.info({ source: source.name, error }, 'no super-nodes are found this way for now');
      }
      try {
        await sleep(clock, pauseMs, signal);
      } catch {
        return;
      }
    }
  }

  #take(event: DistributiveOmit<BookEvent, 'now'>): void {
    const now = this.#options.clock.now();
    for (const action of stepBook(this.#book, { ...event, now })) this.#perform(action);
    this.#timer?.cancel();
    const at = wakeAt(this.#book);
    if (at === Number.POSITIVE_INFINITY || this.#stopped.signal.aborted) return;
    this.#timer = this.#options.clock.after(Math.max(0, at - now), () =>
      this.#take({ kind: 'due' }),
    );
  }

  #perform(action: BookAction): void {
    switch (action.kind) {
      case 'try':
        this.#waiting.shift()?.resolve(action.candidate);
        return;
      case 'settled':
        this.#anew();
        this.#lastResort?.abort();
        return;
      case 'lost':
        this.#anew();
        this.look();
        return;
    }
  }
}
