/**
 * People by their names in the overlay: `sip:NAME@local` and `sip:NAME@OVERLAY`. Who is called often is known
 * beforehand (`buddies.ts`); for all others the ring is asked. All devices of the person are told, for a call to try
 * at once.
 */
import type { SipUri } from '@sip-stack/parser';
import { isLinkLocal } from '../../core/endpoint.js';
import { errorCode } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Location, Locator } from '../../discovery/locator.js';
import { foldedName } from '../../identity/names.js';
import { phonesOf, placesOf } from './contacts.js';
import type { FoundName } from './name-lookup.js';
import type { NamedDevice } from './name-record.js';

/** Devices of one person that are called at once; those with the longest life left. */
export const MAX_DEVICES_CALLED = 8;

/** People whose places are known without asking. */
export interface KnownPeople {
  /** Where they are now, as far as is known and not too old to be relied on. */
  known(name: string): FoundName | undefined;
  /** Where they were last known to be, for when the ring does not say. */
  lastKnown(name: string): FoundName | undefined;
  /** The ring has just told this. */
  told(found: FoundName): void;
  /** Nobody answered at one of their places. */
  doubt(name: string): void;
  /** A call to them was answered. */
  talked(found: FoundName): void;
}

export interface RingLocatorOptions {
  readonly overlay: string;
  readonly logger: Logger;
  readonly lookup: { find(name: string, signal?: AbortSignal): Promise<FoundName | undefined> };
  readonly people: KnownPeople;
  /** Whether there is a route to an address. */
  readonly reaches: (address: string) => Promise<boolean>;
}

export class RingLocator implements Locator {
  readonly #options: RingLocatorOptions;

  constructor(options: RingLocatorOptions) {
    this.#options = options;
  }

  /**
   * At once for who is known, else within `RING_WITHIN_MS`; empty where nobody has the name, or no ring says so.
   *
   * @throws {CodedError} `NAME_CLASH`
   */
  async locate(target: SipUri, signal: AbortSignal): Promise<readonly Location[]> {
    const name = nameIn(target, this.#options.overlay);
    if (name === undefined) return [];
    const { lookup, people, logger } = this.#options;
    const known = people.known(name);
    if (known) {
      const places = await this.#locations(known, target, true);
      if (places.length > 0) return places;
    }
    try {
      const found = await lookup.find(name, signal);
      signal.throwIfAborted();
      if (!found) return [];
      people.told(found);
      return this.#locations(found, target, false);
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'NO_RING' && code !== 'NO_ANSWER') throw error;
      logger.debug({ name, code }, 'the ring did not say where somebody is');
      const last = people.lastKnown(name);
      return last ? this.#locations(last, target, true) : [];
    }
  }

  async #locations(found: FoundName, target: SipUri, remembered: boolean): Promise<Location[]> {
    const { people } = this.#options;
    const locations: Location[] = [];
    for (const { device, as } of ringing(found.devices.slice(0, MAX_DEVICES_CALLED))) {
      for (const place of await this.#usable(placesOf(device.binding.contacts, target))) {
        locations.push({
          ...place,
          device: as,
          ...(remembered && { remembered }),
          unreached: () => people.doubt(found.name),
          answered: () => people.talked(found),
        });
      }
    }
    return locations;
  }

  /** An address of a link alone leads nowhere from other links: it is for who has no route to any other. */
  async #usable(places: readonly Location[]): Promise<readonly Location[]> {
    const ofLink = places.filter(({ endpoint }) => isLinkLocal(endpoint.address));
    if (ofLink.length === 0 || ofLink.length === places.length) return places;
    const routed = places.filter(place => !ofLink.includes(place));
    for (const { endpoint } of routed) {
      if (await this.#options.reaches(endpoint.address)) return routed;
    }
    return ofLink;
  }
}

/**
 * As which device each is called: one that leads only to phones that another leads to as well is in line behind that
 * one, since a phone that is registered twice is not to ring twice. The one that leads to most is first, then the one
 * with the longest life: of a phone that went elsewhere when its super-node died, the binding there.
 */
function ringing(
  devices: readonly NamedDevice[],
): { readonly device: NamedDevice; readonly as: string }[] {
  const all = devices.map(device => ({ device, phones: phonesOf(device.binding.contacts) }));
  all.sort((one, other) => other.phones.size - one.phones.size);
  const first: typeof all = [];
  return all.map(each => {
    const { device, phones } = each;
    const before = first.find(other => phones.size > 0 && isWithin(phones, other.phones));
    if (!before) first.push(each);
    return { device, as: (before ?? each).device.deviceId };
  });
}

function isWithin(some: ReadonlySet<string>, all: ReadonlySet<string>): boolean {
  return [...some].every(each => all.has(each));
}

/** The name that a URI asks for, where it asks for one of this overlay; folded. */
export function nameIn({ user, host, port }: SipUri, overlay: string): string | undefined {
  const lower = host.toLowerCase();
  if (user === undefined || port !== undefined) return undefined;
  return lower === 'local' || lower === overlay.toLowerCase() ? foldedName(user) : undefined;
}
