/** Any message of the ring, its way over the wire and back, and the octets it took. */
import {
  formatUri,
  Params,
  parseMessage,
  parseUri,
  SipRequest,
  type SipResponse,
  serializeMessage,
  Via,
} from '@sip-stack/parser';
import fc from 'fast-check';
import type {
  AnswerMessage,
  LinkAnswer,
  LinkRequest,
  RequestMessage,
} from '../../../src/overlay/link-messages.js';
import type { AttachedNode } from '../../../src/overlay/nodes/node-messages.js';
import type { MembershipEntry } from '../../../src/overlay/ring/membership-entry.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import type { RecordVersion, RingRecord, StoreRefusal } from '../../../src/overlay/ring/records.js';
import { PartAssembler, type PartOrigin } from '../../../src/overlay/sip/parts.js';
import type { Decoded } from '../../../src/overlay/sip/refusal.js';
import {
  decodeRequest,
  encodeRequest,
  type RequestFrame,
  readRequest,
  type WireRequest,
} from '../../../src/overlay/sip/request.js';
import {
  answering,
  decodeResponse,
  encodeAnswer,
  readAnswer,
  type WireResponse,
} from '../../../src/overlay/sip/response.js';

export type AnyMessage = RequestMessage | AnswerMessage;

export const OVERLAY = 'home.example';

export const SELF: Peer = { id: 'a'.repeat(40), address: '192.168.100.101:5061' };
export const OTHER: Peer = { id: 'b'.repeat(40), address: '[2001:db8::2]:5061' };

export const FRAME: RequestFrame = {
  overlay: OVERLAY,
  to: OTHER,
  callId: '7f3a90c1d2e4b586',
  sequence: 9,
  tag: '5c1b',
};

export function member(n: number): Peer {
  return {
    id: n.toString(16).padStart(40, '0'),
    address: `192.168.${n >> 8}.${n & 255}:5061`,
  };
}

/** As the transaction layer does it. */
export function withVia<Message extends SipRequest>(sip: Message): Message {
  const params = Params.from({ branch: 'z9hG4bK776asdhds', rport: '' });
  sip.headers.prepend(Via, { transport: 'TLS', host: '192.168.100.101', port: 5061, params });
  return sip;
}

export function octetsOf(sip: SipRequest | SipResponse): Uint8Array {
  return serializeMessage(sip instanceof SipRequest ? withVia(sip) : sip);
}

export function requestIn(octets: Uint8Array): SipRequest {
  const sip = parseMessage(octets);
  if (sip.kind !== 'request') throw new Error('not a request');
  return sip;
}

export function responseIn(octets: Uint8Array): SipResponse {
  const sip = parseMessage(octets);
  if (sip.kind !== 'response') throw new Error('not a response');
  return sip;
}

export function accepted<Value>(decoded: Decoded<Value>): Value {
  if (decoded.ok) return decoded.value;
  throw new Error(`refused: ${decoded.code}: ${decoded.detail}`);
}

/**
 * Over the wire and back, its parts in the order that `shuffle` gives them.
 *
 * @param add what another version says more
 */
export function travelled(
  message: AnyMessage,
  shuffle: <T>(parts: readonly T[]) => readonly T[] = parts => parts,
  add: (sip: SipRequest | SipResponse) => void = () => undefined,
): { message: AnyMessage; octets: Uint8Array[] } {
  const written = (sip: SipRequest | SipResponse) => {
    add(sip);
    return octetsOf(sip);
  };
  const requests =
    message.kind === 'request' ? encodeRequest(message, FRAME) : encodeRequest(PING, FRAME);
  const asked = written(requests[0]!);
  const octets =
    message.kind === 'request'
      ? [asked, ...requests.slice(1).map(written)]
      : encodeAnswer(message, OVERLAY).map(sip => written(answering(sip, requestIn(asked), '1a')));
  const assembler = new PartAssembler();
  for (const one of shuffle(octets)) {
    const decoded = accepted<WireRequest | WireResponse>(
      message.kind === 'request'
        ? decodeRequest(requestIn(one), { overlay: OVERLAY })
        : decodeResponse(responseIn(one), 'ping', { overlay: OVERLAY }),
    );
    if (decoded.type !== 'part') throw new Error(`found ${decoded.type}`);
    const { origin, part } = decoded;
    for (const action of assembler.step({ type: 'part', origin, part })) {
      if (action.type === 'refused') throw new Error(action.refusal.detail);
      if (action.type !== 'whole') continue;
      return { message: readWhole(action.origin, action.content), octets };
    }
  }
  throw new Error('the parts were not the whole');
}

const PING = { kind: 'request', from: SELF, number: 1, request: { type: 'ping' } } as const;

function readWhole(origin: PartOrigin, content: Parameters<typeof readRequest>[1]): AnyMessage {
  return origin.kind === 'request'
    ? accepted(readRequest(origin, content))
    : accepted(readAnswer(origin, content));
}

const id = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map(octets => Buffer.from(octets).toString('hex'));
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
const host = fc.oneof(
  fc.ipV4(),
  fc.constantFrom(
    '[2001:db8::1]',
    '[fe80::1%eth0]',
    'kitchen.local',
    'host-7',
    '[::ffff:192.0.2.1]',
  ),
);
const address = fc
  .tuple(host, port)
  .map(([name, of]) => (of === undefined ? name : `${name}:${of}`));
const also = fc.constantFrom('[fe80::1]:5061', '[2001:db8::7]:443', '192.0.2.7:5061');
const peer: fc.Arbitrary<Peer> = fc.record(
  { id, address, also },
  { requiredKeys: ['id', 'address'] },
);
const maybePeer = fc.option(peer, { nil: undefined });
const peers = fc.oneof(
  fc.array(peer, { maxLength: 6 }),
  fc.array(peer, { minLength: 30, maxLength: 70 }),
);
const text = fc.oneof(
  fc.string({ maxLength: 20, unit: 'grapheme' }),
  fc.constantFrom('.', '-', '+7', '%', 'a b', 'é\r\n'),
);
const signature = fc.base64String({ minLength: 4, maxLength: 88 });
const version: fc.Arbitrary<RecordVersion> = fc.record({
  key: id,
  publisher: text,
  sequence: fc.maxSafeNat(),
});
const value = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.integer({ min: 32_000, max: 70_000 }).map(n => new Uint8Array(n).fill(n & 255)),
  ),
  { nil: undefined },
);
const record: fc.Arbitrary<RingRecord> = fc
  .tuple(version, fc.record({ lifeMs: fc.maxSafeNat(), ageMs: fc.nat(), value, signature }))
  .map(([of, rest]) => ({ ...of, ...rest }));
const entry: fc.Arbitrary<MembershipEntry> = fc
  .record({
    peer,
    version: fc.maxSafeNat(),
    state: fc.constantFrom('present', 'gone'),
    signature,
    signer: text,
    own: fc.boolean(),
  })
  .map(({ own, ...of }) => ({ ...of, signer: own ? of.peer.id : of.signer }));
const few = { maxLength: 4 };
const neighbours = { predecessor: maybePeer, successors: peers };

const type = <Name extends string>(name: Name) => fc.constant(name);

const contact = address.map(at => formatUri(parseUri(`sip:ben@${at}`)));
const node: fc.Arbitrary<AttachedNode> = fc.record({
  peer,
  contact: fc.oneof(contact, text),
  expiresS: fc.nat(86_400),
  records: fc.array(record, few),
});

export const anyRequest: fc.Arbitrary<LinkRequest> = fc.oneof(
  fc.record({ type: fc.constantFrom('ping', 'neighbours', 'join') }),
  fc.record({ type: type('find'), key: id, avoid: fc.array(id, few) }),
  fc.record({ type: type('find'), key: id, avoid: fc.array(id, few), withinMs: fc.nat(32_000) }),
  fc.record({ type: type('notify'), joining: fc.boolean(), predecessor: maybePeer }),
  fc.record({ type: type('leave'), ...neighbours }),
  fc.record({ type: type('store'), records: fc.array(record, few), copy: fc.boolean() }),
  fc.record({ type: type('fetch'), key: id }),
  fc.record({ type: type('offer'), versions: fc.array(version, few) }),
  fc.record({ type: type('membership'), hops: fc.nat(20), entries: fc.array(entry, few) }),
  fc.record({ type: type('compare'), digests: fc.array(fc.nat(0xffffffff), { maxLength: 256 }) }),
  fc.record({ type: type('merge'), contact: fc.oneof(peer, fc.record({ id: type(''), address })) }),
  fc.record({
    type: type('attach'),
    contact,
    expiresS: fc.nat(86_400),
    records: fc.array(record, few),
  }),
  fc.record({ type: fc.constantFrom('detach', 'publish'), records: fc.array(record, few) }),
  fc.record({ type: type('query'), key: id }),
  fc.record({ type: type('hand-over'), nodes: fc.array(node, few) }),
  fc.record({ type: type('move'), to: peer }),
);

const reason: fc.Arbitrary<StoreRefusal | 'no-table'> = fc.constantFrom(
  'not-owner',
  'too-large',
  'full',
  'bad-signature',
  'outdated',
  'no-table',
);

export const anyAnswer: fc.Arbitrary<LinkAnswer> = fc.oneof(
  fc.record({ type: fc.constantFrom('trying', 'pong', 'busy', 'accepted') }),
  fc.record({ type: type('owner'), ...neighbours }),
  fc.record({ type: type('owner'), ...neighbours, owner: peer, hops: fc.nat(30) }),
  fc.record({ type: type('closer'), closer: peers, owners: peers, predecessor: maybePeer }),
  fc.record({ type: type('links'), ...neighbours }),
  fc.record({
    type: type('notified'),
    predecessor: maybePeer,
    previous: maybePeer,
    beyond: maybePeer,
  }),
  fc.record({ type: type('stored'), copies: fc.nat(30) }),
  fc.record({ type: type('refused'), reason }),
  fc.record({ type: type('attached'), expiresS: fc.nat(86_400), others: peers }),
  fc.record({
    type: type('attached'),
    expiresS: fc.nat(86_400),
    others: peers,
    nodes: fc.nat(900),
  }),
  fc.record({ type: type('elsewhere'), at: peers }),
  fc.record({ type: type('records'), records: fc.array(record, few) }),
  fc.record({ type: type('wanted'), versions: fc.array(version, few) }),
  fc.record({
    type: type('compared'),
    parts: fc.array(fc.nat(255), few),
    entries: fc.array(entry, few),
  }),
);

export const anyMessage: fc.Arbitrary<AnyMessage> = fc.oneof(
  fc.record({ kind: type('request'), from: peer, number: fc.nat(2 ** 45), request: anyRequest }),
  fc.record({ kind: type('answer'), from: peer, number: fc.nat(2 ** 45), answer: anyAnswer }),
);
