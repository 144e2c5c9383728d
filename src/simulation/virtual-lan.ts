/** Discovery on a virtual network: phones announce themselves and see each other, without mDNS. */
import { EventEmitter } from 'node:events';
import type { Clock } from '../core/clock.js';
import type { Browser, BrowserEvents, PhoneSighting } from '../discovery/discovery.js';
import { foldName } from '../discovery/phone-name.js';

/** An announcement is heard this long after it was made. */
const ANNOUNCEMENT_MS = 2;

export class VirtualLan {
  readonly #clock: Clock;
  readonly #phones = new Map<string, PhoneSighting>();
  readonly #browsers = new Set<VirtualBrowser>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  announce(phone: PhoneSighting): void {
    this.#phones.set(foldName(phone.name), phone);
    this.#tell('up', phone);
  }

  withdraw(name: string): void {
    const phone = this.#phones.get(foldName(name));
    if (phone && this.#phones.delete(foldName(name))) this.#tell('down', phone);
  }

  browser(): Browser {
    return new VirtualBrowser(this.#clock, this.#phones, this.#browsers);
  }

  #tell(event: 'up' | 'down', phone: PhoneSighting): void {
    this.#clock.after(ANNOUNCEMENT_MS, () => {
      for (const browser of this.#browsers) browser.emit(event, phone);
    });
  }
}

class VirtualBrowser extends EventEmitter<BrowserEvents> implements Browser {
  readonly #clock: Clock;
  readonly #phones: ReadonlyMap<string, PhoneSighting>;
  readonly #browsers: Set<VirtualBrowser>;

  constructor(
    clock: Clock,
    phones: ReadonlyMap<string, PhoneSighting>,
    browsers: Set<VirtualBrowser>,
  ) {
    super();
    this.#clock = clock;
    this.#phones = phones;
    this.#browsers = browsers;
  }

  async start(): Promise<void> {
    this.#browsers.add(this);
  }

  async stop(): Promise<void> {
    this.#browsers.delete(this);
  }

  phones(): readonly PhoneSighting[] {
    return [...this.#phones.values()];
  }

  doubt(): void {}

  find(name: string, signal: AbortSignal, withinMs: number): Promise<PhoneSighting | undefined> {
    const known = () => this.#phones.get(foldName(name));
    if (known()) return Promise.resolve(known());
    return new Promise((resolve, reject) => {
      const done = () => {
        timer.cancel();
        this.off('up', look);
        signal.removeEventListener('abort', give);
      };
      const look = () => {
        const phone = known();
        if (!phone) return;
        done();
        resolve(phone);
      };
      const give = () => {
        done();
        reject(signal.reason);
      };
      const timer = this.#clock.after(withinMs, () => {
        done();
        resolve(undefined);
      });
      this.on('up', look);
      signal.addEventListener('abort', give);
    });
  }
}
