/** A call goes on when our address changes: tried until it does, since a network is rarely there at once. */
import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';

/** Before it is tried again: an address without a route yet, a socket that cannot be opened yet. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4000;
/** A route may follow its address later, which nobody tells. */
const LOOK_AGAIN_MS = 1500;

export interface CallRoamingOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Goes to the address that is right now, if it is another; throws where that cannot be yet. */
  readonly move: () => Promise<void>;
}

export class CallRoaming {
  readonly #options: CallRoamingOptions;
  #timer: Timer | undefined;
  #failures = 0;
  #moving = false;
  #again = false;
  #closed = false;

  constructor(options: CallRoamingOptions) {
    this.#options = options;
  }

  /** Addresses or links came or went. */
  networkChanged(): void {
    this.#failures = 0;
    void this.#attempt(true);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** @param looksAgain once more later, where all seems well */
  async #attempt(looksAgain: boolean): Promise<void> {
    if (this.#moving) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#moving = true;
    let pauseMs = looksAgain ? LOOK_AGAIN_MS : undefined;
    try {
      await this.#options.move();
    } catch (error) {
      const reason = asError(error).message;
      this.#options.logger.debug({ reason }, 'a call cannot follow to another address yet');
      pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    }
    this.#moving = false;
    if (this.#closed) return;
    if (this.#again) {
      this.#again = false;
      void this.#attempt(true);
    } else if (pauseMs !== undefined) {
      this.#timer = this.#options.clock.after(
        pauseMs,
        () => void this.#attempt(pauseMs !== LOOK_AGAIN_MS),
      );
    }
  }
}
