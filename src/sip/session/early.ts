/**
 * The dialogs that provisional responses begin at the caller: RFC 3261 §12.1, one for each phone that a
 * fork reached. They last until one of them is answered, or the INVITE ends.
 */
import { Allow, From, type SipRequest, type SipResponse, To } from '@sip-stack/parser';
import { type Dialog, dialogOfCaller } from '../dialog.js';
import { respond } from './requests.js';
import type { EarlyDialog, Session, SessionAction } from './state.js';

/** A fork that rings more phones than this has the others go unheard until one is answered. */
export const MAX_EARLY_DIALOGS = 16;

/** The dialog this response belongs to, and what to do where it has just begun. */
export function earlyDialog(
  session: Session,
  response: SipResponse,
): { early: EarlyDialog | undefined; actions: SessionAction[] } {
  const tag = response.headers.require(To).params.get('tag');
  // RFC 2543 peers send none: they have no dialog before the answer.
  if (tag === undefined) return { early: undefined, actions: [] };
  const known = session.early.get(tag);
  if (known) return { early: known, actions: [] };
  if (session.early.size >= MAX_EARLY_DIALOGS) return { early: undefined, actions: [] };
  const dialog = dialogOfCaller(session.invite, response);
  const updates = response.headers.all(Allow).includes('UPDATE');
  const early = { dialog, updates, lastRSeq: undefined, answer: undefined, renegotiated: false };
  session.early.set(tag, early);
  return { early, actions: [{ type: 'dialog', dialog }] };
}

/** The dialog a request of the other side is sent in: the only one, or an early one of several. */
export function dialogOf(session: Session, request: SipRequest): Dialog | undefined {
  return session.dialog ?? earlyDialogOf(session, request)?.dialog;
}

export function earlyDialogOf(session: Session, request: SipRequest): EarlyDialog | undefined {
  return session.early.get(request.headers.require(From).params.get('tag') ?? '');
}

/** All but that with this tag are over; what one of them asked and nobody answered is refused. */
export function dropEarlyDialogs(session: Session, exceptTag?: string): SessionAction[] {
  const actions: SessionAction[] = [];
  const asked = session.theirs?.headers.require(From).params.get('tag');
  for (const [tag, { dialog }] of session.early) {
    if (tag === exceptTag) continue;
    actions.push({ type: 'dialog-over', dialog });
    if (session.theirs && tag === asked) {
      actions.push(respond(session, session.theirs, 487));
      session.theirs = undefined;
    }
  }
  session.early.clear();
  return actions;
}
