/**
 * What a phone is to ordinary SIP phones and browsers that register with it: their registrar and their
 * proxy, on the sockets of its user agent.
 */
import {
  Event,
  From,
  formatUri,
  isSipUri,
  parseUri,
  type SipRequest,
  type SipResponse,
  type SipUri,
  sipUri,
  type Uri,
} from '@sip-stack/parser';
import type { Clock } from '../../core/clock.js';
import { formatEndpoint, heardAt, isWildcard, withoutZone } from '../../core/endpoint.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Network } from '../../core/network.js';
import { type Random, randomToken } from '../../core/random.js';
import type { Store } from '../../storage/store.js';
import { byDevice } from '../by-device.js';
import { SipProxy } from '../proxy/proxy.js';
import type { NextHop, Target } from '../proxy/target.js';
import { Registrar } from '../registrar/registrar.js';
import { makeResponse } from '../response.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { Source } from '../transport/transport.js';
import type { UserAgent } from '../user-agent.js';
import { Devices, instanceOf } from './devices.js';
import { Domain } from './domain.js';
import { OwnAddresses } from './own-addresses.js';
import { type Circle, isInDialog, receiverOf, type Way, wayOf } from './policy.js';
import { Registrations } from './registrations.js';
import { type UserSettings, Users } from './users.js';

/** A way to somebody: the Request-URI to use, and where the request is sent. */
export interface Located {
  readonly uri: SipUri;
  readonly hop: NextHop;
  /** Which of a person's devices it is: several are called at once. */
  readonly device?: string;
}

export interface SipServerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly network: Network;
  /** Started; what this server takes comes from a router of it. */
  readonly userAgent: Pick<UserAgent, 'transactions' | 'transports' | 'localEndpointFor' | 'local'>;
  readonly users: readonly UserSettings[];
  /** Keeps registrations over a restart; without one they end with the program. */
  readonly store?: Pick<Store, 'get' | 'set'>;
  /** What passwords are for, as phones show it. */
  readonly realm: string;
  /** Host names of this phone now, such as `kitchen.local`. */
  readonly names: () => readonly string[];
  /** Whether the phone itself, or one of its services, goes by this name; empty for none. */
  readonly isPhone: (user: string) => boolean;
  /** The host that stands for everybody by their names, as `local` does: `sip:NAME@OVERLAY`; none by default. */
  readonly overlay?: () => string | undefined;
  /** Where others are; `sip:NAME@local` is a phone of this network by its name. Best first, or empty. */
  readonly locate: (uri: SipUri) => Promise<readonly Located[]>;
  /** The devices of this user came, went or were refreshed. */
  readonly registered?: (user: string) => void;
}

export interface UserStatus {
  readonly name: string;
  readonly devices: readonly {
    /** `ADDRESS:PORT`, or its Contact where it registered through others. */
    readonly at: string;
    readonly protocol: string | undefined;
    readonly expiresInSeconds: number;
  }[];
}

/** Requests that begin what others follow: those have to pass here too, to reach browsers and devices behind NAT. */
const DIALOG_METHODS = ['INVITE', 'SUBSCRIBE', 'REFER'];

export class SipServer {
  readonly #options: SipServerOptions;
  readonly #users: Users;
  readonly #domain: Domain;
  readonly #devices: Devices;
  readonly #addresses: OwnAddresses;
  readonly #registrar: Registrar;
  readonly #proxy: SipProxy;
  readonly #circle: Circle;
  readonly #registrations: Registrations | undefined;

  constructor(options: SipServerOptions) {
    const { userAgent, isPhone } = options;
    const { transports, transactions } = userAgent;
    this.#options = options;
    this.#users = new Users(options);
    this.#domain = new Domain({ ...options, transports });
    this.#devices = new Devices(transports);
    this.#addresses = new OwnAddresses({
      transports,
      localEndpointFor: remote => userAgent.localEndpointFor(remote),
      fallback: () => this.#anyAddress(),
    });
    this.#circle = {
      includes: uri => this.#domain.includes(uri) || this.#isOfOverlay(uri),
      leadsHere: uri => this.#domain.leadsHere(uri),
      isPhone,
      isDevice: uri => this.#devices.named(uri) !== undefined,
      isUser: uri => this.#userOf(uri) !== undefined,
    };
    this.#registrar = new Registrar({
      ...options,
      hooks: {
        authenticate: async (request, source) =>
          this.#users.authenticate(request, source, 'user-agent'),
        authorize: (user, aor) => this.#mayRegister(user, aor),
        canonical: uri => this.#users.canonical(uri),
        serviceRoute: () => [],
        changed: aor => {
          const uri = parseUri(aor);
          this.#devices.set(aor, this.#registrar.lookup(uri));
          this.#registrations?.changed();
          const user = this.#users.find(isSipUri(uri) ? uri.user : undefined);
          if (user !== undefined) options.registered?.(user);
        },
      },
    });
    const { store } = options;
    const current = () => this.#registrar.kept();
    this.#registrations = store && new Registrations({ ...options, store, current });
    this.#proxy = new SipProxy({
      ...options,
      transactions,
      hooks: {
        admit: (request, source) => this.#admit(request, source),
        targets: request => this.#targets(request),
        resolve: uri => this.#resolve(uri),
        isSelf: uri => this.#domain.leadsHere(uri),
        isResponsible: uri =>
          isSipUri(uri) &&
          (this.#domain.includes(uri) || isPhoneUri(uri) || this.#isOfOverlay(uri)),
        addressFor: hop => this.#addresses.toward(hop),
        recordRoute: ({ method }) => DIALOG_METHODS.includes(method),
      },
    });
  }

  /** Users in the order of the settings, with the devices that can be reached now. */
  get status(): UserStatus[] {
    return this.#options.users.map(({ name }) => ({
      name,
      devices: this.#registrar
        .lookup(this.#users.addressOf(name))
        .filter(contact => this.#devices.reach(contact) !== undefined)
        .map(({ uri, flow, expiresInMs }) => ({
          at: flow ? formatEndpoint(flow.endpoint) : formatUri(uri),
          protocol: flow?.protocol,
          expiresInSeconds: Math.ceil(expiresInMs / 1000),
        })),
    }));
  }

  /**
   * The phones by which a user is reached now, each by what it is told by wherever it registers: its instance, or where
   * it listens and where it comes from. The user part says nothing: some phones have another for each registrar.
   */
  phonesOf(user: string): string[] {
    return this.#registrar
      .lookup(this.#users.addressOf(user))
      .filter(contact => this.#devices.reach(contact) !== undefined)
      .map(contact => {
        const { uri, flow } = contact;
        const place = isSipUri(uri) ? `${uri.host} ${uri.port ?? ''}` : formatUri(uri);
        return instanceOf(contact) ?? `${place} ${withoutZone(flow?.endpoint.address ?? '')}`;
      });
  }

  /** Takes what is for others than the phone itself. */
  take(request: SipRequest, transaction: ServerTransaction | undefined, source: Source): boolean {
    if (this.#isOfPresence(request)) return false;
    const from = request.headers.require(From).uri;
    switch (receiverOf(request, from, this.#circle)) {
      case 'phone':
        return false;
      case 'registrar':
        if (transaction) void this.#registrar.request(request, transaction);
        return true;
      case 'proxy':
        // Nothing can answer an ACK, so none is asked for credentials.
        if (transaction || this.#isParty(wayOf(request, this.#circle), source)) {
          this.#proxy.request(request, transaction, source);
        }
        return true;
    }
  }

  /** The user of ours of that name; undefined where there is none. */
  userNamed(name: string): string | undefined {
    return this.#users.find(name);
  }

  /** Whether a device of this user can be reached now. */
  isRegistered(user: string): boolean {
    return this.#reachable(user).length > 0;
  }

  /** Whose state a PUBLISH tells: they do it themselves, and prove it. */
  publisherOf(
    request: SipRequest,
    source: Source,
  ): { readonly resource: string } | number | SipResponse {
    const owner = this.#userOf(request.uri);
    if (owner === undefined) return 404;
    const proof = this.#users.authenticate(request, source, 'user-agent');
    if (proof.type === 'refused') return proof.response;
    return proof.user === owner ? { resource: owner } : 403;
  }

  /** What users tell of themselves is kept by the phone, which is asked for it. */
  #isOfPresence(request: SipRequest): boolean {
    const { method, headers } = request;
    const publishes = method === 'PUBLISH';
    if (!publishes && method !== 'SUBSCRIBE') return false;
    const asked = publishes || headers.first(Event)?.token.toLowerCase() === 'presence';
    return (
      asked && !isInDialog(request) && this.#userOf(wayOf(request, this.#circle).next) !== undefined
    );
  }

  /** Whoever watches the phone or its users proves to be one of them: a challenge, or undefined where they have. */
  refusalToWatch(request: SipRequest, source: Source): SipResponse | undefined {
    const proof = this.#users.authenticate(request, source, 'user-agent');
    return proof.type === 'refused' ? proof.response : undefined;
  }

  /** Where the phones of a user are, for calls of this phone itself; empty for who is no user of ours. */
  async locateUser(uri: SipUri): Promise<readonly Located[]> {
    const everybody = this.#isOfOverlay(uri) || uri.host.toLowerCase() === 'local';
    const here = everybody || this.#domain.includes(uri);
    const user = here ? this.#users.find(uri.user) : undefined;
    const found = await Promise.all(
      this.#reachable(user).map(async ({ uri, hop }, index) => {
        if (!isSipUri(uri)) return [];
        const hops = hop ? [hop] : await this.#resolve(uri);
        return hops.map(hop => ({ uri, hop, device: `${user} ${index}` }));
      }),
    );
    return found.flat();
  }

  /**
   * Whether a request to the phone itself is proven to be from a user of ours.
   *
   * @returns undefined where it is, else the refusal: 403, or a challenge
   */
  prove(request: SipRequest, source: Source): number | SipResponse | undefined {
    const user = this.#userOf(request.headers.require(From).uri);
    if (user === undefined) return 403;
    const proof = this.#users.authenticate(request, source, 'user-agent');
    if (proof.type === 'refused') return proof.response;
    return proof.user === user ? undefined : 403;
  }

  /** Takes up the registrations there were before a restart, but those of users there are no more. */
  async start(): Promise<void> {
    const kept = (await this.#registrations?.load()) ?? [];
    const addresses = this.#users.names.map(name => formatUri(this.#users.addressOf(name)));
    this.#registrar.restore(kept.filter(({ aor }) => addresses.includes(aor)));
  }

  /** Leaves every request where it stands. */
  async stop(): Promise<void> {
    this.#proxy.stop();
    await this.#registrations?.stop();
    this.#registrar.stop();
  }

  // ---- who may do what

  #mayRegister(user: string, aor: Uri): number | undefined {
    const owner = this.#userOf(aor);
    if (owner === undefined) return 404;
    return owner === user ? undefined : 403;
  }

  /** The user of ours whose address this is. */
  #userOf(uri: Uri): string | undefined {
    return isSipUri(uri) && this.#domain.includes(uri) ? this.#users.find(uri.user) : undefined;
  }

  /** Strangers reach our users and nobody else through here; our users prove who they are. */
  async #admit(request: SipRequest, source: Source): Promise<SipResponse | undefined> {
    await this.#addresses.learn(source);
    const way = wayOf(request, this.#circle);
    const inDialog = isInDialog(request);
    if (inDialog && this.#isParty(way, source)) return undefined;
    const user = this.#userOf(request.headers.require(From).uri);
    if (user === undefined) {
      const here = isSipUri(way.next) && this.#domain.includes(way.next);
      if (here && !inDialog && this.#userOf(way.uri) !== undefined) return undefined;
      return this.#refusal(request, here ? 404 : 403);
    }
    const proof = this.#users.authenticate(request, source, 'proxy');
    if (proof.type === 'refused') return proof.response;
    if (proof.user !== user) return this.#refusal(request, 403);
    this.#users.withholdCredentials(request);
    return undefined;
  }

  /** Whether a request within a dialog is of a registered device, or leads to one. */
  #isParty({ next }: Way, source: Source): boolean {
    return this.#devices.named(next) !== undefined || this.#devices.isSource(source);
  }

  #refusal(request: SipRequest, status: number): SipResponse {
    return makeResponse(request, status, randomToken(this.#options.random, 8));
  }

  // ---- where requests go

  async #targets({ uri, headers }: SipRequest): Promise<readonly Target[] | number> {
    if (!isSipUri(uri)) return 404;
    const overlay = this.#isOfOverlay(uri);
    const here = this.#domain.includes(uri);
    const user = here || overlay ? this.#users.find(uri.user) : undefined;
    if (user !== undefined) {
      const targets = this.#reachable(user, uri.params.get('gr'));
      await this.#learn(targets.flatMap(({ hop }) => hop ?? []));
      // Strangers were told of every place themselves, and are not led on from here.
      const isOurs = this.#userOf(headers.require(From).uri) !== undefined;
      return targets.length > 0 || !isOurs ? targets : this.#elsewhere(user);
    }
    // Who dials a name alone means the phone of that name, wherever it is.
    const host = here ? 'local' : uri.host;
    const named = here || overlay ? sipUri({ user: uri.user, host }) : uri;
    const found = await this.#targetsAt(named);
    return found.length > 0 ? found : 404;
  }

  /** A user of ours whose phones are registered with others of the overlay, which say so. */
  async #elsewhere(user: string): Promise<readonly Target[]> {
    const host = this.#options.overlay?.();
    return host === undefined ? [] : this.#targetsAt(sipUri({ user, host }));
  }

  async #targetsAt(uri: SipUri): Promise<readonly Target[]> {
    const found = await this.#locate(uri);
    await this.#learn(found.map(({ hop }) => hop));
    return byDevice(found).flatMap(([first, ...rest]) =>
      first ? [{ ...targetAt(first), alternates: rest.map(targetAt) }] : [],
    );
  }

  #isOfOverlay({ host }: SipUri): boolean {
    return host.toLowerCase() === this.#options.overlay?.()?.toLowerCase();
  }

  /** A contact that leads here again would go round in circles: it is no target. */
  #reachable(user: string | undefined, gr?: string): Target[] {
    if (user === undefined) return [];
    return this.#registrar
      .lookup(this.#users.addressOf(user))
      .filter(contact => gr === undefined || instanceOf(contact) === gr)
      .map(contact => this.#devices.reach(contact))
      .filter(target => target !== undefined)
      .filter(({ uri, hop }) => hop || !isSipUri(uri) || !this.#domain.leadsHere(uri));
  }

  async #resolve(uri: Uri): Promise<readonly NextHop[]> {
    const device = this.#devices.named(uri);
    const target = device && this.#devices.reach(device);
    if (device && !target) return [];
    const found = isSipUri(uri) && !target?.hop ? await this.#locate(uri) : [];
    const hops = target?.hop ? [target.hop] : found.map(({ hop }) => hop);
    await this.#learn(hops);
    return hops;
  }

  /** Elsewhere than here. */
  async #locate(uri: SipUri): Promise<readonly Located[]> {
    if (uri.host.toLowerCase().endsWith('.invalid')) return [];
    try {
      const found = await this.#options.locate(uri);
      return found.filter(({ hop }) => !this.#domain.listensAt(hop.endpoint));
    } catch (error) {
      this.#options.logger.debug({ reason: asError(error).message }, 'nobody was located');
      return [];
    }
  }

  async #learn(hops: readonly NextHop[]): Promise<void> {
    await Promise.all(hops.map(hop => this.#addresses.learn(hop)));
  }

  #anyAddress() {
    const { network, userAgent } = this.#options;
    const { address, port } = userAgent.local;
    if (!isWildcard(address)) return { address, port };
    const own = heardAt(address, network.addresses());
    const found = own.find(({ internal }) => !internal) ?? own[0];
    return { address: found?.address ?? address, port };
  }
}

function targetAt({ uri, hop }: Located): Target {
  return { uri, hop, q: 1, route: [] };
}

/** `sip:NAME@local`, `sip:USER@NAME.local`: phones of this network, by name. */
function isPhoneUri({ host }: SipUri): boolean {
  const lower = host.toLowerCase();
  return lower === 'local' || lower.endsWith('.local');
}
