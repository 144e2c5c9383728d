/** Which of several answers goes back: RFC 3261 §16.7 steps 6 and 7. */
import { reasonPhrase, type SipResponse } from '@sip-stack/parser';

/** Those of their class from which the caller learns most (step 6). */
const TELLING: readonly number[] = [401, 407, 415, 420, 484];
const CHALLENGES = ['WWW-Authenticate', 'Proxy-Authenticate'];

/** @returns the answer to send, completed from the others; undefined where there is none */
export function bestResponse(finals: readonly SipResponse[]): SipResponse | undefined {
  const best = finals.reduce<SipResponse | undefined>(
    (chosen, response) => (chosen && rank(chosen) <= rank(response) ? chosen : response),
    undefined,
  );
  if (!best) return undefined;
  if (best.status === 401 || best.status === 407) gatherChallenges(best, finals);
  if (best.status === 503) {
    // One branch is overloaded: that does not tell the caller to stay away from this proxy.
    best.status = 500;
    best.reason = reasonPhrase(500);
  }
  return best;
}

/** Lower is better: 6xx before all, then the lowest class, telling ones first and 503 last in it. */
function rank({ status }: SipResponse): number {
  const group = Math.floor(status / 100);
  if (group === 6) return 0;
  const within = TELLING.includes(status) ? 0 : status === 503 ? 2 : 1;
  return 10 * group + within;
}

/** The caller needs the challenges of all branches to pass at all of them (step 7). */
function gatherChallenges(best: SipResponse, finals: readonly SipResponse[]): void {
  const challenged = finals.filter(({ status }) => status === 401 || status === 407);
  for (const name of CHALLENGES) {
    const challenges = challenged.flatMap(({ headers }) => headers.texts(name));
    best.headers.setText(name, ...new Set(challenges));
  }
}
