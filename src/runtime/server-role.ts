/** The telephone as registrar and proxy of ordinary phones and browsers, where it has users. */
import type { SipRequest, SipResponse, SipUri } from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Service } from '../core/lifecycle.js';
import type { Logger } from '../core/logger.js';
import type { Network } from '../core/network.js';
import type { Random } from '../core/random.js';
import type { Location, Locator } from '../discovery/locator.js';
import { UserPresence } from '../services/presence.js';
import { describeTarget } from '../sip/resolution/plan.js';
import { SipServer, type UserStatus } from '../sip/server/sip-server.js';
import type { UserSettings } from '../sip/server/users.js';
import type { Source } from '../sip/transport/transport.js';
import type { UserAgent } from '../sip/user-agent.js';
import type { Store } from '../storage/store.js';

export interface ServerRoleOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly logger: Logger;
  readonly userAgent: UserAgent;
  readonly users: readonly UserSettings[];
  /** Keeps registrations over a restart; asked for when the phone starts. */
  readonly store: () => Store | undefined;
  /** What the phone was told to be called: what passwords are for. */
  readonly realm: string;
  /** What the phone is called now, first, and what it was told to be called. */
  readonly names: () => readonly string[];
  /** Whether the phone itself, or one of its services, goes by this name; empty for none. */
  readonly isPhone: (user: string) => boolean;
  /** The overlay, by whose name everybody in it is called. */
  readonly overlay?: () => string | undefined;
  /** Where phones of this network and other addresses are. */
  readonly locator: Locator;
  /** What is known of this user's presence is another than before. */
  readonly presenceChanged: (user: string) => void;
}

/** Without users it does nothing. */
export class ServerRole implements Service, Locator {
  readonly #options: ServerRoleOptions;
  #server: SipServer | undefined;
  #presence: UserPresence | undefined;
  #stopped = new AbortController();
  #unroute: (() => void) | undefined;

  /** @throws {CodedError} `NAME_TAKEN` */
  constructor(options: ServerRoleOptions) {
    this.#options = options;
    if (options.users.length > 0) {
      options.userAgent.handle('PUBLISH', (...asked) => this.#presence?.publish(...asked));
    }
    const taken = options.users.find(({ name }) => options.isPhone(name));
    if (!taken) return;
    throw new CodedError(
      'NAME_TAKEN',
      `expected users with names of their own, found "${taken.name}", which this phone answers to itself`,
      { remedy: 'Call this user something else under `users` in the configuration.' },
    );
  }

  get status(): readonly UserStatus[] {
    return this.#server?.status ?? [];
  }

  /** Users with a device that can be reached now, and by which phones. */
  get registered(): readonly { readonly name: string; readonly phones: readonly string[] }[] {
    return this.#options.users
      .map(({ name }) => ({ name, phones: this.#server?.phonesOf(name) ?? [] }))
      .filter(({ phones }) => phones.length > 0);
  }

  async start(): Promise<void> {
    const { store: openStore, ...options } = this.#options;
    const { users, userAgent, names } = options;
    if (users.length === 0) return;
    this.#stopped = new AbortController();
    const store = openStore();
    const server = new SipServer({
      ...options,
      ...(store && { store }),
      names: () => names().map(name => `${name}.local`),
      locate: uri => this.#locateOthers(uri),
      registered: options.presenceChanged,
    });
    this.#presence = new UserPresence({
      ...options,
      owner: user => server.userNamed(user),
      isRegistered: user => server.isRegistered(user),
      publisher: (request, source) => server.publisherOf(request, source),
      changed: options.presenceChanged,
    });
    this.#unroute = userAgent.addRouter((...received) => server.take(...received));
    this.#server = server;
    await server.start();
  }

  async stop(): Promise<void> {
    if (!this.#server) return;
    this.#unroute?.();
    this.#stopped.abort();
    await this.#server.stop();
    this.#presence?.stop();
    this.#presence = undefined;
    this.#server = undefined;
  }

  /** The presence of users; undefined while there are none. */
  get presence(): UserPresence | undefined {
    return this.#presence;
  }

  /** Whether whoever asks has proven to be a user of ours: the refusal or challenge else. */
  refusalToWatch(request: SipRequest, source: Source): SipResponse | number | undefined {
    return this.#server ? this.#server.refusalToWatch(request, source) : 403;
  }

  /** As `SipServer.prove`; without users nobody is one. */
  prove(request: SipRequest, source: Source): number | SipResponse | undefined {
    return this.#server ? this.#server.prove(request, source) : 403;
  }

  /** For the phone's own calls: the devices of a user. */
  async locate(target: SipUri): Promise<readonly Location[]> {
    const found = (await this.#server?.locateUser(target)) ?? [];
    return found.map(({ uri, hop, device }) => ({
      uri,
      endpoint: hop.endpoint,
      target: hop,
      source: 'registrar',
      ...(device !== undefined && { device }),
    }));
  }

  async #locateOthers(uri: SipUri) {
    const found = await this.#options.locator.locate(uri, this.#stopped.signal);
    return found.map(({ uri, endpoint, target, device }) => ({
      uri,
      hop: target ?? { ...describeTarget(uri), endpoint },
      ...(device !== undefined && { device }),
    }));
  }
}
