/** Publishes state of ours at a server, and keeps it there (RFC 3903): the driver of the publisher's machine. */
import { Expires, MinExpires, RetryAfter, SipETag, type SipResponse } from '@sip-stack/parser';
import type { Clock, Timer } from '../../core/clock.js';
import { asError, errorCode } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import { type Random, randomUnit } from '../../core/random.js';
import type { Content, EventPackage } from './package.js';
import {
  newPublisher,
  type PublishAnswer,
  type PublisherAction,
  type PublisherEvent,
  type PublisherState,
  stepPublisher,
} from './publisher-machine.js';

export interface PublisherOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly package: EventPackage;
  /** As it is now. */
  content(): Content;
  /** Sends a PUBLISH with these header fields and this body; rejects with `CodedError`. */
  send(headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<SipResponse>;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #state: PublisherState;
  #timer: Timer | undefined;
  #over: (() => void) | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { random, package: of } = options;
    this.#state = newPublisher(of.expires.defaultS, () => randomUnit(random));
  }

  get phase(): PublisherState['phase'] {
    return this.#state.phase;
  }

  /** There is something to tell, the first time or again. */
  changed(): void {
    this.#step({ type: 'changed' });
  }

  /** Removes what was published; resolves when the server has heard of it, or after `withinMs`. */
  async stop(withinMs: number): Promise<void> {
    if (this.phase === 'ended') return;
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(withinMs, resolve);
      this.#over = () => {
        timer.cancel();
        resolve();
      };
      this.#step({ type: 'stop' });
    });
    this.#timer?.cancel();
  }

  #step(event: PublisherEvent): void {
    for (const action of stepPublisher(this.#state, event)) this.#perform(action);
  }

  #perform(action: PublisherAction): void {
    switch (action.type) {
      case 'publish':
        void this.#publish(action).then(answer => this.#step({ type: 'answer', answer }));
        return;
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = this.#options.clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
      case 'cancel-timer':
        this.#timer?.cancel();
        return;
      case 'finish': {
        const { logger, package: of } = this.#options;
        const { status } = action;
        if (status !== undefined) logger.info({ package: of.name, status }, 'not to be published');
        this.#over?.();
        return;
      }
    }
  }

  async #publish({
    match,
    body,
    expiresS,
  }: Extract<PublisherAction, { type: 'publish' }>): Promise<PublishAnswer> {
    const { package: of, content, send } = this.#options;
    const told = body ? content() : undefined;
    const headers = {
      Event: of.name,
      Expires: String(expiresS),
      ...(match !== undefined && { 'SIP-If-Match': match }),
      ...(told && { 'Content-Type': told.type }),
    };
    try {
      return answerOf(await send(headers, told?.body ?? new Uint8Array(0)));
    } catch (error) {
      this.#options.logger.debug({ reason: asError(error).message }, 'could not publish');
      return { status: errorCode(error) === 'REQUEST_TIMEOUT' ? 408 : 503 };
    }
  }
}

function answerOf({ status, headers }: SipResponse): PublishAnswer {
  const etag = headers.text(SipETag.name)?.trim();
  const expiresS = headers.first(Expires);
  const minExpiresS = headers.first(MinExpires);
  const retryAfterS = headers.first(RetryAfter)?.seconds;
  return {
    status,
    ...(etag && { etag }),
    ...(expiresS !== undefined && { expiresS }),
    ...(minExpiresS !== undefined && { minExpiresS }),
    ...(retryAfterS !== undefined && { retryAfterS }),
  };
}
