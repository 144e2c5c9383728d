/** A phone as `ringline run` keeps it: a telephone with a memory, an identity, a name on the network. */
import { EventEmitter } from 'node:events';
import { isIPv6 } from 'node:net';
import { autoAnswer } from '../calling/auto-answer.js';
import type { Call } from '../calling/call.js';
import { parseDialled } from '../calling/dialled.js';
import { formatEndpoint, heardAt, isLinkLocal, isWildcard } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import { type Service, ServiceGroup } from '../core/lifecycle.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint } from '../core/network.js';
import type { Locator } from '../discovery/locator.js';
import { hostNameOf, MdnsAdvertiser } from '../discovery/mdns/mdns-advertiser.js';
import { instanceUrnOf } from '../identity/identity.js';
import { StoredIdentity } from '../identity/stored-identity.js';
import { phoneCertificateNames, StoredTlsIdentity } from '../identity/stored-tls-identity.js';
import { loadNative } from '../native/index.js';
import type { Way } from '../overlay/names/contacts.js';
import type { TextMessage } from '../services/messages/inbox-machine.js';
import type { SipProtocol } from '../sip/resolution/plan.js';
import { FileStore } from '../storage/file-store.js';
import type { Store } from '../storage/store.js';
import type { Settings } from './config-settings.js';
import { type ControlRequest, controlSocketPath } from './control-protocol.js';
import { type ControlConnection, type ControlHandler, ControlServer } from './control-server.js';
import { OverlayAnnouncer, overlaySources } from './overlay-discovery.js';
import { OverlayRole } from './overlay-role.js';
import type { CallStatus, PhoneStatus } from './phone-status.js';
import { type System, systemSeams } from './system.js';
import { Telephone } from './telephone.js';
import { tlsSettings, webSocketOptions } from './tls-policy.js';
import { productName, programVersion } from './version.js';

export interface PhoneEvents {
  /** The name others see, when it is settled and whenever it changes. */
  named: [name: string];
  /** Something that does not stop the phone, but that its owner should know. */
  problem: [error: Error];
}

export class Phone extends EventEmitter<PhoneEvents> implements Service {
  readonly telephone: Telephone;
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #system: System;
  readonly #advertiser: MdnsAdvertiser;
  readonly #control: ControlServer;
  readonly #services: ServiceGroup;
  readonly #overlay: OverlayRole;
  #store: Store | undefined;
  #identity: StoredIdentity | undefined;
  #joining: Promise<void> | undefined;
  #tlsIdentity: StoredTlsIdentity | undefined;
  #deviceId = '';
  #bootCount = 0;
  #startedAt = 0;

  constructor(settings: Settings, logger: Logger) {
    super();
    this.#settings = settings;
    this.#logger = logger;
    const ring: Locator = { locate: (...asked) => this.#overlay.locate(...asked) };
    this.#system = systemSeams(logger, { ring, mediaThreads: settings.mediaThreads });
    this.telephone = new Telephone(this.#system, {
      ...settings,
      tls: tlsSettings(settings.tls, () => this.#tls().identity()),
      webSocket: webSocketOptions(settings.origins),
      onProblem: error => this.emit('problem', error),
      onUserChanged: () => this.#overlay.usersChanged(),
      overlay: {
        // Users of the configuration are asked about before there is an overlay.
        address: () => (this.#overlay as OverlayRole | undefined)?.address,
        calledUs: who => this.#overlay.met(who, true),
      },
      product: productName(),
      store: () => this.#store,
      instance: () => instanceUrnOf(this.#deviceId),
    });
    this.#advertiser = new MdnsAdvertiser(this.#system);
    this.#advertiser.on('named', name => {
      this.telephone.rename(name);
      this.#overlay.changed();
      this.emit('named', name);
    });
    this.#overlay = new OverlayRole({
      ...this.#system,
      userAgent: this.telephone.userAgent,
      role: settings.overlayRole === 'off' ? 'never' : settings.overlayRole,
      keepsRecords: true,
      store: () => this.#opened,
      identity: () => this.#makeIdentity(),
      givenName: settings.name,
      phoneName: () => this.telephone.name,
      reachableAt: () => this.#ways,
      linksAt: () => this.#linksAt,
      users: () => this.telephone.server.registered,
      sources: (_overlay, remembered) => [
        ...overlaySources(this.#system, settings.overlaySearch),
        remembered,
      ],
      announcer: overlay =>
        new OverlayAnnouncer({
          ...this.#system,
          overlay,
          listen: settings.listen.address,
          search: settings.overlaySearch,
          advertiser: this.#advertiser,
          onProblem: error => this.emit('problem', error),
        }),
      phonesSeen: () => this.telephone.browser.phones().length,
      lacksKind: () => this.#lacksKind,
    });
    this.#overlay.on('problem', error => this.emit('problem', error));
    this.#system.watcher.on('change', () => this.#overlay.changed());
    this.telephone.accounts.on('status', ({ aor, phase, answer }) => {
      if (phase === 'failed') this.emit('problem', accountProblem(aor, answer));
    });
    this.#advertiser.on('problem', error => this.emit('problem', error));
    this.#control = new ControlServer(controlSocketPath(settings.data), this.#serve);
    this.#services = new ServiceGroup([
      { start: () => this.#openStore(), stop: async () => this.#store?.close() },
      this.#control,
      { start: () => this.#readIdentity(), stop: async () => undefined },
      this.#system.watcher,
      this.telephone,
      { start: () => this.#advertise(), stop: () => this.#advertiser.stop() },
      {
        // Nothing waits for it: a phone takes calls before it has found anybody.
        start: async () => {
          if (settings.overlayRole !== 'off') this.#joining = this.#joinOverlay();
        },
        stop: async () => {
          await this.#joining;
          await this.#overlay.stop();
        },
      },
    ]);
  }

  /** `ADDRESS:PORT` where others reach it, one for each address it listens on. */
  get reachableAt(): string[] {
    return this.#endpoints.map(formatEndpoint);
  }

  /** Those of one link alone are worth telling people where there are no others. */
  get #endpoints(): Endpoint[] {
    const own = this.#reachable(this.telephone.userAgent.local);
    const routed = own.filter(each => !isLinkLocal(each.address));
    return routed.length > 0 ? routed : own;
  }

  /** Every way by which calls come: UDP first. */
  get #ways(): Way[] {
    return this.telephone.listening.flatMap(({ protocol, endpoint }) =>
      this.#reachable(endpoint).map(each => ({ protocol, endpoint: each })),
    );
  }

  /** Where others of the overlay open links to us: over TLS, or by TCP where that is not spoken. */
  get #linksAt(): Way[] {
    const ways = this.#ways.filter(({ endpoint }) => !this.#isInternal(endpoint));
    const by = (wanted: SipProtocol) => ways.filter(({ protocol }) => protocol === wanted);
    const overTls = by('TLS');
    return overTls.length > 0 ? overTls : by('TCP');
  }

  get #lacksKind(): boolean {
    const own = new Set(this.#linksAt.map(({ endpoint }) => isIPv6(endpoint.address)));
    return this.telephone.browser
      .phones()
      .filter(({ deviceId }) => deviceId !== undefined && deviceId !== this.#deviceId)
      .flatMap(({ endpoints }) => endpoints)
      .some(endpoint => !this.#isInternal(endpoint) && !own.has(isIPv6(endpoint.address)));
  }

  #isInternal({ address }: Endpoint): boolean {
    const own = this.#system.network.addresses().find(entry => entry.address === address);
    return own?.internal ?? false;
  }

  #reachable({ address, port }: Endpoint): Endpoint[] {
    if (!isWildcard(address)) return [{ address, port }];
    return heardAt(address, this.#system.network.addresses())
      .filter(({ internal }) => !internal)
      .map(entry => ({ address: entry.address, port }));
  }

  async start(signal?: AbortSignal): Promise<void> {
    this.#startedAt = this.#system.clock.now();
    await this.#services.start(signal);
  }

  async stop(): Promise<void> {
    // Nobody is to call it any more: leaving the ring takes seconds.
    await this.#advertiser.stop();
    await this.#services.stop();
  }

  async #openStore(): Promise<void> {
    this.#store = await FileStore.open({
      directory: this.#settings.data,
      onDamage: problem => this.emit('problem', problem),
    });
  }

  /** That the ring cannot be joined stops nothing else. */
  async #joinOverlay(): Promise<void> {
    try {
      await this.#overlay.start();
    } catch (error) {
      this.emit('problem', asError(error));
    }
  }

  #makeIdentity(): StoredIdentity {
    const { random } = this.#system;
    this.#identity ??= new StoredIdentity({ store: this.#opened, random });
    return this.#identity;
  }

  get #opened(): Store {
    if (!this.#store) throw new Error('the store opens before anybody reads or writes');
    return this.#store;
  }

  async #readIdentity(): Promise<void> {
    const identity = this.#makeIdentity();
    this.#deviceId = await identity.deviceId();
    this.#bootCount = await identity.bootCount();
  }

  /** What it shows over TLS, unless the configuration brings something else. */
  #tls(): StoredTlsIdentity {
    const { random } = this.#system;
    const names = phoneCertificateNames(this.#settings.name, hostNameOf(this.#deviceId));
    this.#tlsIdentity ??= new StoredTlsIdentity({ store: this.#opened, random, names });
    return this.#tlsIdentity;
  }

  async #advertise(): Promise<void> {
    const { listening, userAgent } = this.telephone;
    const port = (wanted: SipProtocol) =>
      listening.find(({ protocol }) => protocol === wanted)?.endpoint.port;
    const [TLS, WS, WSS] = [port('TLS'), port('WS'), port('WSS')];
    await this.#advertiser.start({
      name: this.#settings.name,
      address: userAgent.local.address,
      port: userAgent.local.port,
      tcp: port('TCP') === userAgent.local.port,
      ports: { ...(TLS && { TLS }), ...(WS && { WS }), ...(WSS && { WSS }) },
      deviceId: this.#deviceId,
    });
  }

  async status(): Promise<PhoneStatus> {
    const { telephone } = this;
    const now = this.#system.clock.now();
    return {
      name: telephone.name,
      deviceId: this.#deviceId,
      version: programVersion(),
      pid: process.pid,
      bootCount: this.#bootCount,
      listen: formatEndpoint(telephone.userAgent.local),
      reachableAt: this.reachableAt,
      listening: telephone.listening.map(({ protocol, endpoint }) => {
        return { protocol, at: formatEndpoint(endpoint) };
      }),
      upSeconds: Math.round((now - this.#startedAt) / 1000),
      calls: await Promise.all(telephone.calls.current.map(call => callStatus(call, now))),
      roomMembers: telephone.room.members.length,
      attended: telephone.person.attended,
      newMessages: telephone.messages.unseen.length,
      accounts: telephone.accounts.status,
      users: telephone.server.status,
      watchers: telephone.userAgent.notifier.status,
      watched: telephone.watching.lamps.map(({ target, lamp }) => ({ name: target, lamp })),
      overlay: this.#overlay.status,
      phones: telephone.browser
        .phones()
        .filter(({ deviceId }) => deviceId !== this.#deviceId)
        .map(({ name }) => name),
      residentMegabytes: Math.round(process.memoryUsage.rss() / 2 ** 20),
      sip: { ...telephone.userAgent.statistics },
      dscp: loadNative() !== undefined,
    };
  }

  readonly #serve: ControlHandler = async (request, connection) => {
    switch (request.method) {
      case 'status':
        connection.send({ event: 'status', status: await this.status() });
        connection.end();
        return;
      case 'answer':
        this.#attend(request.audio, connection);
        return;
      case 'press': {
        const { target } = await this.telephone.handset.press(request.pressed);
        connection.send({ event: 'done', key: request.pressed.key, with: target });
        connection.end();
        return;
      }
      case 'tell-expelled':
        await this.#tellExpelled(request.overlay, connection);
        return;
      case 'messages':
        this.#showMessages(request, connection);
        return;
      case 'watch':
        this.#watch(request.names, connection);
        return;
    }
  };

  async #tellExpelled(overlay: string, connection: ControlConnection): Promise<void> {
    connection.send({ event: 'told', inRing: await this.#overlay.tellExpelled(overlay) });
    connection.end();
  }

  /** Tells a client the lamps of others for as long as it stays and there are any to watch. */
  #watch(names: readonly string[], connection: ControlConnection): void {
    let watched = 0;
    for (const name of names) {
      const lamp = this.telephone.watching.watch(name);
      this.#overlay.met(parseDialled(name));
      watched++;
      lamp.on('lamp', state => connection.send({ event: 'lamp', name, state }));
      lamp.once('ended', reason => {
        if (reason) {
          const { code, message } = reason;
          connection.send({ event: 'unwatched', name, code, message });
        }
        watched--;
        if (watched === 0) connection.end();
      });
      connection.gone.addEventListener('abort', () => lamp.close());
    }
  }

  #showMessages(
    { all, follow }: Extract<ControlRequest, { method: 'messages' }>,
    connection: ControlConnection,
  ): void {
    const { messages } = this.telephone;
    const send = (message: TextMessage) => connection.send({ event: 'message', message });
    const newer = new Set(messages.unseen.map(({ id }) => id));
    if (all) for (const message of messages.all) if (!newer.has(message.id)) send(message);
    const hide = messages.show(send);
    if (follow) {
      connection.gone.addEventListener('abort', hide);
    } else {
      hide();
      connection.end();
    }
  }

  /** Lets a client answer this phone's calls for as long as it stays. */
  #attend(audio: Parameters<typeof autoAnswer>[1], connection: ControlConnection): void {
    const { media, person, name } = this.telephone;
    const answer = autoAnswer(media, audio, (_call, error) => {
      const { message } = error;
      const code = error instanceof CodedError ? error.code : 'FAILED';
      connection.send({ event: 'error', code, message });
    });
    const leave = person.attend(call => {
      tellCall(call, connection);
      answer(call);
    });
    if (!leave) {
      throw new CodedError('ATTENDED', 'somebody else answers the calls of this phone already', {
        remedy: 'Stop the other `ringline answer` first.',
      });
    }
    connection.gone.addEventListener('abort', leave);
    connection.send({ event: 'ready', name });
    const hide = this.telephone.messages.show(message =>
      connection.send({ event: 'message', message }),
    );
    connection.gone.addEventListener('abort', hide);
    this.#logger.info({ ...audio }, 'calls are answered from now on');
  }
}

function accountProblem(aor: string, answer = 'no answer'): CodedError {
  return new CodedError('NOT_REGISTERED', `${aor} is not registered: ${answer}`, {
    remedy: 'It is tried again by itself; check address, password and server in the configuration.',
  });
}

function tellCall(call: Call, connection: ControlConnection): void {
  const { callId: id, target: from, divertedBy } = call;
  const told = { event: 'call', id, from, ...(divertedBy.length > 0 && { divertedBy }) } as const;
  connection.send({ ...told, phase: call.phase });
  call.on('phase', phase => connection.send({ ...told, phase }));
  call.on('digit', (digit, by) => connection.send({ event: 'digit', id, from, digit, by }));
  call.once('ended', ({ code, message }) => connection.send({ event: 'ended', id, code, message }));
}

async function callStatus(call: Call, now: number): Promise<CallStatus> {
  const { connectedAt } = call;
  // A call may end while it is asked.
  const statistics = await call.statistics().catch(() => undefined);
  return {
    id: call.callId,
    direction: call.direction,
    with: call.target,
    divertedBy: call.divertedBy,
    dialog: call.dialogName,
    phase: call.phase,
    codec: call.format?.name,
    encryption: call.encryption,
    mosHere: statistics?.quality?.mosListening,
    mosThere: statistics?.farEnd?.mosListening,
    lossThere: statistics?.farEnd?.lossFraction,
    seconds: connectedAt === undefined ? undefined : Math.round((now - connectedAt) / 1000),
  };
}

/** For whoever only wants to log it. */
export function describeProblem(error: unknown): string {
  const { message } = asError(error);
  return error instanceof CodedError && error.remedy ? `${message}. ${error.remedy}` : message;
}
