/**
 * Announces this phone by multicast DNS (RFC 6762 §8), over every interface.
 * `@homebridge/ciao` probes, announces and answers; what is done here is to keep the name one that can be
 * dialled, and to bring ciao onto addresses as they come.
 */
import { EventEmitter } from 'node:events';
import { readdir } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { CiaoService, Responder, ServiceOptions } from '@homebridge/ciao';
import type { Clock } from '../core/clock.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { InterfaceAddress, NetworkWatcher } from '../core/network.js';
import type { Advertisement, Advertiser, AdvertiserEvents } from './discovery.js';
import { PORT_KEYS } from './dns-records.js';
import { checkPhoneName, nextName } from './phone-name.js';
import { withinTime } from './within-time.js';

/** Of the TXT record's `v`: what one phone may expect of another. */
export const PROTOCOL_VERSION = 1;
/** Goodbye takes a few milliseconds; no network in trouble holds up the end of the process longer. */
const STOP_WITHIN_MS = 1000;

export interface MdnsAdvertiserOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Without one, a new address is announced within 15 seconds; on an interface new by name never. */
  readonly watcher?: NetworkWatcher;
  /** Names of all interfaces, with or without an address at present. */
  readonly interfaceNames?: () => Promise<readonly string[]>;
}

/** One life of ciao's responder. `begun` settles when its first probing is over. */
interface Presence {
  readonly responder: Responder;
  readonly interfaceNames: readonly string[];
  service: CiaoService;
  /** The same phone by TCP and TLS, once it has its name. */
  others: readonly CiaoService[];
  begun: Promise<void>;
}

export class MdnsAdvertiser extends EventEmitter<AdvertiserEvents> implements Advertiser {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #watcher: NetworkWatcher | undefined;
  readonly #interfaceNames: () => Promise<readonly string[]>;
  #wanted: Advertisement | undefined;
  #presence: Presence | undefined;
  #name: string | undefined;
  /** Openings and closings follow one another. */
  #turn: Promise<void> = Promise.resolve();

  constructor({ clock, logger, watcher, interfaceNames }: MdnsAdvertiserOptions) {
    super();
    this.#clock = clock;
    this.#logger = logger;
    this.#watcher = watcher;
    this.#interfaceNames = interfaceNames ?? systemInterfaceNames;
  }

  get name(): string | undefined {
    return this.#name;
  }

  async start(advertisement: Advertisement): Promise<void> {
    if (this.#wanted) return;
    checkPhoneName(advertisement.name);
    this.#wanted = advertisement;
    this.#watcher?.on('change', this.#networkChanged);
    await this.#inTurn(() => this.#open(advertisement.name));
  }

  async stop(): Promise<void> {
    this.#wanted = undefined;
    this.#watcher?.off('change', this.#networkChanged);
    await this.#inTurn(() => this.#close());
    this.#name = undefined;
  }

  /** Failures are told as `problem`; the next change of the network tries again. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work).catch(error => this.#report(error));
    return this.#turn;
  }

  async #open(name: string): Promise<void> {
    const wanted = this.#wanted;
    if (!wanted) return;
    checkLoopback();
    const { getResponder } = await import('@homebridge/ciao');
    // Given no names, ciao asks `ip link`, starting a child process each time, and misreads `eth0@if5`.
    // An interface is left out until it has an IPv4 address: ciao would never speak on it otherwise.
    const interfaceNames = await this.#interfaceNames();
    const responder = getResponder({ interface: [...interfaceNames], excludeIpv6Only: true });
    const service = responder.createService(serviceOptions(name, wanted));
    const begun = Promise.resolve();
    this.#presence = { responder, interfaceNames, service, others: [], begun };
    this.#advertise(this.#presence, name);
  }

  #advertise(presence: Presence, name: string): void {
    const { responder, service } = presence;
    // ciao would go on as `alice (2)`, which nobody can dial.
    service.once('name-change', () => {
      if (presence.service !== service || !this.#wanted) return;
      const next = nextName(name);
      this.#logger.info({ name, next }, 'another phone has this name');
      for (const each of [service, ...presence.others]) this.#takeBack(each);
      presence.others = [];
      presence.service = responder.createService(serviceOptions(next, this.#wanted));
      this.#advertise(presence, next);
    });
    presence.begun = service.advertise().then(
      () => {
        if (this.#presence !== presence || presence.service !== service) return;
        this.#settle(name);
        this.#announceOthers(presence, name);
      },
      error => this.#report(error),
    );
  }

  /** Whose name it is for UDP was asked; where somebody else has it for another protocol, they keep it. */
  #announceOthers(presence: Presence, name: string): void {
    if (!this.#wanted) return;
    presence.others = otherServices(name, this.#wanted).map(options => {
      const service = presence.responder.createService(options);
      service.once('name-change', () => {
        if (!presence.others.includes(service)) return;
        this.#logger.info({ name, type: options.type }, 'this name is taken for this protocol');
        presence.others = presence.others.filter(other => other !== service);
        this.#takeBack(service);
      });
      service.advertise().catch(error => this.#report(error));
      return service;
    });
  }

  #takeBack(service: CiaoService): void {
    service.destroy().catch(error => this.#report(error));
  }

  #settle(name: string): void {
    if (!this.#wanted || this.#name === name) return;
    this.#name = name;
    this.emit('named', name);
  }

  async #close(): Promise<void> {
    const presence = this.#presence;
    this.#presence = undefined;
    if (!presence) return;
    const farewell = (async () => {
      await Promise.all([presence.service, ...presence.others].map(each => each.destroy()));
      // A responder shut down while it opens its sockets would never close them.
      await presence.begun;
      await presence.responder.shutdown();
    })();
    await withinTime(this.#clock, STOP_WITHIN_MS, farewell);
  }

  readonly #networkChanged = (now: readonly InterfaceAddress[]) => {
    void this.#inTurn(async () => {
      if (!this.#wanted) return;
      const name = this.#name ?? this.#wanted.name;
      const known = this.#presence?.interfaceNames ?? [];
      if (now.every(each => known.includes(each.name)) && this.#presence) {
        await lookAgain(this.#presence.responder);
      } else {
        await this.#close();
        await this.#open(name);
      }
    });
  };

  #report(thrown: unknown): void {
    const error = asError(thrown);
    this.#logger.warn({ error }, 'this phone is not announced on the network');
    this.emit('problem', error);
  }
}

/**
 * The host name a phone announces. The machine's own name may be taken by another responder on it, and is no
 * conflict of phones.
 */
export function hostNameOf(deviceId: string): string {
  return `ringline-${deviceId.replace(/[^0-9A-Za-z]/g, '').slice(0, 32) || 'phone'}.local`;
}

function serviceOptions(name: string, wanted: Advertisement): ServiceOptions {
  const { port, deviceId, ports = {} } = wanted;
  const elsewhere = Object.entries(PORT_KEYS).flatMap(([protocol, key]) => {
    const other = ports[protocol as keyof typeof PORT_KEYS];
    return other === undefined ? [] : [[key, String(other)]];
  });
  return {
    ...serviceAt(name, wanted, port),
    type: 'sip',
    protocol: 'udp' as ServiceOptions['protocol'],
    txt: {
      txtvers: '1',
      id: deviceId,
      v: String(PROTOCOL_VERSION),
      ...Object.fromEntries(elsewhere),
    },
  };
}

/** For programs that look for SIP by these alone; phones of ours read the TXT record of the first. */
function otherServices(name: string, wanted: Advertisement): ServiceOptions[] {
  const { port, tcp = false, ports: { TLS: tls } = {} } = wanted;
  return [
    ...(tcp ? [otherService('sip', 'tcp', serviceAt(name, wanted, port))] : []),
    ...(tls === undefined ? [] : [otherService('sips', 'tls', serviceAt(name, wanted, tls))]),
  ];
}

/** ciao takes a host name that another service of its own announces for one of another host. */
function otherService(
  type: string,
  suffix: string,
  { hostname, ...common }: ReturnType<typeof serviceAt>,
): ServiceOptions {
  const protocol = 'tcp' as ServiceOptions['protocol'];
  return { ...common, type, protocol, hostname: `${hostname}-${suffix}` };
}

function serviceAt(name: string, { deviceId }: Advertisement, port: number) {
  const hostname = hostNameOf(deviceId).slice(0, -'.local'.length);
  return { name, hostname, port, txt: { txtvers: '1', id: deviceId } };
}

async function systemInterfaceNames(): Promise<readonly string[]> {
  try {
    return await readdir('/sys/class/net');
  } catch {
    return Object.keys(networkInterfaces());
  }
}

/** Without a loopback interface ciao fails where nobody can catch it. */
function checkLoopback(): void {
  if (Object.values(networkInterfaces()).some(each => each?.some(({ internal }) => internal)))
    return;
  throw new CodedError('NO_LOOPBACK', 'this machine has no loopback interface in use', {
    remedy: 'Bring it up with `ip link set lo up`.',
  });
}

/** The parts of ciao's `Responder` that `lookAgain` needs and its types hide. */
interface ResponderInside {
  readonly server: {
    getNetworkManager(): {
      currentTimer?: NodeJS.Timeout;
      checkForNewInterfaces(): Promise<void>;
    };
  };
}

/** ciao looks for new addresses every 15 seconds, which is long for somebody who plugged the cable back in. */
async function lookAgain(responder: Responder): Promise<void> {
  const manager = (responder as unknown as ResponderInside).server.getNetworkManager();
  clearTimeout(manager.currentTimer);
  await manager.checkForNewInterfaces();
}
