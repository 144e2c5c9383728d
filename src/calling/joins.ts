/** Calls that are joined by others (RFC 3911): everybody in them hears everybody else. */
import { asError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { MediaEngine, MediaNode } from '../media/engine.js';
import type { Call } from './call.js';

/** Guests of one call; more belong in a room. */
export const MAX_GUESTS = 6;

/** A call, those who joined it, and what mixes them. It is over when that call is. */
interface Company {
  readonly host: Call;
  readonly guests: Set<Call>;
  readonly mix: Promise<MediaNode>;
}

export class Joins {
  readonly #media: MediaEngine;
  readonly #logger: Logger;
  readonly #companies = new Map<Call, Company>();

  constructor(media: MediaEngine, logger: Logger) {
    this.#media = media;
    this.#logger = logger;
  }

  /** Whether one more may join this call. */
  admits(call: Call): boolean {
    const company = this.#companies.get(call);
    return call.phase === 'connected' && (company?.guests.size ?? 0) < MAX_GUESTS;
  }

  /** @param guest a call that came in; it is answered */
  join(call: Call, guest: Call): void {
    const company = this.#companies.get(call) ?? this.#open(call);
    company.guests.add(guest);
    this.#companies.set(guest, company);
    guest.on('phase', phase => {
      if (phase === 'connected') void this.#mixIn(company, guest);
    });
    guest.once('ended', () => {
      company.guests.delete(guest);
      this.#companies.delete(guest);
    });
    guest.answer();
  }

  /** Whoever listens and talks here does so to all of them from now on. */
  #open(host: Call): Company {
    const mix = this.#media.openMix().then(node => {
      if (host.leg) {
        this.#media.replace(host.leg, node);
        this.#connect(host, node);
      }
      return node;
    });
    const company = { host, guests: new Set<Call>(), mix };
    this.#companies.set(host, company);
    host.once('ended', () => {
      this.#companies.delete(host);
      for (const guest of company.guests) guest.hangUp();
      void mix.then(node => node.close()).catch(() => undefined);
    });
    return company;
  }

  async #mixIn({ mix }: Company, guest: Call): Promise<void> {
    try {
      this.#connect(guest, await mix);
    } catch (error) {
      this.#logger.error({ reason: asError(error).message }, 'could not join calls');
      guest.hangUp();
    }
  }

  #connect({ leg }: Call, mix: MediaNode): void {
    if (!leg) return;
    this.#media.connect(leg, mix);
    this.#media.connect(mix, leg);
  }
}
