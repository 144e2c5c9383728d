/** Announces this phone, and what else runs on it, on every link: drives `responder.ts` over `MdnsLinks`. */
import { EventEmitter } from 'node:events';
import { type Clock, sleep, type Timer } from '../../core/clock.js';
import { ANY, heardAt, isWildcard } from '../../core/endpoint.js';
import { CodedError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomUnit } from '../../core/random.js';
import type { Advertisement, Advertiser, AdvertiserEvents } from '../discovery.js';
import { checkPhoneName } from '../phone-name.js';
import { PORT_KEYS } from './dns-records.js';
import type { Heard, MdnsLink, MdnsLinks, MdnsListener } from './mdns-links.js';
import { step, wakeAt } from './responder.js';
import {
  newResponderState,
  type Publication,
  type ResponderAction,
  type ResponderEvent,
  type ResponderLink,
  type ResponderState,
} from './responder-state.js';
import type { ServiceSpec } from './service-records.js';

/** Of the TXT record's `v`: what one phone may expect of another. */
export const PROTOCOL_VERSION = 1;
/** The last packet leaves in the next turns of the event loop; the sockets stay open for so long. */
const GOODBYE_MS = 20;
/** A name is settled within a second, with a clash or two within three: after that its owner is told. */
const NAMED_WITHIN_MS = 5000;
/** Under which the phone itself is published; others choose other keys. */
const PHONE = 'phone';

export interface MdnsAdvertiserOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly links: MdnsLinks;
}

export class MdnsAdvertiser extends EventEmitter<AdvertiserEvents> implements Advertiser {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #random: Random;
  readonly #links: MdnsLinks;
  readonly #names = new Map<string, string>();
  #state: ResponderState | undefined;
  #timer: Timer | undefined;
  #patience: Timer | undefined;
  /** Where the phone listens. */
  #address = ANY;
  #linksNow: readonly MdnsLink[] = [];
  #problem = '';

  constructor({ clock, logger, random, links }: MdnsAdvertiserOptions) {
    super();
    this.#clock = clock;
    this.#logger = logger;
    this.#random = random;
    this.#links = links;
  }

  get name(): string | undefined {
    return this.#names.get(PHONE);
  }

  nameOf(key: string): string | undefined {
    return this.#names.get(key);
  }

  async start(advertisement: Advertisement): Promise<void> {
    checkPhoneName(advertisement.name);
    this.#address = advertisement.address ?? ANY;
    if (this.#state) {
      this.publish(PHONE, phonePublication(advertisement));
      this.#followLinks();
      return;
    }
    const { deviceId } = advertisement;
    this.#state = newResponderState(hostLabelOf(deviceId), () => randomUnit(this.#random));
    this.publish(PHONE, phonePublication(advertisement));
    this.#patience = this.#clock.after(NAMED_WITHIN_MS, () => this.#explain());
    await this.#links.listen(this.#listener);
  }

  publish(key: string, publication: Publication): void {
    this.#take({ kind: 'publish', now: this.#clock.now(), key, publication });
  }

  withdraw(key: string): void {
    this.#names.delete(key);
    this.#take({ kind: 'withdraw', now: this.#clock.now(), key });
  }

  async stop(): Promise<void> {
    if (!this.#state) return;
    this.#take({ kind: 'stop', now: this.#clock.now() });
    this.#state = undefined;
    this.#names.clear();
    this.#timer?.cancel();
    this.#patience?.cancel();
    await sleep(this.#clock, GOODBYE_MS);
    await this.#links.unlisten(this.#listener);
  }

  readonly #listener: MdnsListener = {
    wantsUnicast: true,
    linksChanged: (links, problem) => this.#linksChanged(links, problem),
    heard: heard => this.#hear(heard),
  };

  #linksChanged(links: readonly MdnsLink[], problem: Error | undefined): void {
    this.#linksNow = links;
    if (problem) this.#tellProblem(problem);
    this.#followLinks();
  }

  #followLinks(): void {
    this.#take({ kind: 'network', now: this.#clock.now(), links: this.#heardOn });
  }

  /** Nobody is told of an address where nothing listens: they would try it in vain. */
  get #heardOn(): readonly ResponderLink[] {
    return this.#linksNow.flatMap(({ id, addresses }) => {
      const here = heardAt(this.#address, addresses);
      return here.length > 0 ? { id, addresses: here } : [];
    });
  }

  #hear({ link: { id: link }, source, message, via }: Heard): void {
    if (via === 'direct') return;
    const unicast = via === 'unicast';
    this.#take({ kind: 'heard', now: this.#clock.now(), link, source, unicast, message });
  }

  #take(event: ResponderEvent): void {
    if (!this.#state) return;
    for (const action of step(this.#state, event)) this.#perform(action);
    this.#timer?.cancel();
    if (!this.#state) return;
    const at = wakeAt(this.#state);
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#take({ kind: 'due', now: this.#clock.now() });
    });
  }

  #perform(action: ResponderAction): void {
    switch (action.kind) {
      case 'send':
        this.#links.send(action.link, action.message, action.to);
        return;
      case 'named':
        this.#names.set(action.key, action.name);
        this.#problem = '';
        if (action.key === PHONE) this.emit('named', action.name);
        else this.emit('published', action.key, action.name);
        return;
      case 'renamed': {
        const { from, to, contested } = action;
        this.#logger.info({ name: from, next: to }, 'somebody else has this name');
        if (contested) this.#tellProblem(nameContested(from));
        return;
      }
      case 'yielded': {
        const { name, type } = action;
        this.#logger.info({ name, type }, 'this name is taken for this protocol');
        return;
      }
    }
  }

  /** Why there is no name yet. */
  #explain(): void {
    if (this.name !== undefined) return;
    this.#tellProblem(this.#heardOn.length > 0 ? nameContested('') : noLink(this.#address));
  }

  /** Once each, until there is a name. */
  #tellProblem(error: Error): void {
    if (this.#problem === error.message) return;
    this.#problem = error.message;
    this.#logger.warn({ error }, 'this phone is not announced on the network');
    this.emit('problem', error);
  }
}

function nameContested(name: string): CodedError {
  return new CodedError('NAME_CONTESTED', `every name tried is taken at once ${name}`.trim(), {
    remedy: 'It is tried again by itself; look for a device that answers for every name.',
  });
}

function noLink(listen: string): CodedError {
  const wanted = isWildcard(listen) ? 'an address' : `the address ${listen}`;
  return new CodedError('NO_LINK', `no network interface has ${wanted}`, {
    remedy: 'Connect a cable or Wi-Fi; the phone is announced as soon as there is an address.',
  });
}

function hostLabelOf(deviceId: string): string {
  return `ringline-${deviceId.replace(/[^0-9A-Za-z]/g, '').slice(0, 32) || 'phone'}`;
}

/**
 * The host name a phone announces, unless another device has the same ID. The machine's own name may be announced
 * by another responder on it, and is no conflict of phones.
 */
export function hostNameOf(deviceId: string): string {
  return `${hostLabelOf(deviceId)}.local`;
}

/** The TXT record of the first service is the phone's; the others are for programs that look for those alone. */
function phonePublication({ name, port, tcp, ports = {}, deviceId }: Advertisement): Publication {
  const common = ['txtvers=1', `id=${deviceId}`];
  const elsewhere = Object.entries(PORT_KEYS).flatMap(([protocol, key]) => {
    const other = ports[protocol as keyof typeof PORT_KEYS];
    return other === undefined ? [] : [`${key}=${other}`];
  });
  const services: ServiceSpec[] = [
    { type: '_sip._udp', port, texts: [...common, `v=${PROTOCOL_VERSION}`, ...elsewhere] },
  ];
  if (tcp) services.push({ type: '_sip._tcp', port, texts: common });
  if (ports.TLS !== undefined)
    services.push({ type: '_sips._tcp', port: ports.TLS, texts: common });
  return { name, services };
}
