/**
 * People by their names in the overlay: `sip:NAME@local` and `sip:NAME@OVERLAY`. Who is called often is known
 * beforehand (`buddies.ts`); for all others the ring is asked. All devices of the person are told, for a call to try
 * at once.
 */
import { isSipUri, parseUri, type SipUri, sipUri } from '@sip-stack/parser';
import { errorCode } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { literalLocation } from '../../discovery/address-locator.js';
import type { Location, Locator } from '../../discovery/locator.js';
import { foldedName } from '../../identity/names.js';
import { directPlan, PROTOCOLS } from '../../sip/resolution/plan.js';
import type { FoundName } from './name-lookup.js';
import type { NamedDevice } from './name-record.js';

/** `Location.source` of what the ring says. */
export const RING_SOURCE = 'ring';
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
      const places = this.#locations(known, target, true);
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

  #locations(found: FoundName, target: SipUri, remembered: boolean): Location[] {
    const { people } = this.#options;
    return found.devices.slice(0, MAX_DEVICES_CALLED).flatMap(device =>
      placesOf(device, target).map(place => ({
        ...place,
        device: device.deviceId,
        ...(remembered && { remembered }),
        unreached: () => people.doubt(found.name),
        answered: () => people.talked(found),
      })),
    );
  }
}

/** The name that a URI asks for, where it asks for one of this overlay; folded. */
export function nameIn({ user, host, port }: SipUri, overlay: string): string | undefined {
  const lower = host.toLowerCase();
  if (user === undefined || port !== undefined) return undefined;
  return lower === 'local' || lower === overlay.toLowerCase() ? foldedName(user) : undefined;
}

/** Literal addresses only: a record makes nobody here ask the DNS. */
function placesOf({ binding }: NamedDevice, target: SipUri): Location[] {
  return binding.contacts.flatMap(contact => {
    try {
      const uri = parseUri(contact);
      const fitting = isSipUri(uri) ? fitted(uri, target) : undefined;
      return (fitting && literalLocation(fitting, RING_SOURCE)) ?? [];
    } catch {
      // Written by others: what cannot be read, or goes by what nobody here speaks, is passed over.
      return [];
    }
  });
}

/** Who calls `sips:` is led only where all the way is secure; that is said in the URI. */
function fitted(uri: SipUri, target: SipUri): SipUri | undefined {
  if (target.scheme === 'sip') return uri;
  if (!PROTOCOLS[directPlan(uri).protocol].secure) return undefined;
  const { user, host, port } = uri;
  return sipUri({ scheme: 'sips', user, host, port });
}
