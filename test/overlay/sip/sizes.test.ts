/** What messages of the ring weigh, and that simulations charge for them about what they weigh. */
import { createHash } from 'node:crypto';
import { test } from 'tap';
import type { NodeAnswer, NodeRequest } from '../../../src/overlay/nodes/node-messages.js';
import { PARTS } from '../../../src/overlay/ring/membership.js';
import type { MembershipEntry } from '../../../src/overlay/ring/membership-entry.js';
import type { RingAnswer, RingMessage, RingRequest } from '../../../src/overlay/ring/messages.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import { messageBytes } from '../../../src/simulation/message-size.js';
import { type AnyMessage, OVERLAY, travelled } from './any-message.js';

/** Members, and so the length of successor lists (README of the room). */
const RINGS = [
  { members: 100, successors: 14 },
  { members: 10_000, successors: 27 },
] as const;

/** By which the simulation may be wrong. */
const TOLERANCE = 0.1;

function hash(name: string, encoding: 'hex' | 'base64url'): string {
  return createHash('sha512').update(name).digest(encoding);
}

function peer(n: number): Peer {
  return { id: hash(`${n}`, 'hex').slice(0, 40), address: `192.168.100.${n % 200}:5061` };
}

function peers(count: number): Peer[] {
  return Array.from({ length: count }, (_, n) => peer(n));
}

/** Key and signature of a device (id-signature.ts). */
const SIGNATURE = hash('a', 'base64url').slice(0, 86) + hash('b', 'base64url').slice(0, 42);

function entry(n: number): MembershipEntry {
  const { id } = peer(n);
  return { peer: peer(n), version: 65_537, state: 'present', signer: id, signature: SIGNATURE };
}

/** A registration: publisher is a key of 32 octets. */
function record(octets: number): RingRecord {
  return {
    key: peer(7).id,
    publisher: hash('c', 'base64url').slice(0, 43),
    sequence: 65_537,
    lifeMs: 3_600_000,
    ageMs: 120_000,
    signature: SIGNATURE.slice(0, 86),
    value: new Uint8Array(octets),
  };
}

const VERSION = { key: peer(7).id, publisher: record(0).publisher, sequence: 65_537 };

function requests(successors: number): RingRequest[] {
  const predecessor = peer(99);
  return [
    { type: 'ping' },
    { type: 'find', key: peer(5).id, avoid: [] },
    { type: 'find', key: peer(5).id, avoid: peers(9).map(({ id }) => id) },
    { type: 'neighbours' },
    { type: 'join' },
    { type: 'notify', joining: false, predecessor },
    { type: 'leave', predecessor, successors: peers(successors) },
    { type: 'store', records: [record(300)], copy: false },
    { type: 'fetch', key: peer(5).id },
    { type: 'offer', versions: [VERSION, VERSION, VERSION] },
    { type: 'membership', hops: 3, entries: [entry(1), entry(2)] },
    {
      type: 'compare',
      digests: Array.from({ length: PARTS }, (_, n) => 0x80000000 + n * 7_919),
    },
    { type: 'merge', contact: peer(3) },
  ];
}

function answers(successors: number): RingAnswer[] {
  const neighbours = { predecessor: peer(99), successors: peers(successors) };
  return [
    { type: 'trying' },
    { type: 'pong' },
    { type: 'owner', ...neighbours },
    { type: 'closer', closer: peers(3), owners: [peer(4)], predecessor: peer(99) },
    { type: 'links', ...neighbours },
    { type: 'busy' },
    { type: 'notified', predecessor: peer(1), previous: peer(2), beyond: peer(3) },
    { type: 'stored', copies: 5 },
    { type: 'refused', reason: 'not-owner' },
    { type: 'records', records: [record(300)] },
    { type: 'wanted', versions: [VERSION] },
    { type: 'compared', parts: [3, 9], entries: [entry(1), entry(2)] },
    { type: 'accepted' },
  ];
}

/** Between a node and its super-node: the same in every ring. */
const NODE_REQUESTS: NodeRequest[] = [
  { type: 'attach', contact: 'sip:ben@192.168.100.9:5060', expiresS: 600, records: [record(300)] },
  { type: 'detach', records: [] },
  { type: 'query', key: peer(5).id },
  { type: 'publish', records: [record(300)] },
  {
    type: 'hand-over',
    nodes: Array.from({ length: 10 }, (_, n) => ({
      peer: peer(n),
      contact: 'sip:ben@192.168.100.9:5060',
      expiresS: 600,
      records: [record(300)],
    })),
  },
  { type: 'move', to: peer(3) },
];
const NODE_ANSWERS: NodeAnswer[] = [
  { type: 'attached', expiresS: 600, others: peers(3) },
  { type: 'elsewhere', at: peers(3) },
];

function octetsOf(message: AnyMessage): number {
  return travelled(message).octets.reduce((sum, { length }) => sum + length, 0);
}

test('simulations charge for messages what they weigh', t => {
  t.comment(`in overlay ${OVERLAY}; octets with all of SIP, without TLS and TCP`);
  const wrong: string[] = [];
  for (const { members, successors } of RINGS) {
    const messages: RingMessage[] = [
      ...requests(successors).map(
        request => ({ kind: 'request', from: peer(0), number: 4_711, request }) as const,
      ),
      ...answers(successors).map(
        answer => ({ kind: 'answer', from: peer(0), number: 4_711, answer }) as const,
      ),
    ];
    const sizes = messages.map(message => {
      const { type } = message.kind === 'request' ? message.request : message.answer;
      const octets = octetsOf(message);
      const charged = messageBytes(message);
      if (Math.abs(charged - octets) > octets * TOLERANCE) {
        wrong.push(`${type}: ${octets} octets, charged ${charged}`);
      }
      return `${type} ${octets}`;
    });
    t.comment(`${members} members: ${sizes.join(', ')}`);
  }
  const { from, number } = { from: peer(0), number: 4_711 };
  const ofNodes = [
    ...NODE_REQUESTS.map(request => {
      return `${request.type} ${octetsOf({ kind: 'request', from, number, request })}`;
    }),
    ...NODE_ANSWERS.map(answer => {
      return `${answer.type} ${octetsOf({ kind: 'answer', from, number, answer })}`;
    }),
  ];
  t.comment(`of nodes, in any ring: ${ofNodes.join(', ')}`);
  t.strictSame(wrong, []);
  t.end();
});
