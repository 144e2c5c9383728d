/**
 * RTP over plain UDP: an even port for RTP and the next for RTCP (RFC 3550 §11), symmetric RTP
 * (RFC 4961) toward a far end behind NAT, or one whose address has changed. The signalled address is believed
 * first: only while it is silent may a stream from elsewhere take its place, after some sequential packets; and
 * once somebody was heard, only the very stream that was, or one that has proved itself (SRTP).
 */
import { isIPv6 } from 'node:net';
import type { Clock } from '../core/clock.js';
import { CodedError, errorCode } from '../core/errors.js';
import type { DatagramSocket, Endpoint, Network } from '../core/network.js';
import { type Random, randomUint32 } from '../core/random.js';
import type { PacketGuard, PacketPath } from './packet-path.js';
import { isRtcp, RtpPacket, readRtp } from './rtp.js';

const FIRST_PORT = 16384;
const LAST_PORT = 32766;
const PORT_ATTEMPTS = 100;
/** Sequential packets from elsewhere before they are believed. */
const LATCH_AFTER_PACKETS = 3;
/** An address that was heard within this still delivers. */
const DELIVERS_MS = 100;
/** A leap forward up to this is loss, RFC 3550 A.1. */
const MAX_DROPOUT = 3000;

/** All that media needs of the network. */
export type DatagramNetwork = Pick<Network, 'bindDatagram'>;

interface PathDeps {
  readonly clock: Clock;
  readonly network: DatagramNetwork;
  readonly random: Random;
}

interface Sockets {
  readonly rtp: DatagramSocket;
  readonly rtcp: DatagramSocket;
}

export class PlainPath implements PacketPath {
  sendErrors = 0;
  refused = 0;
  onRtp: (packet: RtpPacket) => void = () => undefined;
  onRtcp: (packet: Uint8Array) => void = () => undefined;
  onSourceChange: () => void = () => undefined;
  guard: PacketGuard | undefined;
  readonly #deps: PathDeps;
  readonly #packet = new RtpPacket();
  #sockets: Sockets;
  #closed = false;

  #signalled: Endpoint | undefined;
  #signalledRtcp: Endpoint | undefined;
  /** Where packets come from and go to: `#signalled`, until a stream from elsewhere was believed. */
  #remote: Endpoint | undefined;
  #remoteRtcp: Endpoint | undefined;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** Of the stream that is heard: whoever goes on with it elsewhere is who was here. */
  #heardSsrc = 0;
  #heardSequence = 0;
  #candidate: Endpoint | undefined;
  #candidateSsrc = 0;
  #candidateNext = 0;
  #candidateRun = 0;

  private constructor(deps: PathDeps, sockets: Sockets) {
    this.#deps = deps;
    this.#sockets = sockets;
    this.#listen(sockets);
  }

  /**
   * Binds a free pair of ports.
   *
   * @param address literal local address
   * @throws {CodedError} `NO_FREE_PORTS`, or what `Network.bindDatagram` throws
   */
  static async open(deps: PathDeps, address: string): Promise<PlainPath> {
    return new PlainPath(deps, await bindPair(deps, address));
  }

  get port(): number {
    return this.#sockets.rtp.local.port;
  }

  async move(address: string): Promise<void> {
    const sockets = await bindPair(this.#deps, address, this.port);
    const previous = this.#closed ? sockets : this.#sockets;
    if (!this.#closed) {
      this.#sockets = sockets;
      this.#listen(sockets);
    }
    closeBoth(previous);
  }

  setRemote(rtp: Endpoint, rtcp: Endpoint): void {
    const signalled = canonical(rtp);
    if (this.#signalled && this.#remote && same(this.#signalled, signalled)) {
      this.#signalledRtcp = canonical(rtcp);
      this.#placeRtcp(this.#remote);
      return;
    }
    this.#signalled = signalled;
    this.#signalledRtcp = canonical(rtcp);
    // The far end has moved, and its packets were there before it said so.
    const isKnown = this.#remote !== undefined && same(this.#remote, signalled);
    if (!isKnown) this.#heardMs = Number.NEGATIVE_INFINITY;
    this.#follow(signalled);
    if (!isKnown) this.onSourceChange();
  }

  sendRtp(packet: Uint8Array): void {
    if (this.#remote) this.#sockets.rtp.send(packet, this.#remote);
  }

  sendRtcp(packet: Uint8Array): void {
    const { rtp, rtcp } = this.#sockets;
    if (this.#remoteRtcp) (this.#shared ? rtp : rtcp).send(packet, this.#remoteRtcp);
  }

  close(): void {
    this.#closed = true;
    closeBoth(this.#sockets);
  }

  #listen({ rtp, rtcp }: Sockets): void {
    rtp.onMessage = (data, from, ageUs = 0) => this.#receiveRtp(data, from, ageUs);
    rtcp.onMessage = (data, from) => this.#receiveRtcp(data, from);
    const countError = () => {
      this.sendErrors++;
    };
    rtp.onError = countError;
    rtcp.onError = countError;
  }

  /** RTCP shares RTP's port, RFC 5761. */
  get #shared(): boolean {
    return this.#signalledRtcp !== undefined && this.#isSignalled(this.#signalledRtcp);
  }

  #receiveRtp(data: Uint8Array, from: Endpoint, ageUs: number): void {
    if (isRtcp(data)) {
      this.#receiveRtcp(data, from);
      return;
    }
    const octets = this.guard ? this.guard.openRtp(data, data.length) : data.length;
    if (!this.#signalled || !this.#remote || !readRtp(data, this.#packet, octets)) {
      this.refused++;
      return;
    }
    if (!same(from, this.#remote)) {
      if (!same(from, this.#signalled) && !this.#prove(from)) {
        this.refused++;
        return;
      }
      this.#follow(from);
      this.onSourceChange();
    }
    this.#packet.arrivalMs = this.#deps.clock.now() - ageUs / 1000;
    this.#heardMs = this.#packet.arrivalMs;
    this.#heardSsrc = this.#packet.ssrc;
    this.#heardSequence = this.#packet.sequence;
    this.onRtp(this.#packet);
  }

  /**
   * RTCP is taken from the host RTP comes from. Ours goes where it was signalled to; only with a far end behind
   * NAT, whose signalled place is not where it is, to the port that its own comes from.
   */
  #receiveRtcp(data: Uint8Array, from: Endpoint): void {
    const here = from.address === this.#remote?.address;
    const octets =
      here || from.address === this.#signalledRtcp?.address
        ? (this.guard?.openRtcp(data, data.length) ?? data.length)
        : 0;
    if (octets === 0) {
      this.refused++;
      return;
    }
    if (here && !this.#shared && !this.#isSignalled(this.#remote)) this.#remoteRtcp = copy(from);
    this.onRtcp(octets === data.length ? data : data.subarray(0, octets));
  }

  /** Whether the packet at hand, from an unexpected place, makes that place believable. */
  #prove(from: Endpoint): boolean {
    const { ssrc, sequence } = this.#packet;
    const continues =
      this.#candidate !== undefined &&
      same(from, this.#candidate) &&
      ssrc === this.#candidateSsrc &&
      sequence === this.#candidateNext;
    if (!continues) {
      this.#candidate = copy(from);
      this.#candidateRun = 0;
    }
    this.#candidateSsrc = ssrc;
    this.#candidateNext = (sequence + 1) & 0xffff;
    this.#candidateRun++;
    if (this.#candidateRun < LATCH_AFTER_PACKETS) return false;
    const silentMs = this.#deps.clock.now() - this.#heardMs;
    // Nobody was heard where we were told to send: a far end behind NAT.
    if (silentMs === Number.POSITIVE_INFINITY) return true;
    return silentMs >= DELIVERS_MS && (this.guard !== undefined || this.#isContinued());
  }

  /** Whether the packet at hand belongs to the stream that was heard last, which nobody can guess who did not hear it. */
  #isContinued(): boolean {
    const { ssrc, sequence } = this.#packet;
    const step = (sequence - this.#heardSequence) & 0xffff;
    return ssrc === this.#heardSsrc && step < MAX_DROPOUT;
  }

  #follow(remote: Endpoint): void {
    this.#candidate = undefined;
    this.#remote = copy(remote);
    this.#placeRtcp(this.#remote);
  }

  /** Where our RTCP goes while RTP goes to `remote`. */
  #placeRtcp(remote: Endpoint): void {
    if (this.#isSignalled(remote)) this.#remoteRtcp = this.#signalledRtcp;
    else if (this.#shared) this.#remoteRtcp = remote;
    else this.#remoteRtcp = { address: remote.address, port: remote.port + 1 };
  }

  #isSignalled(remote: Endpoint | undefined): boolean {
    return remote !== undefined && this.#signalled !== undefined && same(remote, this.#signalled);
  }
}

/** @param wanted port that is tried first */
async function bindPair(
  { network, random }: PathDeps,
  address: string,
  wanted?: number,
): Promise<Sockets> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const pairs = (LAST_PORT - FIRST_PORT) / 2 + 1;
    const isWanted = attempt === 0 && wanted !== undefined;
    const port = isWanted ? wanted : FIRST_PORT + 2 * (randomUint32(random) % pairs);
    const rtp = await bindIfFree(network, address, port);
    if (!rtp) continue;
    const rtcp = await bindIfFree(network, address, port + 1).catch(error => {
      rtp.close();
      throw error;
    });
    if (rtcp) return { rtp, rtcp };
    rtp.close();
  }
  throw new CodedError(
    'NO_FREE_PORTS',
    `expected a free pair of UDP ports between ${FIRST_PORT} and ${LAST_PORT} on ${address}, found none in ${PORT_ATTEMPTS} attempts`,
    { remedy: 'Look with `ss -ulnp` for a program that holds thousands of ports.' },
  );
}

function closeBoth({ rtp, rtcp }: Sockets): void {
  rtp.close();
  rtcp.close();
}

async function bindIfFree(
  network: DatagramNetwork,
  address: string,
  port: number,
): Promise<DatagramSocket | undefined> {
  try {
    return await network.bindDatagram({ address, port, trafficClass: 'voice' });
  } catch (error) {
    if (errorCode(error) === 'ADDRESS_IN_USE') return undefined;
    throw error;
  }
}

function same(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address;
}

function copy({ address, port }: Endpoint): Endpoint {
  return { address, port };
}

/** The spelling the system uses for source addresses: IPv6 addresses have many. */
function canonical({ address, port }: Endpoint): Endpoint {
  const [host = '', zone] = address.split('%');
  if (!isIPv6(host)) return { address, port };
  const spelt = new URL(`http://[${host}]`).hostname.slice(1, -1);
  return { address: zone === undefined ? spelt : `${spelt}%${zone}`, port };
}
