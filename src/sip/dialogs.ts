/** Which of our dialogs a request belongs to, and who has that dialog: RFC 3261 §12.2.2. */
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

export class Dialogs {
  readonly #users = new Map<string, DialogUser>();

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

  /** Whose a request that came in is. */
  userOf({ headers }: SipRequest): DialogUser | undefined {
    return this.find({
      callId: headers.require(CallId),
      localTag: headers.require(To).params.get('tag') ?? '',
      remoteTag: headers.require(From).params.get('tag') ?? '',
    });
  }
}

function keyOf({ callId, localTag, remoteTag }: DialogId): string {
  return dialogKey(callId, localTag, remoteTag);
}
