/** Sees the phones on every link this host has: drives `browser-cache.ts` over `MdnsLinks`. */
import { EventEmitter } from 'node:events';
import type { Clock, Timer } from '../../core/clock.js';
import { type Random, randomUnit } from '../../core/random.js';
import type { Browser, BrowserEvents, PhoneSighting } from '../discovery.js';
import { foldName } from '../phone-name.js';
import { step, wakeAt } from './browser-cache.js';
import {
  type BrowserAction,
  type BrowserEvent,
  type BrowserState,
  newBrowserState,
  type Question,
} from './browser-state.js';
import { type DnsMessage, queryOf } from './dns-message.js';
import { instanceName } from './dns-name.js';
import { phoneRecords } from './dns-records.js';
import type { Heard, MdnsLink, MdnsLinks, MdnsListener } from './mdns-links.js';

export interface MdnsBrowserOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly links: MdnsLinks;
  /** What is looked for instead of phones, in lower case, e.g. `_ringline._tcp.local`. */
  readonly service?: string;
  /** Keys of its TXT records that are wanted, in lower case. */
  readonly keys?: readonly string[];
}

export class MdnsBrowser extends EventEmitter<BrowserEvents> implements Browser {
  readonly #clock: Clock;
  readonly #links: MdnsLinks;
  readonly #state: BrowserState;
  #linksNow: readonly MdnsLink[] = [];
  #running = false;
  #timer: Timer | undefined;

  constructor({ clock, random, links, service, keys }: MdnsBrowserOptions) {
    super();
    // Every `find` under way listens.
    this.setMaxListeners(0);
    this.#clock = clock;
    this.#links = links;
    this.#state = newBrowserState(() => randomUnit(random), service, keys);
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    await this.#links.listen(this.#listener);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    await this.#links.unlisten(this.#listener);
  }

  phones(): readonly PhoneSighting[] {
    return [...this.#state.instances.values()].flatMap(({ seen }) => seen ?? []);
  }

  find(name: string, signal: AbortSignal, withinMs: number): Promise<PhoneSighting | undefined> {
    const wanted = foldName(name);
    const known = this.#state.instances.get(instanceName(wanted, this.#state.service))?.seen;
    if (known || !this.#running) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const settle = () => {
        timer.cancel();
        this.off('up', onUp);
        signal.removeEventListener('abort', onAbort);
      };
      const onUp = (phone: PhoneSighting) => {
        if (foldName(phone.name) !== wanted) return;
        settle();
        resolve(phone);
      };
      const onAbort = () => {
        settle();
        reject(signal.reason);
      };
      const timer = this.#clock.after(withinMs, () => {
        settle();
        resolve(undefined);
      });
      this.on('up', onUp);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#take({ kind: 'ask', now: this.#clock.now() });
    });
  }

  doubt(name: string): void {
    this.#take({ kind: 'doubt', now: this.#clock.now(), name });
  }

  readonly #listener: MdnsListener = {
    // Whoever runs for a moment takes no packets from those that stay.
    wantsUnicast: false,
    linksChanged: links => {
      this.#linksNow = links;
      const addresses = new Set(links.flatMap(link => link.addresses));
      this.#take({ kind: 'network', now: this.#clock.now(), addresses: [...addresses] });
    },
    heard: heard => this.#hear(heard),
  };

  #hear({ link, source: { address }, message, own, via }: Heard): void {
    const now = this.#clock.now();
    if (message.response) {
      const records = phoneRecords(message, this.#state.service);
      const { interfaceName } = link;
      const direct = via === 'direct';
      if (records.length > 0)
        this.#take({ kind: 'heard', now, link: interfaceName, source: address, records, direct });
    } else if (!own && via === 'group' && !message.truncated) {
      const questions = questionsForAll(message);
      const known = message.answers.flatMap(({ data }) => (data.type === 'PTR' ? data.target : []));
      if (questions.length > 0)
        this.#take({ kind: 'overheard', now, linkId: link.id, questions, known });
    }
  }

  #take(event: BrowserEvent): void {
    if (!this.#running) return;
    for (const action of step(this.#state, event)) this.#perform(action);
    this.#timer?.cancel();
    const at = wakeAt(this.#state);
    if (at === Number.POSITIVE_INFINITY || !this.#running) return;
    const delayMs = Math.max(0, at - this.#clock.now());
    this.#timer = this.#clock.after(delayMs, () => {
      this.#take({ kind: 'due', now: this.#clock.now() });
    });
  }

  #perform(action: BrowserAction): void {
    switch (action.kind) {
      case 'query':
        this.#query(action);
        return;
      case 'up':
      case 'changed':
      case 'down':
        this.emit(action.kind, action.phone);
    }
  }

  #query({ questions, known, exceptOn, directly }: BrowserAction & { kind: 'query' }): void {
    const { service } = this.#state;
    const message = queryOf({
      questions: questions.map(question => ({ ...question, unicast: false })),
      answers: known.map(({ instance, ttl }) => {
        return { name: service, ttl, flush: false, data: { type: 'PTR', target: instance } };
      }),
    });
    for (const { id } of this.#linksNow) if (!exceptOn.includes(id)) this.#links.send(id, message);
    for (const { address, link } of directly) {
      const family = address.includes(':') ? 'IPv6' : 'IPv4';
      // By unicast there is no answer to what was answered already.
      this.#links.askDirectly(`${link} ${family}`, { ...message, answers: [] }, address);
    }
  }
}

/** What everybody who can should answer by multicast; probes are about names, not phones. */
function questionsForAll({ questions, authorities }: DnsMessage): Question[] {
  if (authorities.length > 0) return [];
  return questions.flatMap(({ type, name, unicast }) => {
    if (unicast) return [];
    return ['PTR', 'SRV', 'TXT', 'A', 'AAAA'].includes(type) ? ({ type, name } as Question) : [];
  });
}
