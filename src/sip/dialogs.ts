/** Which of our dialogs a request belongs to, and who has that dialog: RFC 3261 §12.2.2, RFC 6665 §4.4.1. */
import { CallId, From, type SipRequest, To } from '@sip-stack/parser';
import { type Dialog, dialogKey } from './dialog.js';
import type { ServerTransaction } from './transaction/layer.js';

/** Has dialogs: a session, a subscription. */
export interface DialogUser {
  /** A request within one of its dialogs; an ACK comes without a transaction. */
  request(request: SipRequest, transaction: ServerTransaction | undefined): void;
}

/** What tells a dialog from all others, from our point of view. */
export type DialogId = Pick<Dialog, 'callId' | 'localTag' | 'remoteTag'>;

/** A dialog that the other side's NOTIFY is about to begin. */
export type ExpectedDialog = Pick<Dialog, 'callId' | 'localTag'>;

export class Dialogs {
  readonly #users = new Map<string, DialogUser>();
  readonly #expecting = new Map<string, DialogUser>();

  get size(): number {
    return this.#users.size;
  }

  add(dialog: DialogId, user: DialogUser): void {
    this.#users.set(keyOf(dialog), user);
  }

  /** Does nothing where somebody else has the dialog by now. */
  remove(dialog: DialogId, user: DialogUser): void {
    if (this.find(dialog) === user) this.#users.delete(keyOf(dialog));
  }

  find(dialog: DialogId): DialogUser | undefined {
    return this.#users.get(keyOf(dialog));
  }

  /** NOTIFYs to what is subscribed there go to `user`, whoever sends them. */
  expect({ callId, localTag }: ExpectedDialog, user: DialogUser): void {
    this.#expecting.set(dialogKey(callId, localTag, ''), user);
  }

  unexpect({ callId, localTag }: ExpectedDialog, user: DialogUser): void {
    const key = dialogKey(callId, localTag, '');
    if (this.#expecting.get(key) === user) this.#expecting.delete(key);
  }

  /** Whose a request that came in is. */
  userOf({ method, headers }: SipRequest): DialogUser | undefined {
    const callId = headers.require(CallId);
    const localTag = headers.require(To).params.get('tag') ?? '';
    const remoteTag = headers.require(From).params.get('tag') ?? '';
    const user = this.find({ callId, localTag, remoteTag });
    if (user || method !== 'NOTIFY') return user;
    return this.#expecting.get(dialogKey(callId, localTag, ''));
  }
}

function keyOf({ callId, localTag, remoteTag }: DialogId): string {
  return dialogKey(callId, localTag, remoteTag);
}
