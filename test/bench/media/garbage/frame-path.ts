/**
 * The whole way of a frame through the media core, without the calls of a socket: packets of SRTP come in, are opened,
 * wait in jitter buffers, are decoded and mixed, and what each member hears goes out coded and protected.
 */
import type { Clock } from '../../../../src/core/clock.js';
import type { DatagramOptions, DatagramSocket, Endpoint } from '../../../../src/core/network.js';
import { codecByName } from '../../../../src/media/codecs/registry.js';
import type { MediaCommand } from '../../../../src/media/commands.js';
import { MediaCore } from '../../../../src/media/media-core.js';
import { RTP_HEADER_OCTETS, writeRtpHeader } from '../../../../src/media/rtp.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from '../../../../src/media/srtp/sender.js';
import { srtpSuite } from '../../../../src/media/srtp/suites.js';
import { loadNative } from '../../../../src/native/index.js';
import { SeededRandom } from '../../../../src/simulation/seeded-random.js';
import { speechLike } from '../../../media/signal.js';

export const MEMBERS = 4;
const TICK_MS = 20;
const SPEECH_FRAMES = 50;
const SUITE = 'AES_CM_128_HMAC_SHA1_80';
const MASTER = Uint8Array.from({ length: 30 }, (_, i) => 7 * i + 1);
const PAYLOAD_TYPE = 96;
/** Packets came so long before the tick. */
const ARRIVAL_MS = 3;

/** Goes on by hand; asked as the real one is, whatever that allocates. Numbers in an array, since a field might box them. */
class HandClock implements Clock {
  readonly #read: () => void;
  readonly #cell = new Float64Array(1);
  readonly #now = new Float64Array(1);
  #fire: (() => void) | undefined;

  constructor() {
    const real = new Float64Array(1);
    const native = loadNative();
    const readReal = native
      ? native.openClock(real)
      : () => {
          real[0] = performance.now();
        };
    this.#read = () => {
      readReal();
      this.#cell[0] = this.#now[0]! + real[0]! * 1e-9;
    };
  }

  /** In the shape of `NativeClock.now`. */
  now(): number {
    this.#read();
    return this.#cell[0]!;
  }

  wallTime(): number {
    return 0;
  }

  after(_delayMs: number, fire: () => void) {
    this.#fire = fire;
    return NO_TIMER;
  }

  advance(ms: number): void {
    this.#now[0] = this.#now[0]! + ms;
  }

  ring(): void {
    this.#fire?.();
  }
}

const NO_TIMER = { cancel: () => undefined };

/** Packets go nowhere: they are counted. */
class Socket implements DatagramSocket {
  readonly local: Endpoint;
  onMessage: DatagramSocket['onMessage'] = () => undefined;
  onError: DatagramSocket['onError'] = () => undefined;
  sent = 0;

  constructor(local: Endpoint) {
    this.local = local;
  }

  send(): void {
    this.sent++;
  }

  close(): void {}
}

/** Sends a second of speech again and again. */
class Talker {
  readonly #socket: Socket;
  readonly #from: Endpoint;
  readonly #payloads: readonly Uint8Array[];
  readonly #unitsPerFrame: number;
  readonly #ssrc: number;
  readonly #sender = new SrtpSender({ suite: srtpSuite(SUITE)!, master: MASTER });
  readonly #packet: Uint8Array;
  readonly #views: (Uint8Array | undefined)[] = [];
  #frame: number;

  constructor(
    socket: Socket,
    from: Endpoint,
    payloads: readonly Uint8Array[],
    unitsPerFrame: number,
    ssrc: number,
  ) {
    this.#socket = socket;
    this.#from = from;
    this.#payloads = payloads;
    this.#unitsPerFrame = unitsPerFrame;
    this.#ssrc = ssrc;
    // Each says something else.
    this.#frame = ssrc * 7;
    const longest = Math.max(...payloads.map(({ length }) => length));
    this.#packet = new Uint8Array(RTP_HEADER_OCTETS + longest + MAX_OVERHEAD_OCTETS);
  }

  say(): void {
    const frame = this.#frame++;
    const packet = this.#packet;
    const payload = this.#payloads[frame % SPEECH_FRAMES]!;
    const timestamp = (frame * this.#unitsPerFrame) | 0;
    writeRtpHeader(packet, PAYLOAD_TYPE, false, frame & 0xffff, timestamp, this.#ssrc);
    for (let i = 0; i < payload.length; i++) packet[RTP_HEADER_OCTETS + i] = payload[i]!;
    const octets = this.#sender.protectRtp(packet, RTP_HEADER_OCTETS + payload.length);
    this.#views[octets] ??= packet.subarray(0, octets);
    this.#socket.onMessage(this.#views[octets]!, this.#from, ARRIVAL_MS * 1000);
  }
}

export class FramePath {
  readonly #clock = new HandClock();
  readonly #core: MediaCore;
  readonly #sockets: Socket[] = [];
  readonly #talkers: Talker[] = [];
  readonly #legs: number[] = [];

  /** @param sampleRate in Hz, one that the codec has */
  static async open(codec: string, sampleRate: number, members = MEMBERS): Promise<FramePath> {
    const path = new FramePath();
    await path.#open(codec, sampleRate, members);
    return path;
  }

  private constructor() {
    const bindDatagram = async ({ address, port }: DatagramOptions) => {
      const socket = new Socket({ address, port });
      this.#sockets.push(socket);
      return socket;
    };
    this.#core = new MediaCore({
      clock: this.#clock,
      network: { bindDatagram },
      batch: {
        receive: () => {
          for (let i = 0; i < this.#talkers.length; i++) this.#talkers[i]!.say();
        },
        flush: () => undefined,
      },
      random: new SeededRandom(1),
      onEvent: event => {
        throw new Error(`nothing was to happen, but: ${event.type}`);
      },
    });
  }

  /** A tick: a frame of each member on its whole way. */
  tick(): void {
    this.#clock.advance(TICK_MS);
    this.#clock.ring();
  }

  /** Packets that came, went, and were missed by the members, so far. */
  async passed(): Promise<{ received: number; sent: number; concealedMs: number }> {
    let [received, sent, concealedMs] = [0, 0, 0];
    for (const node of this.#legs) {
      const statistics = await this.#core.execute({ type: 'leg-statistics', node });
      if (!statistics || !('packetsSent' in statistics)) throw new Error('no leg');
      received += statistics.packetsReceived;
      sent += statistics.packetsSent;
      concealedMs += statistics.concealedMs;
    }
    return { received, sent, concealedMs };
  }

  async #open(name: string, sampleRate: number, members: number): Promise<void> {
    const tell = (command: MediaCommand) => this.#core.execute(command);
    const codec = codecByName(name, sampleRate)!;
    await codec.load?.();
    const payloads = payloadsOf(name, sampleRate);
    const mix = 0;
    await tell({ type: 'open-mix', node: mix, speakers: undefined });
    const key = { suite: SUITE, master: MASTER };
    for (let node = 1; node <= members; node++) {
      await tell({ type: 'open-leg', node, options: { address: '127.0.0.1', codecs: [name] } });
      const socket = this.#sockets.at(-2)!;
      const remote = { address: '127.0.0.1', port: 40_000 + 2 * node };
      const format = { name, payloadType: PAYLOAD_TYPE, sampleRate };
      const settings = { remote, format, send: true, receive: true };
      await tell({
        type: 'configure-leg',
        node,
        settings: { ...settings, security: { send: key, receive: key } },
      });
      await tell({ type: 'connect', from: node, to: mix, gain: 1 });
      await tell({ type: 'connect', from: mix, to: node, gain: 1 });
      const units = (codec.clockRate * TICK_MS) / 1000;
      this.#talkers.push(new Talker(socket, remote, payloads, units, node));
      this.#legs.push(node);
    }
  }
}

/** A second of speech, in frames of 20 ms. */
export function speechFrames(sampleRate: number): Int16Array[] {
  const frame = (sampleRate * TICK_MS) / 1000;
  const speech = speechLike(SPEECH_FRAMES * frame, sampleRate);
  return Array.from({ length: SPEECH_FRAMES }, (_, i) =>
    speech.subarray(i * frame, (i + 1) * frame),
  );
}

function payloadsOf(name: string, sampleRate: number): Uint8Array[] {
  const codec = codecByName(name, sampleRate)!;
  const encoder = codec.newEncoder({ sampleRate });
  const payload = new Uint8Array(codec.maxPayloadOctets);
  const payloads = speechFrames(sampleRate).map(frame =>
    payload.slice(0, encoder.encode(frame, payload, 0)),
  );
  encoder.close?.();
  return payloads;
}
