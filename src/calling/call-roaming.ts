/** A call goes on when our address changes: tried until it does, since a network is rarely there at once. */
import type { SipUri } from '@sip-stack/parser';
import type { Clock, Timer } from '../core/clock.js';
import { sameEndpoint } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Location, Locator } from '../discovery/locator.js';
import type { SipSession } from '../sip/session/session.js';
import type { UserAgent } from '../sip/user-agent.js';
import type { CallMedia } from './call-media.js';

/** Before it is tried again: an address without a route yet, a socket that cannot be opened yet. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4000;
/** A route may follow its address later, which nobody tells. */
const LOOK_AGAIN_MS = 1500;

/** What is to follow. */
export interface RoamingCall {
  readonly session: SipSession | undefined;
  readonly media: CallMedia;
  readonly target: string;
  /** Whom we called; undefined where they called us. */
  readonly uri: SipUri | undefined;
  /** Where we called them. */
  readonly location: Location | undefined;
}

export interface CallRoamingOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly userAgent: Pick<UserAgent, 'localEndpointFor'>;
  readonly locator: Locator;
  /** As it is now. */
  readonly call: () => RoamingCall;
}

export class CallRoaming {
  readonly #options: CallRoamingOptions;
  #timer: Timer | undefined;
  #failures = 0;
  #moving = false;
  #again = false;
  readonly #closed = new AbortController();

  constructor(options: CallRoamingOptions) {
    this.#options = options;
  }

  /** Addresses or links came or went. */
  networkChanged(): void {
    this.#failures = 0;
    void this.#attempt(true);
  }

  close(): void {
    // Without a reason one would be made, with a stack that nobody reads.
    this.#closed.abort('the call has ended');
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
      await this.#move();
    } catch (error) {
      const reason = asError(error).message;
      this.#options.logger.debug({ reason }, 'a call cannot follow to another address yet');
      pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    }
    this.#moving = false;
    if (this.#closed.signal.aborted) return;
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

  /**
   * Goes to the address that is right now, if it is another; throws where that cannot be yet. Media first: what the
   * other side is told then is so.
   */
  async #move(): Promise<void> {
    const { call, userAgent, logger } = this.#options;
    const { session, media } = call();
    if (!session) return;
    const local = await userAgent.localEndpointFor(session.hop);
    if (session !== call().session) return;
    if (sameEndpoint(local, session.local)) {
      if (session.unheard) await this.#findAgain(session);
      return;
    }
    const goesOn = await media.move(local.address);
    if (session !== call().session) return;
    const { target } = call();
    logger.info({ target, address: local.address }, 'a call goes on at another address');
    session.move(local, goesOn ? media.offer() : undefined);
  }

  /** Both may have moved at once: whom we called is looked for by name again. Throws while nobody hears us. */
  async #findAgain(session: SipSession): Promise<void> {
    const { call, locator } = this.#options;
    const { uri, location, target } = call();
    const locations = uri ? await locator.locate(uri, this.#closed.signal) : [];
    // Only phones of this network, and devices of the overlay, are where their names lead, rather than behind it.
    const device = location?.device;
    const seen = locations.filter(
      place =>
        place.source === 'lan' || (place.source === 'ring' && device && place.device === device),
    );
    const elsewhere = seen.find(({ endpoint }) => endpoint.address !== session.hop);
    if (elsewhere && session.unheard) session.relocate(elsewhere.endpoint);
    else if (session.unheard) seen[0]?.unreached?.();
    throw new CodedError('UNHEARD', `${target} has not answered yet where we are now`);
  }
}
