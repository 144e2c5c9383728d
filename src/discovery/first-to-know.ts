/**
 * Asks several locators at the same time: the first that knows a location answers, so that one that is slow, or never
 * answers, delays nobody.
 */
import type { SipUri } from '@sip-stack/parser';
import { firstOf } from '../core/signals.js';
import type { Location, Locator } from './locator.js';

export class FirstToKnow implements Locator {
  readonly #locators: readonly Locator[];

  /** @param locators of those that answer at once, the earlier one is believed */
  constructor(locators: readonly Locator[]) {
    this.#locators = locators;
  }

  /** Where none knows a location, but one has thrown, that is thrown. */
  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    const enough = new AbortController();
    const both = firstOf(signal, enough.signal);
    const asked = this.#locators.map(locator => locator.locate(target, both));
    const found = asked.map(async answer => {
      const locations = await answer;
      if (locations.length === 0) throw new Error('knows nothing');
      return locations;
    });
    try {
      return await Promise.any(found);
    } catch {
      signal.throwIfAborted();
      const outcomes = await Promise.allSettled(asked);
      const failed = outcomes.find(outcome => outcome.status === 'rejected');
      if (failed) throw failed.reason;
      return [];
    } finally {
      enough.abort('somebody else knew it');
    }
  }
}
