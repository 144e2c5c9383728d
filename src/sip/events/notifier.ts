/** All subscriptions at us: who may have one, how many there may be, and what they are told. */
import {
  Accept,
  AllowEvents,
  CallId,
  CSeq,
  Event,
  Expires,
  From,
  formatUri,
  isSipUri,
  Params,
  RetryAfter,
  type SipRequest,
  SipResponse,
  SipSyntaxError,
} from '@sip-stack/parser';
import { asError } from '../../core/errors.js';
import { dialogOfCallee } from '../dialog.js';
import { makeResponse } from '../response.js';
import { beginsSipsDialog } from '../sips.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { Source } from '../transport/transport.js';
import type { EventContext } from './context.js';
import type { SubscriptionTermination } from './notifier-machine.js';
import { accepts, type Content, type EventPackage, grantedExpiry } from './package.js';
import { type ContentMaker, tooBrief, Watcher } from './watcher.js';

/** Subscriptions at once; each is some kilobytes. */
export const MAX_WATCHERS = 1000;
/** Of one address: no device watches more lamps than it has. */
export const MAX_WATCHERS_PER_ADDRESS = 200;
/** When there may be room again, in seconds. */
const RETRY_AFTER_S = 60;

/** What an event package tells of, here. */
export interface EventSource {
  readonly package: EventPackage;
  /**
   * Whose state a SUBSCRIBE asks for, by a name of the source's own; or the refusal: a status, or a
   * whole response such as a challenge.
   */
  admit(request: SipRequest, source: Source): { readonly resource: string } | number | SipResponse;
  /** The state of a resource as it is now, the `sequence`-th for this watcher, from 0. */
  content(resource: string, sequence: number): Content;
}

export interface WatcherStatus {
  readonly package: string;
  readonly resource: string;
  /** The URI the subscriber goes by. */
  readonly by: string;
  readonly expiresInSeconds: number;
}

export class Notifier {
  readonly #sources = new Map<string, EventSource>();
  readonly #watchers = new Map<Watcher, string>();
  readonly #beginning = new Set<string>();
  #context: EventContext | undefined;

  /** Event packages that can be subscribed to here. */
  get packages(): readonly string[] {
    return [...this.#sources.keys()];
  }

  get size(): number {
    return this.#watchers.size;
  }

  get status(): WatcherStatus[] {
    return [...this.#watchers].map(([watcher, resource]) => ({
      package: watcher.package.name,
      resource,
      by: formatUri(watcher.dialog.remote.uri),
      expiresInSeconds: watcher.expiresInS,
    }));
  }

  /** From now on SUBSCRIBEs to this package are answered. */
  serve(source: EventSource): void {
    this.#sources.set(source.package.name, source);
  }

  /** Tells all who watch this resource of a package; all resources, where none is named. */
  changed(packageName: string, resource?: string): void {
    for (const [watcher, watched] of this.#watchers) {
      const concerned = resource === undefined || watched === resource;
      if (watcher.package.name === packageName && concerned) watcher.changed();
    }
  }

  open(context: EventContext): void {
    this.#context = context;
  }

  /** Ends every subscription; what is not answered is forgotten at `close`. */
  terminateAll(end: SubscriptionTermination): void {
    for (const watcher of [...this.#watchers.keys()]) watcher.terminate(end);
  }

  close(): void {
    for (const watcher of this.#watchers.keys()) watcher.abandon();
    this.#watchers.clear();
    this.#beginning.clear();
    this.#context = undefined;
  }

  /** A SUBSCRIBE outside any dialog. */
  subscribe(request: SipRequest, transaction: ServerTransaction): void {
    const event = request.headers.first(Event);
    const source = event && this.#sources.get(event.token.toLowerCase());
    if (!source) {
      this.#refuse(request, transaction, 489);
      return;
    }
    const accepted = request.headers.all(Accept).map(({ type }) => type);
    if (!accepts(source.package, accepted)) {
      this.#refuse(request, transaction, 406);
      return;
    }
    const expiresS = grantedExpiry(source.package.expires, request.headers.first(Expires));
    const admitted = source.admit(request, transaction.source);
    if (typeof admitted === 'number') {
      this.#refuse(request, transaction, admitted);
    } else if (admitted instanceof SipResponse) {
      transaction.respond(admitted);
    } else if (expiresS === undefined) {
      const tag = this.#context?.self.newTag();
      transaction.respond(tooBrief(request, source.package, tag));
    } else {
      const { resource } = admitted;
      this.#begin(request, transaction, {
        package: source.package,
        id: event.params.get('id'),
        resource,
        expiresS,
        content: ({ sent }) => source.content(resource, sent),
        begun: () => undefined,
      });
    }
  }

  /**
   * The subscription that another request implies: REFER outside a dialog (RFC 3515 §2.4.4). It is
   * answered with 202, and the first NOTIFY goes out; both follow, or a refusal.
   *
   * @param content what is told, each time; tell of changes by `changed`, of the end by `terminate`
   * @param begun told the subscription, once it is there
   */
  imply(
    request: SipRequest,
    transaction: ServerTransaction,
    implied: {
      readonly package: EventPackage;
      readonly content: ContentMaker;
      readonly begun: (watcher: Watcher) => void;
    },
  ): void {
    const { uri } = request;
    this.#begin(request, transaction, {
      ...implied,
      id: undefined,
      resource: isSipUri(uri) ? (uri.user ?? '') : '',
      expiresS: implied.package.expires.defaultS,
    });
  }

  #begin(request: SipRequest, transaction: ServerTransaction, wanted: Wanted): void {
    const key = mergeKey(request);
    const merged = [...this.#watchers.keys()].some(({ begunBy }) => mergeKey(begunBy) === key);
    if (merged || this.#beginning.has(key)) {
      // The same request by another path (RFC 3261 §8.2.2.2).
      this.#refuse(request, transaction, 482);
      return;
    }
    if (this.#isFull(transaction.source)) {
      this.#refuse(request, transaction, 503);
      return;
    }
    this.#beginning.add(key);
    void this.#admit(request, transaction, wanted)
      .catch(error => {
        this.#context?.logger.warn(
          { reason: asError(error).message },
          'could not be subscribed to',
        );
        const status = error instanceof SipSyntaxError ? error.status : 500;
        this.#refuse(request, transaction, status);
      })
      .finally(() => this.#beginning.delete(key));
  }

  async #admit(request: SipRequest, transaction: ServerTransaction, wanted: Wanted): Promise<void> {
    const context = this.#context;
    if (!context) return;
    const { source } = transaction;
    const dialog = dialogOfCallee(request, context.self.newTag());
    const local = await context.localEndpointFor(source.endpoint.address);
    if (context !== this.#context) return;
    const user = isSipUri(request.uri) ? (request.uri.user ?? '') : '';
    const watcher = new Watcher(context, {
      ...wanted,
      request,
      dialog,
      local,
      source,
      contact: context.self.contact(user, local, source.protocol, beginsSipsDialog(request)),
      released: released => this.#watchers.delete(released),
    });
    this.#watchers.set(watcher, wanted.resource);
    watcher.start(transaction, wanted.expiresS);
    wanted.begun(watcher);
  }

  #isFull({ endpoint: { address } }: Source): boolean {
    if (this.#watchers.size + this.#beginning.size >= MAX_WATCHERS) return true;
    const same = [...this.#watchers.keys()].filter(watcher => watcher.address === address);
    return same.length >= MAX_WATCHERS_PER_ADDRESS;
  }

  #refuse(request: SipRequest, transaction: ServerTransaction, status: number): void {
    if (!this.#context) return;
    const response = makeResponse(request, status, this.#context.self.newTag());
    if (status === 489) response.headers.set(AllowEvents, ...this.packages);
    if (status === 503) {
      response.headers.set(RetryAfter, { seconds: RETRY_AFTER_S, params: new Params() });
    }
    transaction.respond(this.#context.self.signed(response));
  }
}

interface Wanted {
  readonly package: EventPackage;
  readonly id: string | undefined;
  readonly resource: string;
  readonly expiresS: number;
  readonly content: ContentMaker;
  readonly begun: (watcher: Watcher) => void;
}

/** RFC 3261 §8.2.2.2. */
function mergeKey({ headers }: SipRequest): string {
  const from = headers.require(From).params.get('tag') ?? '';
  return `${headers.require(CallId)} ${from} ${headers.require(CSeq).sequence}`;
}
