/**
 * The rooms wired into one telephone. What it stands on (time, network, randomness, media, discovery)
 * is handed in, so that the very same telephone runs on a board and in the simulator.
 */

import type { SipUri, Uri } from '@sip-stack/parser';
import { AccountLocator } from '../calling/account-locator.js';
import { AccountCredentials, type AccountSettings, Accounts } from '../calling/accounts.js';
import { audioFormats, type CodecName, DEFAULT_CODECS } from '../calling/audio-codecs.js';
import { callerOf } from '../calling/caller.js';
import { Calls, type Destination } from '../calling/calls.js';
import type { EncryptionPolicy } from '../calling/encryption.js';
import { Handset } from '../calling/handset.js';
import { Person } from '../calling/person.js';
import { Referrals } from '../calling/referrals.js';
import type { SilencePolicy } from '../calling/silence.js';
import { MeetingRoom } from '../conference/meeting-room.js';
import type { Clock, Timer } from '../core/clock.js';
import { asError, CodedError } from '../core/errors.js';
import { type Service, ServiceGroup } from '../core/lifecycle.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint, Network, NetworkWatcher } from '../core/network.js';
import type { Random } from '../core/random.js';
import type { Browser } from '../discovery/discovery.js';
import { type Location, type Locator, LocatorChain } from '../discovery/locator.js';
import { foldName } from '../discovery/phone-name.js';
import type { MediaEngine } from '../media/engine.js';
import { RING_SOURCE } from '../overlay/names/contacts.js';
import { EchoTest } from '../services/echo-test.js';
import { Lamp } from '../services/lamp.js';
import { Messages } from '../services/messages/messages.js';
import { PublishedPresence } from '../services/published-presence.js';
import { Watching } from '../services/watching.js';
import { PROTOCOLS, type SipProtocol } from '../sip/resolution/plan.js';
import type { UriResolver } from '../sip/resolver.js';
import type { CallerIdentity } from '../sip/self.js';
import type { UserSettings } from '../sip/server/users.js';
import type { TlsSettings } from '../sip/transport/tls-trust.js';
import type { WebSocketOptions } from '../sip/transport/web-socket.js';
import { UserAgent } from '../sip/user-agent.js';
import type { Store } from '../storage/store.js';
import type { OptionalListen } from './config-listen.js';
import { ServerRole } from './server-role.js';

const PROTOCOL_NAMES = Object.keys(PROTOCOLS) as SipProtocol[];

/** An address rarely comes alone: another goes, a route follows. */
const SETTLING_MS = 100;
/** Whatever goes on changing, others are told by then. */
const LONGEST_SETTLING_MS = 500;

export interface TelephoneSeams {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly logger: Logger;
  readonly media: MediaEngine;
  readonly browser: Browser;
  readonly locator: Locator;
  readonly resolve: UriResolver;
  /** Started and stopped by whoever hands it in. Without one, addresses are taken to stay. */
  readonly watcher?: NetworkWatcher;
}

export interface TelephoneOptions {
  readonly name: string;
  /** For UDP and TCP. */
  readonly listen: Endpoint;
  /** Opened when the phone answers already; what cannot be opened is told as a problem. */
  readonly listenToo?: OptionalListen;
  readonly tls?: TlsSettings;
  readonly webSocket?: WebSocketOptions;
  readonly onProblem?: (error: Error) => void;
  /** The devices of a user came, went or were refreshed. */
  readonly onUserChanged?: (user: string) => void;
  readonly product: string;
  /** Offered and accepted, best first; `DEFAULT_CODECS` by default. */
  readonly codecs?: readonly CodecName[];
  /** Of voice; `auto` by default. */
  readonly srtp?: EncryptionPolicy;
  /** What becomes of the pauses of voices; `send` by default. */
  readonly silence?: SilencePolicy;
  /** At ordinary SIP servers; none by default. */
  readonly accounts?: readonly AccountSettings[];
  /** False: use the accounts for calling, but do not register. */
  readonly register?: boolean;
  /** The URN that names this device to servers; asked for when it registers. */
  readonly instance?: () => string | undefined;
  /** Keeps what should outlive a restart; asked for when the phone starts. */
  readonly store?: () => Store | undefined;
  /** Whether users and accounts of ours may have this phone call somebody (REFER); nobody by default. */
  readonly clickToDial?: boolean;
  /** Who may register ordinary phones and browsers here; nobody by default. */
  readonly users?: readonly UserSettings[];
  /** Who may watch whether this phone is busy and its users are there; anybody by default. */
  readonly watchers?: Watchers;
  /** Calls at once; 100 by default. */
  readonly maxCalls?: number;
  /** Its place in an overlay; none by default. */
  readonly overlay?: OverlayPlace;
}

/** What a telephone in an overlay asks of it, and tells it. */
export interface OverlayPlace {
  /** Who calls, to people of the overlay; undefined while it belongs to none. */
  readonly address: () => { readonly user: string; readonly host: string } | undefined;
  /** Somebody who called was talked to. */
  readonly calledUs: (who: Uri) => void;
}

/** `users`: those of this phone, who prove it by their password. */
export type Watchers = 'anybody' | 'users' | 'nobody';

export interface Listening {
  readonly protocol: SipProtocol;
  readonly endpoint: Endpoint;
}

export class Telephone implements Service {
  readonly userAgent: UserAgent;
  readonly accounts: Accounts;
  readonly calls: Calls;
  readonly person: Person;
  readonly handset: Handset;
  readonly referrals: Referrals;
  readonly room: MeetingRoom;
  readonly media: MediaEngine;
  readonly browser: Browser;
  readonly server: ServerRole;
  readonly messages: Messages;
  readonly lamp: Lamp;
  /** The lamps of other phones. */
  readonly watching: Watching;
  readonly #services: ServiceGroup;
  readonly #overlay: OverlayPlace | undefined;
  /** What it was told to be called, and what it is called on this network after a conflict. */
  readonly #givenName: string;
  #name: string;
  readonly #clock: Clock;
  /** When the network began to change, while it may be at it still. */
  #changedAt: number | undefined;
  #settling: Timer | undefined;

  constructor(seams: TelephoneSeams, options: TelephoneOptions) {
    const { media, logger, browser } = seams;
    this.#clock = seams.clock;
    seams.watcher?.on('change', () => this.#networkChanged());
    this.#givenName = options.name;
    this.#name = options.name;
    this.#overlay = options.overlay;
    this.media = media;
    this.browser = browser;
    const accounts = options.accounts ?? [];
    const authenticator = new AccountCredentials(accounts, seams.random);
    this.userAgent = new UserAgent({
      ...seams,
      ...options,
      authenticator,
      contacts: (user, peer) => this.accounts.contact(user, peer),
    });
    const { instance = () => undefined } = options;
    this.accounts = new Accounts({ ...seams, userAgent: this.userAgent, instance }, accounts);
    this.person = new Person({ isMe: user => this.#isMe(user) });
    this.room = new MeetingRoom(media, logger);
    const destinations: Destination[] = [new EchoTest(media), this.room, this.person];
    this.server = new ServerRole({
      ...seams,
      userAgent: this.userAgent,
      users: options.users ?? [],
      store: options.store ?? (() => undefined),
      realm: options.name,
      names: () => [this.#name, this.#givenName],
      overlay: () => this.#overlay?.address()?.host,
      isPhone: user => destinations.some(destination => destination.answersTo(user)),
      presenceChanged: user => {
        this.lamp.userChanged(user);
        options.onUserChanged?.(user);
      },
    });
    const { userAgent } = this;
    const locator = new LocatorChain([
      new AccountLocator(this.accounts),
      this.server,
      seams.locator,
    ]);
    const identity = (uri: SipUri, at?: Location) => this.#identityToward(uri, at);
    this.messages = new Messages({
      ...seams,
      userAgent,
      locator,
      identity,
      trusts: peer => this.accounts.isServer(peer),
      isMe: user => this.person.answersTo(user),
      store: options.store ?? (() => undefined),
    });
    this.calls = new Calls({
      ...seams,
      userAgent,
      locator,
      identity,
      trusts: peer => this.accounts.isServer(peer),
      onMessage: (call, request, respond) => {
        const forMe = call.direction === 'outgoing' || this.person.answersTo(call.calledUser);
        if (forMe) this.messages.receive(request, call.callId, respond);
        else respond(405);
      },
      formats: audioFormats(options.codecs ?? DEFAULT_CODECS, options.silence),
      encryption: options.srtp ?? 'auto',
      silence: options.silence ?? 'send',
      destinations,
      ...(options.maxCalls !== undefined && { maxCalls: options.maxCalls }),
    });
    const { calls, person } = this;
    calls.on('call', call => {
      if (call.direction === 'outgoing') return;
      call.on('phase', phase => {
        if (phase === 'connected' && call.remoteUri) this.#overlay?.calledUs(call.remoteUri);
      });
    });
    this.referrals = new Referrals({
      userAgent,
      calls,
      person,
      locator,
      identity,
      admit: (refer, { source }) => {
        if (!options.clickToDial) return 403;
        const ours =
          this.accounts.isServer(source) && this.accounts.owns(callerOf(refer, true).uri);
        return ours ? undefined : this.server.prove(refer, source);
      },
    });
    this.handset = new Handset({ calls, person, locator, clock: seams.clock });
    this.lamp = new Lamp({
      calls,
      notifier: userAgent.notifier,
      name: () => this.#name,
      isMe: user => person.answersTo(user),
      isService: user => destinations.some(destination => destination.answersTo(user)),
      others: () => this.server.presence,
      refusal: (request, source) => {
        if ((options.watchers ?? 'anybody') === 'anybody') return undefined;
        return options.watchers === 'nobody' ? 403 : this.server.refusalToWatch(request, source);
      },
    });
    const published = new PublishedPresence({
      ...seams,
      userAgent,
      accounts: this.accounts,
      lamp: this.lamp,
      addresses: accounts.filter(({ presence }) => presence).map(({ aor }) => aor),
    });
    const { subscriber } = userAgent;
    this.watching = new Watching({ ...seams, subscriber, locator, identity });
    browser.on('up', () => this.watching.phoneSeen());
    browser.on('changed', () => this.watching.phoneSeen());
    // The user agent stops before media: calls are hung up while it still stands. It starts before what
    // takes longer to load: a phone answers as soon as it can.
    this.#services = new ServiceGroup([
      media,
      this.userAgent,
      this.server,
      this.messages,
      browser,
      // Before the accounts: a server is told where we listen.
      { start: () => this.#listenToo(options), stop: async () => undefined },
      {
        start: async () => {
          if (options.register ?? true) this.accounts.start();
        },
        stop: () => this.accounts.stop(),
      },
      // Stops before the accounts, while its servers still know us.
      published,
    ]);
  }

  get name(): string {
    return this.#name;
  }

  /** Where it takes SIP, by protocol. */
  get listening(): readonly Listening[] {
    const { transports } = this.userAgent;
    return PROTOCOL_NAMES.flatMap(protocol => {
      const endpoint = transports.local(protocol);
      return endpoint ? [{ protocol, endpoint }] : [];
    });
  }

  /** The network has given this phone another name, since its own was taken. */
  rename(name: string): void {
    this.#name = name;
  }

  start(signal?: AbortSignal): Promise<void> {
    return this.#services.start(signal);
  }

  /** Addresses or links came or went: calls go on where we are now, and whoever has to know that hears it. */
  #networkChanged(): void {
    this.#changedAt ??= this.#clock.now();
    this.#settling?.cancel();
    const longest = this.#changedAt + LONGEST_SETTLING_MS - this.#clock.now();
    this.#settling = this.#clock.after(Math.min(SETTLING_MS, longest), () => {
      this.#changedAt = undefined;
      // Accounts first: what they have registered is not where calls go on.
      this.accounts.networkChanged();
      this.userAgent.networkChanged();
      this.calls.networkChanged();
    });
  }

  async stop(): Promise<void> {
    this.#settling?.cancel();
    this.calls.hangUpAll();
    await this.#services.stop();
  }

  async #listenToo({ listenToo = {}, tls, onProblem }: TelephoneOptions): Promise<void> {
    const { transports } = this.userAgent;
    const identity = tls?.identity;
    for (const [name, endpoint] of Object.entries(listenToo)) {
      const protocol = name as keyof OptionalListen;
      try {
        // Who connects must not be the first to learn that there is no key.
        if (PROTOCOLS[protocol].secure && typeof identity === 'function') await identity();
        await transports.listen(protocol, endpoint);
      } catch (error) {
        onProblem?.(notListening(protocol, error));
      }
    }
  }

  #isMe(user: string): boolean {
    const called = foldName(user);
    if (called === foldName(this.#name) || called === foldName(this.#givenName)) return true;
    return this.accounts.has(user) || called === foldName(this.#overlay?.address()?.user ?? '');
  }

  /** In the domain of an account one calls by its address, and people of the overlay by one's name there. */
  #identityToward(uri: SipUri, at: Location | undefined): CallerIdentity {
    const overlay = at?.source === RING_SOURCE ? this.#overlay?.address() : undefined;
    if (overlay) return overlay;
    const account = this.accounts.forTarget(uri);
    const { user = this.#name, host } = account?.aor ?? {};
    const route = account?.route ?? [];
    return { user, ...(host !== undefined && { host }), ...(route.length > 0 && { route }) };
  }
}

function notListening(protocol: SipProtocol, cause: unknown): CodedError {
  const remedy = cause instanceof CodedError ? cause.remedy : undefined;
  const message = `no calls are taken over ${protocol}: ${asError(cause).message}`;
  return new CodedError('NOT_LISTENING', message, {
    cause,
    ...(remedy !== undefined && { remedy }),
  });
}
