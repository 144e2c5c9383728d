/** "Where is this address now?", asked of the LAN, the ring and ordinary SIP in turn. */
import type { SipUri } from '@sip-stack/parser';
import type { Endpoint } from '../core/network.js';
import type { Target } from '../sip/transport/transport.js';

/** One place where a call to the address may be sent. */
export interface Location {
  /** The Request-URI to use there. */
  readonly uri: SipUri;
  /** Where the request is sent. */
  readonly endpoint: Endpoint;
  /** How, where the URI does not say: DNS may name a protocol (RFC 3263). */
  readonly target?: Target;
  /** Who said so: `lan`, `address`, … */
  readonly source: string;
  /**
   * Which of a person's devices is reached there. Places of several devices are called at once, those of one in turn;
   * places that name none are all called in turn.
   */
  readonly device?: string;
  /** Known from before and perhaps not true any more: where nobody answers there, ask the locator again. */
  readonly remembered?: boolean;
  /** To be called where nobody answered there: whoever said so may look again. */
  readonly unreached?: () => void;
  /** To be called where a call was answered there: whoever said so may remember whom we talked to. */
  readonly answered?: () => void;
}

export interface Locator {
  /**
   * All known locations, best first; empty where this locator cannot say.
   * Resolves as soon as the answer is known; gives up by itself within a stated time.
   */
  locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]>;
}

/** Asks each locator in turn; the first that knows a location answers. */
export class LocatorChain implements Locator {
  readonly #locators: readonly Locator[];

  constructor(locators: readonly Locator[]) {
    this.#locators = locators;
  }

  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    for (const locator of this.#locators) {
      signal.throwIfAborted();
      const locations = await locator.locate(target, signal);
      if (locations.length > 0) return locations;
    }
    return [];
  }
}
