/**
 * One call under a random schedule: both sides do what callers and callees do at random moments, over a
 * network that loses, doubles and reorders. Whatever happens, both must agree on its fate in the end.
 */
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { type Pair, pair, record } from './pair.js';

/** Both have hung up by then. */
const LAST_ACT_MS = 60_000;
/** Then nothing can be left: 64 T1 after the last act, for the longest chain of retransmissions. */
const SETTLED_MS = 200_000;

export interface Outcome {
  readonly seed: number;
  readonly caller: readonly string[];
  readonly callee: readonly string[];
  /** What is wrong; empty where both agree and nothing is left. */
  readonly complaints: readonly string[];
}

export async function playSchedule(seed: number): Promise<Outcome> {
  const chance = new SeededRandom(seed);
  const link = {
    delayMs: 1 + chance.unit() * 50,
    jitterMs: chance.unit() * 150,
    loss: chance.unit() * 0.3,
    duplication: chance.unit() * 0.2,
  };
  const lab = await pair(seed, link);
  const callees: { session: SipSession; events: string[] }[] = [];
  lab.bob.onSession = session => {
    callees.push({ session, events: record(session) });
    answerOffers(session, chance);
    actAsCallee(lab, session, chance);
  };
  const session = lab.call('offer');
  const caller = record(session);
  answerOffers(session, chance);
  actAlong(lab, session, chance);
  if (chance.unit() < 0.3) at(lab, chance, 3000, () => session.hangUp());
  lab.clock.after(LAST_ACT_MS, () => {
    session.hangUp();
    for (const { session } of callees) session.hangUp();
  });
  await lab.clock.advance(LAST_ACT_MS + SETTLED_MS);
  const callee = callees.flatMap(({ events }) => events);
  const complaints = [...disagreements(caller, callee), ...leftovers(lab)];
  if (callees.length > 1) complaints.push(`${callees.length} calls came of one INVITE`);
  return { seed, caller, callee, complaints };
}

function actAsCallee(lab: Pair, session: SipSession, chance: SeededRandom): void {
  if (chance.unit() < 0.7) at(lab, chance, 500, () => session.ring());
  if (chance.unit() < 0.3) at(lab, chance, 1000, () => session.progress('early answer'));
  const answers = chance.unit();
  if (answers < 0.7) at(lab, chance, 5000, () => session.accept('answer'));
  else if (answers < 0.85) at(lab, chance, 5000, () => session.reject(486));
  actAlong(lab, session, chance);
}

/** What either side may do once they talk. */
function actAlong(lab: Pair, session: SipSession, chance: SeededRandom): void {
  for (let i = 0; i < 2; i++) {
    if (chance.unit() < 0.4) at(lab, chance, 20_000, () => session.reoffer(`offer ${i}`));
  }
  if (chance.unit() < 0.4) at(lab, chance, 30_000, () => session.hangUp());
}

function answerOffers(session: SipSession, chance: SeededRandom): void {
  session.on('reoffer', () => {
    if (chance.unit() < 0.8) session.accept('another answer');
    else session.reject(488);
  });
}

function at(lab: Pair, chance: SeededRandom, withinMs: number, act: () => void): void {
  lab.clock.after(chance.unit() * withinMs, act);
}

function disagreements(caller: readonly string[], callee: readonly string[]): string[] {
  const found: string[] = [];
  for (const [side, events] of [
    ['caller', caller],
    ['callee', callee],
  ] as const) {
    const ends = events.filter(event => event.startsWith('ended'));
    if (events.length > 0 && ends.length !== 1)
      found.push(`the ${side} was told ${ends.length} ends`);
    if (ends.length > 0 && !events.at(-1)?.startsWith('ended'))
      found.push(`the ${side} heard more after the end`);
  }
  const answered = caller.some(event => event.startsWith('answered'));
  const gaveUp = caller.includes('ended by local 487');
  const confirmed = callee.some(event => event.startsWith('confirmed'));
  if (confirmed && !answered && !gaveUp)
    found.push('confirmed to the callee, but never answered at the caller');
  if (answered && callee.length === 0) found.push('answered at the caller by nobody');
  if (answered && callee.includes('ended by local 486')) found.push('answered and refused at once');
  return found;
}

function leftovers({ alice, bob, clock }: Pair): string[] {
  const found: string[] = [];
  for (const [name, agent] of [
    ['caller', alice],
    ['callee', bob],
  ] as const) {
    for (const [what, count] of Object.entries(agent.load)) {
      if (count > 0) found.push(`${count} ${what} left at the ${name}`);
    }
  }
  if (clock.pending > 0) found.push(`${clock.pending} timers left`);
  return found;
}
