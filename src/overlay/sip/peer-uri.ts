/**
 * Members as SIP URIs. Written: `sip:P@192.0.2.1:5061;peer-ID=<40 hexadecimal digits>`. Read: every spelling of
 * draft-bryan-p2psip-dsip-00 and draft-zangrilli-p2psip-dsip-dhtchord-00, and `sip:<id>@192.0.2.1;user=node`.
 */
import {
  formatUri,
  isSipUri,
  type NameAddr,
  Params,
  parseUri,
  type SipUri,
} from '@sip-stack/parser';
import { CodedError } from '../../core/errors.js';
import { type Id, idOf, isId, UNKNOWN_ID } from '../ring/ids.js';
import { BY_TCP, furtherAddress, type Peer } from '../ring/peer.js';
import { shown, Unreadable } from './refusal.js';

/** How the hash of names is called here, and by others. */
export const ALGORITHM = 'sha1';
const ALGORITHMS: readonly string[] = ['sha1', 'sha-1'];
/** The address of whoever is looked for: any (draft-bryan-p2psip-dsip-00). */
const ANYBODY = '0.0.0.0';
const PEER_USERS: readonly (string | undefined)[] = ['p', 'peer'];
const PEER_ID: readonly string[] = ['peer-ID', 'peerID', 'pID'];
const RESOURCE_ID: readonly string[] = ['resource-ID', 'resourceID', 'rID'];
/** A further address. */
const ALSO = 'also';
const MAX_ADDRESS_UNITS = 300;

/** @throws {CodedError} `UNWRITABLE` */
export function peerUri(peer: Peer): SipUri {
  const uri = uriOfAddress(peer.address, 'P');
  if (peer.id === UNKNOWN_ID) return uri;
  const { id, also } = peer;
  const params = { 'peer-ID': writableId(id), ...(also !== undefined && { [ALSO]: also }) };
  return { ...uri, params: withTransport(params, uri) };
}

/** `sip:<id>@192.0.2.1:5061;user=node;alg=sha1`, in From and in To of what a member says of itself. */
export function nodeUri(peer: Peer): SipUri {
  const uri = uriOfAddress(peer.address, writableId(peer.id));
  return { ...uri, params: withTransport({ user: 'node', alg: ALGORITHM }, uri) };
}

/** Last: readers of the drafts know nothing of it. */
function withTransport(params: Readonly<Record<string, string>>, uri: SipUri): Params {
  const transport = uri.params.get('transport');
  return Params.from(transport === undefined ? params : { ...params, transport });
}

/**
 * Where a node is reached.
 * @throws {CodedError} `UNWRITABLE`
 */
export function contactUri(text: string): SipUri {
  const uri = sipUriOf(text);
  if (uri) return uri;
  throw new CodedError('UNWRITABLE', `expected the SIP URI of a node, found ${shown(text)}`);
}

/** A place on the ring, whoever is there. */
export function placeUri(key: Id, param: 'peer-ID' | 'resource-ID'): SipUri {
  return { ...uriOfAddress(ANYBODY, 'P'), params: Params.from({ [param]: writableId(key) }) };
}

/** Whether this is the URI of a member, known or not, rather than of a user. */
export function isPeerUri(uri: SipUri): boolean {
  return PEER_USERS.includes(uri.user?.toLowerCase()) || isNode(uri);
}

/**
 * The member in a header field value, wherever its parameters stand.
 * @throws {Unreadable} `BAD_ID`, `WRONG_ALGORITHM`, `MALFORMED`
 */
export function readPeer(value: NameAddr, idNeeded = true): Peer {
  const uri = readSip(value);
  const address = addressOf(uri);
  // What could not be passed on is not taken: it would keep us from answering others.
  if (!isAddress(address)) {
    throw new Unreadable('MALFORMED', `expected the address of a member, found ${shown(address)}`);
  }
  const alg = param(value, ['alg']);
  if (alg !== undefined) checkAlgorithm(alg);
  const id = isNode(uri) ? uri.user : param(value, PEER_ID);
  if (id !== undefined) {
    return { id: readId(id), address, ...furtherAddress(uri.params.get(ALSO)) };
  }
  if (!idNeeded) return { id: UNKNOWN_ID, address };
  throw new Unreadable('BAD_ID', `expected a peer-ID with ${shown(formatUri(uri))}, found none`);
}

/**
 * What is looked for: a member's place, or a resource. A `resource-ID` beside a name is a hint only: the name is hashed.
 * @throws {Unreadable}
 */
export function readPlace(to: NameAddr): { readonly key: Id; readonly what: 'peer' | 'resource' } {
  const uri = readSip(to);
  if (!isPeerUri(uri)) {
    return { key: idOf(`${uri.scheme}:${uri.user ?? ''}@${uri.host}`), what: 'resource' };
  }
  const resource = param(to, RESOURCE_ID);
  if (resource !== undefined) return { key: readId(resource), what: 'resource' };
  return { key: readPeer(to).id, what: 'peer' };
}

/** @throws {Unreadable} `BAD_ID` */
export function readId(text: string): Id {
  const id = text.toLowerCase();
  if (isId(id)) return id;
  throw new Unreadable('BAD_ID', `expected an ID of 40 hexadecimal digits, found ${shown(text)}`);
}

/** @throws {Unreadable} `WRONG_ALGORITHM` */
export function checkAlgorithm(text: string): void {
  if (ALGORITHMS.includes(text.toLowerCase())) return;
  throw new Unreadable(
    'WRONG_ALGORITHM',
    `expected names hashed by ${ALGORITHM}, found ${shown(text)}`,
  );
}

/** The value of the first of these, in the field or in its URI. */
export function param(value: NameAddr, names: readonly string[]): string | undefined {
  const inUri = isSipUri(value.uri) ? value.uri.params : undefined;
  for (const name of names) {
    const found = value.params.get(name) ?? inUri?.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `host[:port]`, IPv6 in brackets; `;transport=tcp` where links go by TCP and not as usual. */
export function isAddress(text: string): boolean {
  try {
    uriOfAddress(text, 'P');
    return true;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}

function addressOf({ host, port, params }: SipUri): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const place = port === undefined ? name : `${name}:${port}`;
  return params.get('transport')?.toLowerCase() === 'tcp' ? `${place}${BY_TCP}` : place;
}

function uriOfAddress(address: string, user: string): SipUri {
  const uri = address.length > MAX_ADDRESS_UNITS ? undefined : sipUriOf(`sip:${user}@${address}`);
  if (uri && addressOf(uri) === address && uri.headers.size === 0) return uri;
  throw new CodedError(
    'UNWRITABLE',
    `expected the address of a member as host:port, found ${shown(address)}`,
    { remedy: 'Write IPv6 addresses in brackets.' },
  );
}

function sipUriOf(text: string): SipUri | undefined {
  try {
    const uri = parseUri(text);
    return isSipUri(uri) ? uri : undefined;
  } catch {
    return undefined;
  }
}

function writableId(id: Id): Id {
  if (isId(id)) return id;
  throw new CodedError('UNWRITABLE', `expected an ID of 40 hexadecimal digits, found ${shown(id)}`);
}

function isNode({ params }: SipUri): boolean {
  return params.get('user')?.toLowerCase() === 'node';
}

function readSip({ uri }: NameAddr): SipUri {
  if (isSipUri(uri)) return uri;
  throw new Unreadable('MALFORMED', `expected a SIP URI, found ${shown(formatUri(uri))}`);
}
