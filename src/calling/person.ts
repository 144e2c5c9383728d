/** The person at this phone: calls by its name ring here, until somebody or something answers. */
import type { Call } from './call.js';
import type { Destination } from './calls.js';

/** Talks for the person: takes calls, which ring when they get here, and joins those they make. */
export type Answerer = (call: Call) => void;

export interface PersonOptions {
  /** Whether a user part means this phone. */
  readonly isMe: (user: string) => boolean;
}

export class Person implements Destination {
  readonly joinable = 'by-mixing';
  readonly #options: PersonOptions;
  readonly #ringing = new Set<Call>();
  #answerer: Answerer | undefined;

  constructor(options: PersonOptions) {
    this.#options = options;
  }

  /** Whether calls are answered by somebody now, rather than left ringing. */
  get attended(): boolean {
    return this.#answerer !== undefined;
  }

  answersTo(user: string): boolean {
    // An ordinary phone that calls a bare address (`sip:192.0.2.7`) names nobody.
    return user === '' || this.#options.isMe(user);
  }

  take(call: Call): void {
    this.#ringing.add(call);
    call.on('phase', phase => {
      if (phase !== 'ringing') this.#ringing.delete(call);
    });
    call.once('ended', () => this.#ringing.delete(call));
    call.ring();
    this.#answerer?.(call);
  }

  /** A call of the person's own making is talked on like those that come in. */
  join(call: Call): void {
    this.#answerer?.(call);
  }

  /** Whoever answers here takes part in this call too, though the phone makes it. */
  lend(call: Call): void {
    this.#answerer?.(call);
  }

  /**
   * From now on `answerer` gets every call, those that ring already first.
   *
   * @returns ends that; undefined where somebody else answers already.
   */
  attend(answerer: Answerer): (() => void) | undefined {
    if (this.#answerer) return undefined;
    this.#answerer = answerer;
    for (const call of this.#ringing) answerer(call);
    return () => {
      if (this.#answerer === answerer) this.#answerer = undefined;
    };
  }
}
