/**
 * Our address has changed: the other side is told where we are now. Contact is what its later requests go to, as a
 * target refresh (RFC 3261 §12.2.1); the description of our media says where its voice goes (§14.1).
 */
import { Contact, type NameAddr, Supported } from '@sip-stack/parser';
import { type Dialog, requestInDialog } from '../dialog.js';
import { attempt } from './renegotiation.js';
import { SESSION_OPTIONS } from './requests.js';
import type { Session, SessionAction } from './state.js';

/** @param sdp our media as it is now; undefined while there is none, since what is said later tells it */
export function move(
  session: Session,
  contact: NameAddr,
  sdp: string | undefined,
): SessionAction[] {
  session.contact = contact;
  session.movesFailed = 0;
  switch (session.phase) {
    case 'established':
      return sdp === undefined ? [] : moveEstablished(session, sdp);
    case 'inviting':
      // A new offer would have to wait for the answer to the first: it is made when the call is taken.
      postpone(session, sdp);
      return [...session.early.values()].flatMap(({ dialog, updates }) =>
        updates ? [refreshEarly(contact, dialog)] : [],
      );
    case 'alerting':
      postpone(session, sdp);
      return session.dialog && session.peerUpdates ? [refreshEarly(contact, session.dialog)] : [];
    case 'cancelling':
    case 'ended':
      return [];
  }
}

function moveEstablished(session: Session, sdp: string): SessionAction[] {
  // What waits for its turn was described where we were: it goes out as we are now, and tells both.
  const refresh = session.postponed?.refresh ?? true;
  session.postponed = undefined;
  return attempt(session, { method: 'INVITE', offer: sdp, refresh, moves: true });
}

function postpone(session: Session, sdp: string | undefined): void {
  if (sdp === undefined) return;
  session.postponed = { method: 'INVITE', sequence: 0, offer: sdp, refresh: true, moves: true };
}

/** UPDATE without an offer, which is allowed at any time (RFC 3311 §5.1). What comes of it matters to nobody. */
function refreshEarly(contact: NameAddr, dialog: Dialog): SessionAction {
  const request = requestInDialog(dialog, 'UPDATE');
  request.headers.set(Contact, contact).set(Supported, ...SESSION_OPTIONS);
  return { type: 'send', request };
}
