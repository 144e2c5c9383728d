/** A peer that is no user agent of ours: it sends what a test says, and answers as a test says. */
import {
  parseMessage,
  type SipRequest,
  type SipResponse,
  serializeMessage,
} from '@sip-stack/parser';
import type { DatagramSocket, Endpoint } from '../../src/core/network.js';
import type { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { makeResponse } from '../../src/sip/response.js';
import { ALICE, BOB, type Pair, pair, record } from './pair.js';

export const PEER: Endpoint = { address: '10.0.0.9', port: 5060 };

export interface Peer {
  readonly requests: SipRequest[];
  readonly responses: SipResponse[];
  send(text: string | Uint8Array, to: Endpoint): void;
  reply(request: SipRequest, answer: Answer, to: Endpoint): void;
}

/** A raw socket that answers each request as `answer` says: status, header fields, body. */
export async function peerAt(
  network: VirtualNetwork,
  at: Endpoint,
  answer: (request: SipRequest, nth: number) => readonly Answer[] = () => [],
): Promise<Peer> {
  const socket: DatagramSocket = await network
    .host(at.address)
    .bindDatagram({ ...at, trafficClass: 'default' });
  const requests: SipRequest[] = [];
  const responses: SipResponse[] = [];
  const send = (text: string | Uint8Array, to: Endpoint) =>
    socket.send(typeof text === 'string' ? Buffer.from(text) : text, to);
  const reply = (
    request: SipRequest,
    { status, headers = {}, body = '' }: Answer,
    to: Endpoint,
  ) => {
    const response = makeResponse(request, status, 'peer');
    response.headers.setText('Contact', `<sip:peer@${at.address}>`);
    for (const [name, value] of Object.entries(headers)) response.headers.setText(name, value);
    if (body) response.headers.setText('Content-Type', 'application/sdp');
    response.body = Buffer.from(body);
    send(serializeMessage(response), to);
  };
  socket.onMessage = (data, from) => {
    // Line ends that keep a NAT's memory fresh (RFC 5626 §3.5.1).
    if (data.length <= 4) return;
    const message = parseMessage(data.slice());
    if (message.kind === 'response') {
      responses.push(message);
      return;
    }
    requests.push(message);
    for (const each of answer(message, requests.length)) reply(message, each, from);
  };
  return { requests, responses, send, reply };
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** In Bob's place. */
export async function insteadOfBob(lab: Pair, answer: Parameters<typeof peerAt>[2]): Promise<Peer> {
  await lab.bob.stop();
  return peerAt(lab.network, { address: BOB, port: 5060 }, answer);
}

export function methodsOf({ requests }: Peer): string[] {
  return requests.map(({ headers }) => headers.text('CSeq') ?? '');
}

/** A request of the peer's to Bob or Alice; `changes` come after the usual fields. */
export function request(
  method: string,
  sequence: number,
  changes: string[] = [],
  body = '',
): string {
  const lines = [
    `${method} sip:*43@${ALICE} SIP/2.0`,
    `Via: SIP/2.0/UDP ${PEER.address};branch=z9hG4bK${method}${sequence}`,
    `From: <sip:peer@${PEER.address}>;tag=peer`,
    'Call-ID: peers',
    `CSeq: ${sequence} ${method}`,
    'Max-Forwards: 70',
    `Contact: <sip:peer@${PEER.address}>`,
    ...(body ? ['Content-Type: application/sdp'] : []),
    `Content-Length: ${body.length}`,
    ...(changes.some(line => line.startsWith('To:')) ? [] : [`To: <sip:*43@${ALICE}>`]),
    ...changes,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** The peer calls Bob, whose phone rings. */
export async function ringingBob() {
  const lab = await pair();
  const peer = await peerAt(lab.network, PEER);
  let events: string[] = [];
  lab.bob.onSession = session => {
    events = record(session);
    session.ring();
  };
  const ask = async (text: string) => {
    peer.send(text, { address: BOB, port: 5060 });
    await lab.clock.advance(50);
    return peer.responses.at(-1);
  };
  const ringing = await ask(request('INVITE', 1, [], 'offer'));
  return { lab, ask, peer, to: `To: ${ringing?.headers.text('To')}`, events };
}
