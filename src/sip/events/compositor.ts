/** Takes what others publish of themselves (RFC 3903): the driver of the compositor's machine. */
import {
  Accept,
  AllowEvents,
  ContentType,
  Event,
  Expires,
  MinExpires,
  Params,
  RetryAfter,
  SipETag,
  SipIfMatch,
  type SipRequest,
  SipResponse,
} from '@sip-stack/parser';
import type { Clock, Timer } from '../../core/clock.js';
import { CodedError } from '../../core/errors.js';
import { type Random, randomToken } from '../../core/random.js';
import { makeResponse } from '../response.js';
import type { ServerTransaction } from '../transaction/layer.js';
import type { Source } from '../transport/transport.js';
import {
  type CompositorAction,
  newCompositor,
  nextExpiry,
  publicationsOf,
  stepCompositor,
} from './compositor-machine.js';
import type { Content, EventPackage } from './package.js';

export interface CompositorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly package: EventPackage;
  /** Whose state it is, or the refusal: a status, or a whole response such as a challenge. */
  admit(request: SipRequest, source: Source): { readonly resource: string } | number | SipResponse;
  /** Throws `CodedError` for a body that says nothing of the kind. */
  check(content: Content): void;
  changed(resource: string): void;
}

export class Compositor {
  readonly #options: CompositorOptions;
  readonly #state = newCompositor();
  #timer: Timer | undefined;

  constructor(options: CompositorOptions) {
    this.#options = options;
  }

  /** What stands published, the oldest first. */
  contents(resource: string): readonly Content[] {
    const now = this.#options.clock.now();
    return publicationsOf(this.#state, resource, now).map(({ content }) => content);
  }

  publish(request: SipRequest, transaction: ServerTransaction): void {
    const { clock, random, admit } = this.#options;
    const refuse = (
      status: number,
      complete: (response: SipResponse) => void = () => undefined,
    ) => {
      const response = makeResponse(request, status, randomToken(random, 8));
      complete(response);
      transaction.respond(response);
    };
    const { headers, body } = request;
    const event = headers.first(Event);
    const { name, types } = this.#options.package;
    if (event?.token.toLowerCase() !== name) {
      refuse(489, response => response.headers.set(AllowEvents, name));
      return;
    }
    const admitted = admit(request, transaction.source);
    if (typeof admitted === 'number') {
      refuse(admitted);
      return;
    }
    if (admitted instanceof SipResponse) {
      transaction.respond(admitted);
      return;
    }
    const type = headers.first(ContentType)?.type;
    const content = body.length > 0 ? { type: type ?? '', body: body.slice() } : undefined;
    if (content && !types.includes(content.type)) {
      const readable = types.map(each => ContentType.parse(each));
      refuse(415, response => response.headers.set(Accept, ...readable));
      return;
    }
    if (content && !this.#isSound(content)) {
      refuse(400);
      return;
    }
    const actions = stepCompositor(this.#state, {
      type: 'publish',
      resource: admitted.resource,
      match: headers.first(SipIfMatch),
      content,
      expiresS: headers.first(Expires),
      etag: randomToken(random, 8),
      now: clock.now(),
    });
    for (const action of actions) this.#perform(action, refuse);
    this.#sweepInTime();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#state.publications.clear();
  }

  #isSound(content: Content): boolean {
    try {
      this.#options.check(content);
      return true;
    } catch (error) {
      if (error instanceof CodedError) return false;
      throw error;
    }
  }

  #perform(
    action: CompositorAction,
    respond: (status: number, complete: (response: SipResponse) => void) => void,
  ): void {
    switch (action.type) {
      case 'accept':
        respond(200, ({ headers }) => {
          headers.set(SipETag, action.etag).set(Expires, action.expiresS);
        });
        return;
      case 'refuse':
        respond(action.status, ({ headers }) => {
          const { minExpiresS, retryAfterS } = action;
          if (minExpiresS !== undefined) headers.set(MinExpires, minExpiresS);
          if (retryAfterS === undefined) return;
          headers.set(RetryAfter, { seconds: retryAfterS, params: new Params() });
        });
        return;
      case 'changed':
        this.#options.changed(action.resource);
        return;
    }
  }

  #sweepInTime(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    const ms = nextExpiry(this.#state, clock.now());
    if (ms === undefined) return;
    this.#timer = clock.after(ms, () => {
      for (const action of stepCompositor(this.#state, { type: 'sweep', now: clock.now() })) {
        if (action.type === 'changed') this.#options.changed(action.resource);
      }
      this.#sweepInTime();
    });
  }
}
