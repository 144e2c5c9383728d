/** The driver of the inbox: a record for each message, so that a new one costs one small write. */
import { EventEmitter } from 'node:events';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Store } from '../../storage/store.js';
import {
  type InboxAction,
  type InboxEvent,
  type InboxLimits,
  newInbox,
  stepInbox,
  type TextMessage,
  unseen,
} from './inbox-machine.js';

const PREFIX = 'messages/kept-';
const SEEN_RECORD = 'messages/seen';

export interface InboxEvents {
  /** A message came in and is kept; tell `seen` when somebody has seen it. */
  message: [message: TextMessage];
}

export interface InboxOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly limits?: InboxLimits;
}

/** How a request that brought a message is answered. */
export type Acknowledge = (status: 200 | 480 | 500) => void;

export class Inbox extends EventEmitter<InboxEvents> {
  readonly #options: InboxOptions;
  readonly #waiting = new Map<number, Acknowledge>();
  #state = newInbox();
  #tokens = 0;

  /** Reads what was kept. A record that cannot be read is left where it is. */
  static async open(options: InboxOptions): Promise<Inbox> {
    const { store, limits, logger } = options;
    const inbox = new Inbox(options);
    try {
      const kept: TextMessage[] = [];
      for (const key of await store.keys(PREFIX)) {
        const message = await store.get<TextMessage>(key);
        if (message && keyOf(message.id) === key) kept.push(message);
      }
      const seenTo = (await store.get<number>(SEEN_RECORD)) ?? 0;
      inbox.#state = newInbox(
        limits,
        kept.sort((a, b) => a.id - b.id),
        seenTo,
      );
    } catch (error) {
      logger.warn({ reason: asError(error).message }, 'messages could not be read');
    }
    return inbox;
  }

  private constructor(options: InboxOptions) {
    super();
    this.#options = options;
    this.#state = newInbox(options.limits);
  }

  /** The oldest first. */
  get unseen(): readonly TextMessage[] {
    return unseen(this.#state);
  }

  /** Everything kept, the oldest first. */
  get all(): readonly TextMessage[] {
    return [...this.#state.entries.values()]
      .filter(({ stored }) => stored)
      .map(({ message }) => message);
  }

  receive(message: Omit<TextMessage, 'id'>, acknowledge: Acknowledge): void {
    this.#tokens++;
    this.#waiting.set(this.#tokens, acknowledge);
    this.#step({ type: 'received', message, token: this.#tokens });
  }

  /** Somebody has seen all messages up to this one. */
  seen({ id }: Pick<TextMessage, 'id'>): void {
    this.#step({ type: 'seen', id });
  }

  #step(event: InboxEvent): void {
    for (const action of stepInbox(this.#state, event)) this.#perform(action);
  }

  #perform(action: InboxAction): void {
    const { store } = this.#options;
    switch (action.type) {
      case 'store': {
        const { message } = action;
        const { id } = message;
        store.set(keyOf(id), message).then(
          () => this.#step({ type: 'stored', id }),
          error => {
            this.#problem(error);
            this.#step({ type: 'not-stored', id });
          },
        );
        return;
      }
      case 'drop':
        store.delete(keyOf(action.id)).catch(error => this.#problem(error));
        return;
      case 'keep-seen':
        store.set(SEEN_RECORD, action.id).catch(error => this.#problem(error));
        return;
      case 'respond':
        this.#waiting.get(action.token)?.(action.status);
        this.#waiting.delete(action.token);
        return;
      case 'tell':
        this.emit('message', action.message);
        return;
    }
  }

  #problem(error: unknown): void {
    this.#options.logger.warn({ reason: asError(error).message }, 'a message could not be kept');
  }
}

/** In the order of their IDs. */
function keyOf(id: number): string {
  return `${PREFIX}${String(id).padStart(10, '0')}`;
}
