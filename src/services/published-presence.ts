/** Tells the servers of accounts whether the phone can be reached or is on the phone, where the settings ask for it (RFC 3903). */
import { formatUri, Params, type SipUri, sipUri } from '@sip-stack/parser';
import type { Accounts } from '../calling/accounts.js';
import type { Clock } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Service } from '../core/lifecycle.js';
import type { Logger } from '../core/logger.js';
import type { Random } from '../core/random.js';
import { PRESENCE } from '../sip/events/package.js';
import { Publisher } from '../sip/events/publisher.js';
import type { UserAgent } from '../sip/user-agent.js';
import type { Lamp } from './lamp.js';

/** How long stopping waits for a server to hear that there is nothing more to tell. */
const LEAVE_WITHIN_MS = 1000;

export interface PublishedPresenceOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly userAgent: UserAgent;
  readonly accounts: Accounts;
  readonly lamp: Lamp;
  /** Addresses of the accounts whose servers are told. */
  readonly addresses: readonly SipUri[];
}

export class PublishedPresence implements Service {
  readonly #options: PublishedPresenceOptions;
  /** By the address, once it is registered. */
  readonly #publishers = new Map<string, Publisher>();

  constructor(options: PublishedPresenceOptions) {
    this.#options = options;
    const { accounts, lamp, addresses } = options;
    accounts.on('status', ({ aor, phase }) => {
      const address = addresses.find(address => formatUri(address) === aor);
      if (phase === 'registered' && address) this.#begin(aor, address);
    });
    lamp.on('changed', () => {
      for (const publisher of this.#publishers.values()) publisher.changed();
    });
  }

  async start(): Promise<void> {
    this.#publishers.clear();
  }

  async stop(): Promise<void> {
    const publishers = [...this.#publishers.values()];
    this.#publishers.clear();
    await Promise.all(publishers.map(publisher => publisher.stop(LEAVE_WITHIN_MS)));
  }

  #begin(aor: string, address: SipUri): void {
    if (this.#publishers.has(aor)) return;
    const { lamp } = this.#options;
    const publisher = new Publisher({
      ...this.#options,
      package: PRESENCE,
      content: () => lamp.presenceOf(aor),
      send: (headers, body) => this.#send(address, headers, body),
    });
    this.#publishers.set(aor, publisher);
    publisher.changed();
  }

  async #send(address: SipUri, headers: Readonly<Record<string, string>>, body: Uint8Array) {
    const { accounts, userAgent } = this.#options;
    const [to] = (await accounts.forTarget(address)?.serverTargets()) ?? [];
    const { scheme, user, host } = address;
    const uri = sipUri({ scheme, user, host });
    if (!to) throw new CodedError('NO_ROUTE', `${formatUri(uri)} has no server to publish at`);
    const from = { uri, params: new Params() };
    return userAgent.request({ method: 'PUBLISH', uri, to, from, headers, body });
  }
}
