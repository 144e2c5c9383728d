/**
 * Which candidates there are and which is asked next, as a state machine: finds and outcomes in, candidates to try
 * out. Bounded and paced whatever the sources tell: a long list of the dead makes no storm, and every source has its
 * turn.
 */
import {
  type Candidate,
  type CandidateFailure,
  candidateKey,
  SOURCE_NAMES,
  type SourceName,
} from './candidate.js';

/** More than a LAN has super-nodes; of longer lists those go first that failed most. */
export const MAX_OF_A_SOURCE = 128;
/** Candidates that may be tried at once after a rest, and how soon one more. */
export const PACE = { atOnce: 6, everyMs: 250 } as const;
/** The same while somebody is proven: others are looked for without hurry. */
export const SETTLED_PACE = { atOnce: 2, everyMs: 5000 } as const;
/** Between two attempts at one that fails: doubling, from half to all of it by chance. */
const FIRST_RETRY_MS = 5000;
const LONGEST_RETRY_MS = 15 * 60_000;
/** Who failed and is heard again, by a source that hears only the living, is asked again after so long. */
const HEARD_RETRY_MS = 3000;
const LIVING: readonly SourceName[] = ['mdns', 'flood'];
/** Whoever tried it and never told the outcome: it may be tried again. */
const UNTOLD_MS = 60_000;

interface Entry {
  candidate: Candidate;
  failures: number;
  dueAt: number;
  triedAt: number;
  proven: boolean;
  readonly order: number;
}

export interface CandidateBook {
  readonly overlay: string;
  /** Our own node ID: we are no candidate. */
  readonly own: string | undefined;
  readonly random: () => number;
  /** By `candidateKey`. */
  readonly entries: Map<string, Entry>;
  /** When a source had its turn last, counted. */
  readonly turns: Map<SourceName, number>;
  count: number;
  /** How many candidates are waited for. */
  wanted: number;
  /** Nobody serves us, though somebody was proven: until somebody is again. */
  hurried: boolean;
  /** The pace: how many may be tried, as of `pacedAt`. */
  allowed: number;
  pacedAt: number;
}

/** `now` is in milliseconds on one monotonic scale. */
export type BookEvent = { readonly now: number } & (
  | { readonly kind: 'found' | 'proved'; readonly candidate: Candidate }
  | {
      readonly kind: 'failed';
      readonly candidate: Candidate;
      readonly reason: CandidateFailure;
    }
  /** That node is no super-node, or none any more, under whichever address. */
  | { readonly kind: 'gone'; readonly nodeId: string }
  /** Another network: who did not answer before may answer now. */
  | { readonly kind: 'network' }
  /** Whoever was proven does not serve us. */
  | { readonly kind: 'hurried' }
  /** One more candidate is waited for, or one less. */
  | { readonly kind: 'wanted' | 'unwanted' }
  /** The time `wakeAt` gave has come. */
  | { readonly kind: 'due' }
);

export type BookAction =
  | { readonly kind: 'try'; readonly candidate: Candidate }
  /** The first is proven. */
  | { readonly kind: 'settled' }
  /** The last that was proven is lost. */
  | { readonly kind: 'lost' };

/** @param random gives numbers in [0, 1) */
export function newCandidateBook(
  overlay: string,
  random: () => number,
  own?: string,
): CandidateBook {
  return {
    overlay,
    own,
    random,
    entries: new Map(),
    turns: new Map(),
    count: 0,
    wanted: 0,
    hurried: false,
    allowed: PACE.atOnce,
    pacedAt: 0,
  };
}

export function stepBook(book: CandidateBook, event: BookEvent): BookAction[] {
  const before = isSettled(book);
  const pace = paceOf(book);
  switch (event.kind) {
    case 'found':
      found(book, event.candidate, event.now);
      break;
    case 'proved':
      prove(book, event.candidate, event.now);
      break;
    case 'failed':
      fail(book, event.candidate, event.reason, event.now);
      break;
    case 'gone':
      gone(book, event.nodeId, event.now);
      break;
    case 'network':
      for (const entry of book.entries.values()) {
        entry.failures = 0;
        entry.dueAt = Math.min(entry.dueAt, event.now);
      }
      break;
    case 'hurried':
      book.hurried = true;
      break;
    case 'wanted':
      book.wanted++;
      break;
    case 'unwanted':
      book.wanted--;
      break;
    case 'due':
      break;
  }
  gain(book, pace, event.now);
  const after = isSettled(book);
  const actions: BookAction[] = [];
  if (before && !after) actions.push({ kind: 'lost' });
  if (!before && after) actions.push({ kind: 'settled' });
  while (book.wanted > 0 && book.allowed >= 1) {
    const entry = next(book, event.now);
    if (!entry) break;
    book.allowed--;
    book.wanted--;
    entry.triedAt = event.now;
    entry.dueAt = event.now + UNTOLD_MS;
    book.turns.set(entry.candidate.source, ++book.count);
    actions.push({ kind: 'try', candidate: entry.candidate });
  }
  return actions;
}

/** When the next `due` event is wanted; Infinity if never. */
export function wakeAt(book: CandidateBook): number {
  if (book.wanted === 0) return Number.POSITIVE_INFINITY;
  const open = [...book.entries.values()].filter(entry => isOpen(book, entry));
  const dueAt = Math.min(Number.POSITIVE_INFINITY, ...open.map(entry => entry.dueAt));
  const { everyMs } = paceOf(book);
  return book.allowed >= 1 ? dueAt : Math.max(dueAt, book.pacedAt + everyMs);
}

export function isSettled({ entries }: CandidateBook): boolean {
  for (const { proven } of entries.values()) if (proven) return true;
  return false;
}

/** Under all addresses that are known of it. */
export function ofNode(book: CandidateBook, nodeId: string): Candidate[] {
  return entriesOf(book, nodeId).map(({ candidate }) => candidate);
}

function entriesOf({ entries }: CandidateBook, nodeId: string): Entry[] {
  return [...entries.values()].filter(({ candidate }) => candidate.nodeId === nodeId);
}

function paceOf(book: CandidateBook): { readonly atOnce: number; readonly everyMs: number } {
  return isSettled(book) && !book.hurried ? SETTLED_PACE : PACE;
}

/** Added up as in `wakeAt`: what is due by the one has to be by the other. */
function gain(book: CandidateBook, { atOnce, everyMs }: ReturnType<typeof paceOf>, now: number) {
  while (book.allowed < atOnce && book.pacedAt + everyMs <= now) {
    book.allowed++;
    book.pacedAt += everyMs;
  }
  if (book.allowed >= atOnce) book.pacedAt = now;
}

function found(book: CandidateBook, candidate: Candidate, now: number): void {
  const { overlay, nodeId, source } = candidate;
  if (overlay !== undefined && overlay !== book.overlay) return;
  if (nodeId !== undefined && nodeId === book.own) return;
  const entry = book.entries.get(candidateKey(candidate));
  if (!entry) {
    add(book, candidate, now);
    return;
  }
  const isOther = nodeId !== undefined && nodeId !== entry.candidate.nodeId;
  // Who tells more, or hears it now, is believed over who told first.
  if (isOther || LIVING.includes(source)) entry.candidate = { ...entry.candidate, ...candidate };
  if (entry.failures > 0 && LIVING.includes(source))
    entry.dueAt = Math.min(entry.dueAt, entry.triedAt + HEARD_RETRY_MS);
}

function add(book: CandidateBook, candidate: Candidate, now: number): Entry | undefined {
  const ofSource = [...book.entries].filter(([, each]) => {
    return each.candidate.source === candidate.source && !each.proven;
  });
  if (ofSource.length >= MAX_OF_A_SOURCE) {
    const [worst] = ofSource.sort(([, a], [, b]) => b.failures - a.failures || a.order - b.order);
    // Nobody who was not even asked yet makes room for one more like it.
    if (!worst || worst[1].failures === 0) return undefined;
    book.entries.delete(worst[0]);
  }
  const order = ++book.count;
  const never = Number.NEGATIVE_INFINITY;
  const entry = { candidate, failures: 0, dueAt: now, triedAt: never, proven: false, order };
  book.entries.set(candidateKey(candidate), entry);
  return entry;
}

function prove(book: CandidateBook, candidate: Candidate, now: number): void {
  const entry = book.entries.get(candidateKey(candidate)) ?? add(book, candidate, now);
  if (!entry) return;
  book.hurried = false;
  entry.proven = true;
  entry.failures = 0;
  if (candidate.nodeId !== undefined)
    entry.candidate = { ...entry.candidate, nodeId: candidate.nodeId };
}

function fail(
  book: CandidateBook,
  candidate: Candidate,
  reason: CandidateFailure,
  now: number,
): void {
  const entry = book.entries.get(candidateKey(candidate));
  if (!entry) return;
  const doubled = FIRST_RETRY_MS * 2 ** Math.min(entry.failures, 20);
  const pauseMs = reason === 'other-overlay' ? LONGEST_RETRY_MS : doubled;
  entry.dueAt = now + Math.min(LONGEST_RETRY_MS, pauseMs) * (0.5 + book.random() / 2);
  entry.failures++;
  entry.proven = false;
}

/** All its addresses were tried when one was: it is heard again at the first that is told. */
function gone(book: CandidateBook, nodeId: string, now: number): void {
  const entries = entriesOf(book, nodeId);
  const triedAt = Math.max(...entries.map(entry => entry.triedAt));
  for (const entry of entries) {
    fail(book, entry.candidate, 'no-answer', now);
    entry.triedAt = triedAt;
  }
}

/** Whether it makes sense to try it: not the proven, under whichever address. */
function isOpen({ entries }: CandidateBook, { proven, candidate: { nodeId } }: Entry): boolean {
  if (proven) return false;
  if (nodeId === undefined) return true;
  for (const other of entries.values())
    if (other.proven && other.candidate.nodeId === nodeId) return false;
  return true;
}

/** Of the source whose turn it is, the one that failed least. */
function next(book: CandidateBook, now: number): Entry | undefined {
  let best: Entry | undefined;
  for (const entry of book.entries.values()) {
    if (entry.dueAt > now || !isOpen(book, entry)) continue;
    if (!best || compare(book, entry, best) < 0) best = entry;
  }
  return best;
}

function compare({ turns }: CandidateBook, a: Entry, b: Entry): number {
  const turn = ({ candidate }: Entry) => turns.get(candidate.source) ?? 0;
  const rank = ({ candidate }: Entry) => SOURCE_NAMES.indexOf(candidate.source);
  return turn(a) - turn(b) || rank(a) - rank(b) || a.failures - b.failures || a.order - b.order;
}
