/**
 * The presence of users who have their phones here (RFC 3856): what their phones publish (RFC 3903), else whether one of them
 * is registered.
 */
import { formatUri, type SipRequest, type SipResponse, sipUri } from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { Compositor } from '../sip/events/compositor.js';
import { type Content, PRESENCE } from '../sip/events/package.js';
import { type Presence, readPidf, writePidf } from '../sip/events/pidf.js';
import type { ServerTransaction } from '../sip/transaction/layer.js';
import type { Source } from '../sip/transport/transport.js';

export interface UserPresenceOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Who of the users here a request to this user part is for. */
  owner(user: string): string | undefined;
  /** Whether a phone of theirs is registered now. */
  isRegistered(user: string): boolean;
  /** Who publishes, once proven; or the refusal. */
  publisher(
    request: SipRequest,
    source: Source,
  ): { readonly resource: string } | number | SipResponse;
  readonly changed: (user: string) => void;
}

export class UserPresence {
  readonly #options: UserPresenceOptions;
  readonly #compositor: Compositor;

  constructor(options: UserPresenceOptions) {
    this.#options = options;
    this.#compositor = new Compositor({
      ...options,
      package: PRESENCE,
      admit: (request, source) => options.publisher(request, source),
      check: ({ body }) => void readPidf(body),
      changed: options.changed,
    });
  }

  owns(user: string): string | undefined {
    return this.#options.owner(user);
  }

  /** A PUBLISH to one of the users. */
  publish(request: SipRequest, transaction: ServerTransaction): void {
    this.#compositor.publish(request, transaction);
  }

  /** One document as it was published; of several, what we know of each. */
  presence(user: string): Content {
    const [first, ...others] = this.#compositor.contents(user);
    if (!first) return this.#registered(user);
    return others.length === 0 ? first : compose(entityOf(user), [first, ...others]);
  }

  stop(): void {
    this.#compositor.stop();
  }

  #registered(user: string): Content {
    const basic = this.#options.isRegistered(user) ? 'open' : 'closed';
    return writePidf({
      entity: entityOf(user),
      tuples: [{ id: 'registered', basic }],
      activities: [],
    });
  }
}

function compose(entity: string, contents: readonly Content[]): Content {
  const all = contents.map(({ body }) => readPidf(body));
  const notes = all.map(({ note }) => note).filter(note => note !== undefined);
  const composed: Presence = {
    entity,
    // Ids are unique within one document only.
    tuples: all.flatMap(({ tuples }, nth) =>
      tuples.map((tuple, index) => ({ ...tuple, id: `p${nth}-${index}` })),
    ),
    activities: [...new Set(all.flatMap(({ activities }) => activities))],
  };
  const note = notes.at(-1);
  return writePidf(note === undefined ? composed : { ...composed, note });
}

function entityOf(user: string): string {
  return formatUri(sipUri({ user, host: 'local' }));
}
