/** Sends noise to a phone's ports from one socket: random octets, broken SIP, RTP and RTCP of strangers. */
import type { Socket } from 'node:dgram';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import type { Cleanup } from '../harness/program.js';
import { openSocket } from '../harness/udp.js';
import { invite, messages } from './messages.js';
import { below, mutate, one } from './mutate.js';

const BURST_MS = 10;
/** Datagrams in each burst: 500 a second to the SIP port, 1000 a second to each port of the call. */
const SIP_PER_BURST = 5;
const MEDIA_PER_BURST = 10;
/** Whole INVITEs to the echo test that nobody acknowledges: each holds a call for half a minute. */
const INVITE_EVERY_BURSTS = 100;

/** An Ethernet frame's worth. */
const MAX_OCTETS = 1472;

export interface NoiseTargets {
  readonly sipPort: number;
  readonly mediaPorts: readonly number[];
}

export class NoiseMaker {
  sent = 0;
  readonly #random: SeededRandom;
  readonly #socket: Socket;
  readonly #targets: NoiseTargets;
  readonly #timer: NodeJS.Timeout;
  /** A stranger that sends an orderly stream, and would like to be taken for the peer. */
  readonly #strangerSource: number;
  #bursts = 0;
  #running = true;

  static async start(cleanup: Cleanup, seed: number, targets: NoiseTargets): Promise<NoiseMaker> {
    const noise = new NoiseMaker(new SeededRandom(seed), await openSocket(), targets);
    cleanup.add(() => noise.stop());
    return noise;
  }

  private constructor(random: SeededRandom, socket: Socket, targets: NoiseTargets) {
    this.#random = random;
    this.#socket = socket;
    this.#targets = targets;
    this.#strangerSource = random.uint32();
    this.#timer = setInterval(() => this.#burst(), BURST_MS);
  }

  /** Idempotent. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #burst(): void {
    const { sipPort, mediaPorts } = this.#targets;
    this.#bursts++;
    if (this.#bursts % INVITE_EVERY_BURSTS === 0) this.#send(this.#unansweredInvite(), sipPort);
    for (let n = 0; n < SIP_PER_BURST; n++) this.#send(this.#brokenSip(), sipPort);
    for (const port of mediaPorts) {
      for (let n = 0; n < MEDIA_PER_BURST; n++) this.#send(this.#strangeMedia(n), port);
    }
  }

  #send(octets: Uint8Array, port: number): void {
    this.sent++;
    this.#socket.send(octets, port, '127.0.0.1');
  }

  #unansweredInvite(): Uint8Array {
    const phone = `127.0.0.1:${this.#targets.sipPort}`;
    return Buffer.from(invite({ phone, id: `invite${this.#bursts}`, user: '*43' }), 'latin1');
  }

  #brokenSip(): Uint8Array {
    const random = this.#random;
    if (random.unit() < 0.1) return random.bytes(below(random, MAX_OCTETS));
    const phone = `127.0.0.1:${this.#targets.sipPort}`;
    const whole = one(random, messages({ phone, id: `noise${this.sent}`, user: 'nobody' }));
    return mutate(random, Buffer.from(whole, 'latin1'));
  }

  #strangeMedia(n: number): Uint8Array {
    const random = this.#random;
    switch (n % 5) {
      case 0:
        return random.bytes(below(random, MAX_OCTETS));
      case 1: // one stranger's orderly stream, fifty packets a second and more
        return this.#rtp(this.#strangerSource, this.#bursts);
      case 2: // a new source each time
        return this.#rtp(random.uint32(), random.uint32());
      case 3:
        return this.#rtcp(random.uint32());
      default:
        return mutate(random, Buffer.from(this.#rtp(random.uint32(), this.#bursts)));
    }
  }

  /** RFC 3550 §5.1: a frame of loud PCMU. */
  #rtp(source: number, sequence: number): Uint8Array {
    const packet = Buffer.alloc(12 + 160, this.#random.uint32());
    packet.writeUInt8(0x80, 0);
    packet.writeUInt8(0, 1);
    packet.writeUInt16BE(sequence & 0xffff, 2);
    packet.writeUInt32BE((sequence * 160) >>> 0, 4);
    packet.writeUInt32BE(source, 8);
    return packet;
  }

  /** RFC 3550 §6.4.1 and §6.6: a sender report, sometimes with a farewell. */
  #rtcp(source: number): Uint8Array {
    const packet = Buffer.from(this.#random.bytes(28 + 8));
    packet.writeUInt8(0x80, 0);
    packet.writeUInt8(200, 1);
    packet.writeUInt16BE(6, 2);
    packet.writeUInt32BE(source, 4);
    packet.writeUInt8(0x81, 28);
    packet.writeUInt8(203, 29);
    packet.writeUInt16BE(1, 30);
    packet.writeUInt32BE(source, 32);
    return this.#random.unit() < 0.5 ? packet : packet.subarray(0, 28);
  }
}
