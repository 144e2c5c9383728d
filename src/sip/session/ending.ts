/** How sessions end (RFC 3261 §15). */
import { requestInDialog } from '../dialog.js';
import { respond } from './requests.js';
import {
  type EndReason,
  notify,
  type Session,
  type SessionAction,
  type SessionTimer,
} from './state.js';

const ALL_TIMERS: readonly SessionTimer[] = [
  'retransmit',
  'acknowledge',
  'cancel',
  'reliable',
  'glare',
  'refresh',
  'expire',
];

/** Sends BYE and forgets the dialog at once (§15.1.1). */
export function bye(session: Session): SessionAction[] {
  const { dialog } = session;
  const actions = close(session);
  if (dialog) actions.push({ type: 'send', request: requestInDialog(dialog, 'BYE') });
  return [...actions, { type: 'release' }];
}

/** Ends without a BYE: there never was, or is no longer, a dialog on the other side. */
export function end(session: Session, reason: EndReason): SessionAction[] {
  // Who hung up or gave up was told already.
  const told = session.phase === 'cancelling' || session.byeWanted;
  const actions = close(session);
  if (!told) actions.push(notify({ type: 'ended', reason }));
  return [...actions, { type: 'release' }];
}

function close(session: Session): SessionAction[] {
  const { theirs } = session;
  // Every request has its answer, also one that the end overtook (§15.1.2).
  const actions: SessionAction[] = theirs ? [respond(session, theirs, 487)] : [];
  session.phase = 'ended';
  session.unacknowledged = undefined;
  session.ours = undefined;
  session.theirs = undefined;
  // Its release takes their dialogs along.
  session.early.clear();
  if (session.reliable) session.reliable.pending = undefined;
  for (const timer of ALL_TIMERS) actions.push({ type: 'cancel-timer', timer });
  return actions;
}
