/** The pages of the node list in the ring (node-list.ts): ours, kept up to date, and those of a neighbour that died. */
import type { Peer } from '../ring/peer.js';
import type { RingRecord } from '../ring/records.js';
import { type ListedNode, PAGES, pageKey, pageOf, readPage, writePage } from './node-list.js';
import { take } from './pace.js';
import { queueMove } from './super-node-moves.js';
import { ADOPT_RATE, othersFor, type SuperNodeState, startTask } from './super-node-state.js';

/** Changes are gathered for so long: a node that attaches is not listed at once. */
const GATHER_MS = 2_000;
const LIST_LIFE_MS = 3_600_000;
/** All pages again, in case some are missing. */
const RELIST_MS = 900_000;
/** Dead neighbours looked after at once: whole successor lists do not die together. */
const MAX_ADOPTING = 16;
const ADOPT_TRIES = 4;
/** Where nothing is there, which is usual. */
const EMPTY_TRIES = 2;
/** The copies of a dead owner's records are its successor's at once; what they lack comes with the next offers. */
const ADOPT_RETRY_MS = 2_000;

/** This node came, went, or is elsewhere now. */
export function listChanged(state: SuperNodeState, node: string): void {
  state.dirtyPages.add(pageOf(node));
  state.pagesAt = Math.min(state.pagesAt, state.now + GATHER_MS);
}

/** Puts the pages that changed. An empty one is a tombstone, where there was one. */
export function putPages(state: SuperNodeState): void {
  if (state.relistAt <= state.now) {
    for (const page of state.listed) state.dirtyPages.add(page);
    state.pagesAt = state.now;
    state.relistAt = Number.POSITIVE_INFINITY;
  }
  if (state.pagesAt > state.now) return;
  // Not put off by what changes: a page that does not would end meanwhile.
  if (state.relistAt === Number.POSITIVE_INFINITY) {
    state.relistAt = state.now + RELIST_MS * (0.9 + 0.2 * state.tools.chance());
  }
  const pages = new Map<number, ListedNode[]>();
  for (const page of state.dirtyPages) pages.set(page, []);
  for (const [id, { peer, contact }] of state.nodes) pages.get(pageOf(id))?.push({ peer, contact });
  state.dirtyPages.clear();
  state.pagesAt = Number.POSITIVE_INFINITY;
  for (const [page, nodes] of pages) {
    if (nodes.length === 0 && !state.listed.delete(page)) continue;
    if (nodes.length > 0) state.listed.add(page);
    const value = nodes.length > 0 ? writePage(nodes) : undefined;
    const key = pageKey(state.self.id, page);
    const record = state.tools.sign({ key, lifeMs: LIST_LIFE_MS, value });
    const tag = startTask(state, { type: 'page', page });
    state.out.push({ type: 'put', tag, record });
  }
}

/** A page that was not kept is put again. */
export function pagePut(state: SuperNodeState, page: number, kept: boolean): void {
  if (kept) return;
  state.listed.add(page);
  state.dirtyPages.add(page);
  state.pagesAt = Math.min(state.pagesAt, state.now + 5 * GATHER_MS);
}

export function adopt(state: SuperNodeState, dead: Peer): void {
  const known = state.adopting.some(({ dead: other }) => other.id === dead.id);
  if (known || state.adopting.length >= MAX_ADOPTING) return;
  state.others = state.others.filter(({ peer }) => peer.id !== dead.id);
  state.successors = state.successors.filter(({ id }) => id !== dead.id);
  for (let page = 0; page < PAGES; page++) readPageOf(state, dead, page, 1);
  state.adopting.push({ dead, waiting: PAGES });
}

/** Reads once more what nobody could tell. */
export function readAgain(state: SuperNodeState): void {
  const due = state.rereads.filter(({ at }) => at <= state.now);
  if (due.length === 0) return;
  state.rereads = state.rereads.filter(({ at }) => at > state.now);
  for (const { dead, page, attempt } of due) readPageOf(state, dead, page, attempt);
}

export function pageGot(
  state: SuperNodeState,
  dead: Peer,
  page: number,
  attempt: number,
  records: readonly RingRecord[] | undefined,
): void {
  const tries = records ? EMPTY_TRIES : ADOPT_TRIES;
  if (!records?.length && attempt < tries) {
    const at = state.now + ADOPT_RETRY_MS * attempt;
    state.rereads.push({ dead, page, attempt: attempt + 1, at });
    return;
  }
  const key = pageKey(dead.id, page);
  const own = records?.find(record => record.publisher === dead.id && record.key === key);
  if (own?.value && state.tools.verifyRecord(own)) {
    for (const node of readPage(own.value)) takeIn(state, node);
  }
  const adopting = state.adopting.find(({ dead: other }) => other.id === dead.id);
  if (adopting && --adopting.waiting === 0) {
    state.adopting = state.adopting.filter(other => other !== adopting);
  }
}

/** Tells it to come to us, or where there is room. Who is attached elsewhere declines. */
function takeIn(state: SuperNodeState, node: ListedNode): void {
  const { id } = node.peer;
  if (id === state.self.id || state.nodes.has(id)) return;
  if (!take(state.adoptions, ADOPT_RATE, state.now)) return;
  const room = state.options.maxNodes - state.nodes.size - coming(state);
  const to = room > 0 ? state.self : othersFor(state, id)[0]?.peer;
  if (to) queueMove(state, node, to);
}

/** How many were told, or are to be told, to come here. */
function coming({ self, moves, sent }: SuperNodeState): number {
  let count = 0;
  for (const { to } of moves) if (to.id === self.id) count++;
  for (const each of sent.values()) {
    if (each.type === 'move' && each.move.to.id === self.id) count++;
  }
  return count;
}

function readPageOf(state: SuperNodeState, dead: Peer, page: number, attempt: number): void {
  const tag = startTask(state, { type: 'adopt', dead, page, attempt });
  state.out.push({ type: 'get', tag, key: pageKey(dead.id, page), doubting: false });
}
