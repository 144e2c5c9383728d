/**
 * Session timers, RFC 4028: a call whose other side has vanished ends by itself, also where no media
 * tells. One side refreshes half-way through the interval; the other ends the call when no refresh came.
 */
import {
  MinSE,
  Params,
  Require,
  SessionExpires,
  type SipRequest,
  type SipResponse,
  Supported,
} from '@sip-stack/parser';

/** Asked for and granted, in seconds: RFC 4028 §4 recommends 1800. */
export const SESSION_INTERVAL_S = 1800;
/** The shortest we accept: RFC 4028 §5. */
export const MIN_INTERVAL_S = 90;
/** Granted less than we bear, against §7.2, a call goes on; but not for a storm of refreshes. */
const LEAST_HEEDED_S = 2;
/** A party that is not the refresher ends the session this long before it expires, at most: §10. */
const EXPIRY_MARGIN_S = 32;

export interface SessionTimerState {
  /** Agreed on in the last 2xx; undefined where the other side has no session timers. */
  intervalS: number | undefined;
  refresher: 'us' | 'them';
  /** What our next request asks for; raised by 422. */
  wantedS: number;
  minS: number;
}

export function newSessionTimer(): SessionTimerState {
  const [wantedS, minS] = [SESSION_INTERVAL_S, MIN_INTERVAL_S];
  return { intervalS: undefined, refresher: 'us', wantedS, minS };
}

/** What each INVITE and UPDATE of ours says (§7.1). `refresher` is left open in the first. */
export function askForTimer(
  { wantedS, minS, intervalS, refresher }: SessionTimerState,
  request: SipRequest,
): void {
  // Within a session who refreshes stays as it is: we are the UAC of this request.
  const who = intervalS === undefined ? undefined : refresher === 'us' ? 'uac' : 'uas';
  request.headers.set(SessionExpires, interval(wantedS, who));
  if (minS > MIN_INTERVAL_S) request.headers.set(MinSE, interval(minS));
}

/** Whether a request asks for a shorter interval than we bear: it deserves 422 (§9). */
export function intervalTooSmall(request: SipRequest): boolean {
  const asked = request.headers.first(SessionExpires);
  return asked !== undefined && asked.seconds < MIN_INTERVAL_S && supportsTimer(request);
}

/** Takes note of what a 422 demands; false where it demands nothing we could grant (§7.4). */
export function raiseInterval(timer: SessionTimerState, response: SipResponse): boolean {
  const demanded = response.headers.first(MinSE)?.seconds;
  if (demanded === undefined || demanded <= timer.minS) return false;
  timer.minS = demanded;
  timer.wantedS = Math.max(timer.wantedS, demanded);
  return true;
}

/** The callee's side: agrees on an interval and writes it into the 2xx (§9). */
export function grantTimer(
  timer: SessionTimerState,
  request: SipRequest,
  response: SipResponse,
): void {
  const { headers } = request;
  const asked = headers.first(SessionExpires);
  const theySupport = supportsTimer(request);
  if (!asked && !theySupport) {
    timer.intervalS = undefined;
    return;
  }
  const least = Math.max(MIN_INTERVAL_S, headers.first(MinSE)?.seconds ?? 0);
  timer.intervalS = Math.max(least, asked?.seconds ?? SESSION_INTERVAL_S);
  // Whoever asked refreshes, unless it said otherwise or cannot.
  timer.refresher = theySupport && asked?.params.get('refresher') !== 'uas' ? 'them' : 'us';
  const refresher = timer.refresher === 'them' ? 'uac' : 'uas';
  response.headers.set(SessionExpires, interval(timer.intervalS, refresher));
  if (refresher === 'uac') response.headers.append(Require, 'timer');
}

/** The caller's side: what the 2xx agreed on (§7.2). */
export function agreeTimer(timer: SessionTimerState, response: SipResponse): void {
  const granted = response.headers.first(SessionExpires);
  timer.intervalS = granted && Math.max(granted.seconds, LEAST_HEEDED_S);
  timer.refresher = granted?.params.get('refresher') === 'uas' ? 'them' : 'us';
}

/** When to refresh, or when to give up on the other side's refresh, in ms from now (§10). */
export function timerDue({
  intervalS,
  refresher,
}: SessionTimerState): { timer: 'refresh' | 'expire'; ms: number } | undefined {
  if (intervalS === undefined) return undefined;
  if (refresher === 'us') return { timer: 'refresh', ms: (intervalS / 2) * 1000 };
  return { timer: 'expire', ms: (intervalS - Math.min(EXPIRY_MARGIN_S, intervalS / 3)) * 1000 };
}

/** Of Session-Expires, and without a refresher of Min-SE. */
export function interval(seconds: number, refresher?: 'uac' | 'uas') {
  return { seconds, params: refresher ? Params.from({ refresher }) : new Params() };
}

function supportsTimer({ headers }: SipRequest): boolean {
  return headers.all(Supported).some(option => option.toLowerCase() === 'timer');
}
