/**
 * The list of its nodes that a super-node keeps in the ring, in pages, so that whoever follows it can look after them
 * when it dies. The pages stand under the places just before its own id: it owns them, its successors hold the copies,
 * and when it is gone the first of these owns them and has them.
 */
import { ID_DIGITS, type Id, isId } from '../ring/ids.js';
import { furtherAddress, type Peer } from '../ring/peer.js';
import { MAX_VALUE_BYTES } from '../ring/records.js';

export interface ListedNode {
  readonly peer: Peer;
  /** SIP URI that reaches it. */
  readonly contact: string;
}

/** By the first digit of a node's id: a node that comes or goes changes one page. */
export const PAGES = 16;
/** Of one page; what says more is not believed. */
const MAX_LISTED = 1_000;
const MAX_TEXT = 512;

/** Places before the super-node's own. */
export function pageKey(superNode: Id, page: number): Id {
  const places = 1n << BigInt(4 * ID_DIGITS);
  const place = (BigInt(`0x${superNode}`) + places - 1n - BigInt(page)) % places;
  return place.toString(16).padStart(ID_DIGITS, '0');
}

export function pageOf(node: Id): number {
  return Number.parseInt(node[0] ?? '0', 16);
}

/**
 * JSON: an array of `[id, address, contact]`, with a further address where there is one; later versions may say more of
 * each. Who has no room in a record any more is left out: it looks for a super-node by itself.
 */
export function writePage(nodes: readonly ListedNode[]): Uint8Array {
  const rows: string[] = [];
  let octets = 2;
  for (const { peer, contact } of nodes) {
    const { id, address, also } = peer;
    const row = JSON.stringify([id, address, contact, ...(also === undefined ? [] : [also])]);
    octets += Buffer.byteLength(row) + 1;
    if (octets > MAX_VALUE_BYTES) break;
    rows.push(row);
  }
  return Buffer.from(`[${rows.join()}]`);
}

/** What cannot be read is left out: it only means that a node looks for a super-node by itself. */
export function readPage(value: Uint8Array): ListedNode[] {
  let rows: unknown;
  try {
    rows = JSON.parse(Buffer.from(value).toString('utf8'));
  } catch {
    return [];
  }
  if (!Array.isArray(rows)) return [];
  return rows.slice(0, MAX_LISTED).flatMap((row: unknown) => {
    const [id, address, contact, also]: unknown[] = Array.isArray(row) ? row : [];
    if (!isShortText(id) || !isShortText(address) || !isShortText(contact)) return [];
    if (!isId(id) || !address || !contact) return [];
    return [{ peer: { id, address, ...furtherAddress(also) }, contact }];
  });
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}
