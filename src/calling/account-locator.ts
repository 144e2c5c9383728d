/** Calls to people in the domain of one of our accounts go by way of its server. */
import type { SipUri } from '@sip-stack/parser';
import type { Location, Locator } from '../discovery/locator.js';
import { PROTOCOLS } from '../sip/resolution/plan.js';
import type { Accounts } from './accounts.js';

export class AccountLocator implements Locator {
  readonly #accounts: Accounts;

  constructor(accounts: Accounts) {
    this.#accounts = accounts;
  }

  async locate(target: SipUri): Promise<readonly Location[]> {
    const account = this.#accounts.forTarget(target);
    if (!account) return [];
    const servers = await account.serverTargets();
    // A server that is reached in the clear cannot be asked for what has to be secure all along.
    return servers
      .filter(({ protocol }) => target.scheme === 'sip' || PROTOCOLS[protocol].secure)
      .map(server => ({
        uri: target,
        endpoint: server.endpoint,
        target: server,
        source: 'account',
      }));
  }
}
