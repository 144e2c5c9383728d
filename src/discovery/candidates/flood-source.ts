/**
 * The last resort: every address of the own subnet is asked for SIP, one datagram each, for networks that let
 * neither multicast through nor have a DNS. Never beyond the subnet, never more than 254 hosts, never fast.
 */
import { parseMessage } from '@sip-stack/parser';
import { type Clock, sleep } from '../../core/clock.js';
import { formatEndpoint } from '../../core/endpoint.js';
import type { DatagramSocket, Endpoint, InterfaceAddress, Network } from '../../core/network.js';
import { type Random, randomToken, randomUint32 } from '../../core/random.js';
import { firstOf } from '../../core/signals.js';
import { addressOctets } from '../subnet.js';
import type { CandidateSource, Search } from './candidate.js';

/** As many as a /24 has; of a larger subnet a random sample. */
export const MAX_ASKED = 254;
/** 50 a second: ARP for hosts that are not there costs the network more than the datagrams. */
export const ASK_EVERY_MS = 20;
/** For answers that take their time. */
const PATIENCE_MS = 2000;
/** The usual port of SIP, and of SIP over TLS at a phone of ours: one above. RFC 3261 §19.1.2. */
const SIP_PORT = 5060;
/** Who answers as one of these is a phone of ours: a super-node, or able to name one. */
const OURS = /^Ringline\b/;

export interface FloodSourceOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
}

export class FloodSource implements CandidateSource {
  readonly name = 'flood';
  readonly lastResort = true;
  readonly #options: FloodSourceOptions;

  constructor(options: FloodSourceOptions) {
    this.#options = options;
  }

  async search({ found, signal }: Search): Promise<void> {
    const { network, clock, random } = this.#options;
    const own = network.addresses().filter(isAskable);
    const share = Math.floor(MAX_ASKED / Math.max(1, own.length));
    const answered = new AbortController();
    const over = firstOf(signal, answered.signal);
    const sockets: DatagramSocket[] = [];
    try {
      for (const address of own) {
        const socket = await network.bindDatagram({
          address: address.address,
          port: 0,
          trafficClass: 'default',
        });
        sockets.push(socket);
        const callId = randomToken(random, 8);
        socket.onError = () => undefined;
        socket.onMessage = (data, { address: host, port }) => {
          if (over.aborted || !isOurs(data, callId)) return;
          answered.abort();
          found({ host, port: port + 1, transport: 'tls', source: this.name });
          found({ host, port, transport: 'tcp', source: this.name });
        };
        for (const host of neighbours(address, share, random)) {
          const to = { address: host, port: SIP_PORT };
          socket.send(optionsRequest(socket.local, to, callId, random), to, () => undefined);
          await sleep(clock, ASK_EVERY_MS, over);
        }
      }
      await sleep(clock, PATIENCE_MS, over);
    } catch (error) {
      if (!over.aborted) throw error;
    } finally {
      answered.abort();
      for (const socket of sockets) socket.close();
    }
  }
}

function isAskable({ family, internal, prefix }: InterfaceAddress): boolean {
  return family === 'IPv4' && !internal && prefix >= 8 && prefix <= 30;
}

/** Hosts of the subnet in random order, at most `most`; not the host itself, the network, the broadcast address. */
function neighbours(own: InterfaceAddress, most: number, random: Random): string[] {
  const self = wordOf(own.address);
  const size = 2 ** (32 - own.prefix);
  const base = self - (self % size);
  const hosts = size - 2;
  const picked = new Set<number>();
  if (hosts <= most) {
    const left = Array.from({ length: hosts }, (_, i) => base + 1 + i);
    while (left.length > 0) picked.add(left.splice(randomUint32(random) % left.length, 1)[0]!);
  } else {
    while (picked.size < most) picked.add(base + 1 + (randomUint32(random) % hosts));
  }
  picked.delete(self);
  return [...picked].map(addressOf);
}

function wordOf(address: string): number {
  return addressOctets(address).reduce((word, octet) => word * 256 + octet, 0);
}

function addressOf(word: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(word / 2 ** shift) % 256).join('.');
}

/** RFC 3261 §11 */
function optionsRequest(local: Endpoint, to: Endpoint, callId: string, random: Random): Uint8Array {
  const uri = `sip:${formatEndpoint(to)}`;
  const lines = [
    `OPTIONS ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${formatEndpoint(local)};branch=z9hG4bK${randomToken(random, 8)};rport`,
    'Max-Forwards: 0',
    `From: <sip:${local.address}>;tag=${randomToken(random, 8)}`,
    `To: <${uri}>`,
    `Call-ID: ${callId}`,
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** An answer to what was asked, from a phone of ours. */
function isOurs(data: Uint8Array, callId: string): boolean {
  try {
    const message = parseMessage(data);
    const { kind, headers } = message;
    const who = headers.text('Server') ?? headers.text('User-Agent') ?? '';
    return kind === 'response' && headers.text('Call-ID') === callId && OURS.test(who);
  } catch {
    return false;
  }
}
