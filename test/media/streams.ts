/** Streams of G.711 over an imperfect network, and what a listener hears of them through a jitter buffer. */
import { pcmu } from '../../src/media/codecs/g711-codec.js';
import { JitterBuffer } from '../../src/media/jitter-buffer.js';
import { RtpPacket } from '../../src/media/rtp.js';
import { RtpSource } from '../../src/media/rtp-source.js';

export const RATE = 8000;
export const FRAME = 160;
export const TICK_MS = 20;

export interface Sent {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payload: Uint8Array;
  readonly arrivalMs: number;
}

const encoder = pcmu.newEncoder({ sampleRate: RATE });
export const decoder = pcmu.newDecoder({ sampleRate: RATE });

export interface SendOptions {
  readonly signal: Int16Array;
  readonly ptimeMs?: number;
  readonly ssrc?: number;
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly fromMs?: number;
  /** Of the packet by its number; undefined: lost. */
  readonly delayMs?: (index: number) => number | undefined;
}

/** Packets of a perfect sender over an imperfect network, in the order they arrive. */
export function send(options: SendOptions): Sent[] {
  const { signal, ptimeMs = 20, ssrc = 1, sequence = 65_500, timestamp = 2 ** 32 - 8000 } = options;
  const { fromMs = 0, delayMs = () => 0 } = options;
  const samples = (ptimeMs * RATE) / 1000;
  const sent: Sent[] = [];
  for (let index = 0; (index + 1) * samples <= signal.length; index++) {
    const delay = delayMs(index);
    if (delay === undefined) continue;
    const payload = new Uint8Array(samples);
    encoder.encode(signal.subarray(index * samples, (index + 1) * samples), payload, 0);
    sent.push({
      ssrc,
      sequence: (sequence + index) & 0xffff,
      timestamp: (timestamp + index * samples) >>> 0,
      marker: index === 0,
      payload,
      arrivalMs: fromMs + index * ptimeMs + delay,
    });
  }
  return sent;
}

export interface Heard {
  readonly samples: Int16Array;
  readonly buffer: JitterBuffer;
  readonly source: RtpSource;
}

/** Plays what arrived, tick by tick, as a leg does. */
export function play(sent: readonly Sent[], { phaseMs = 10, ms = 0 } = {}): Heard {
  const arriving = sent.toSorted((a, b) => a.arrivalMs - b.arrivalMs);
  const lengthMs = ms || (arriving.at(-1)?.arrivalMs ?? 0) + 600;
  const buffer = new JitterBuffer({ sampleRate: RATE, clockRate: RATE, frameSamples: FRAME });
  const source = new RtpSource(RATE);
  const frame = new Int16Array(FRAME);
  const ticks = Math.floor(lengthMs / TICK_MS);
  const samples = new Int16Array(ticks * FRAME);
  const packet = new RtpPacket();
  let next = 0;
  for (let tick = 0; tick < ticks; tick++) {
    const nowMs = phaseMs + tick * TICK_MS;
    while (next < arriving.length && arriving[next]!.arrivalMs <= nowMs) {
      const { payload, ...header } = arriving[next++]!;
      Object.assign(packet, header, { data: payload, payloadOffset: 0 });
      packet.payloadLength = payload.length;
      const verdict = source.accept(packet);
      if (verdict === 'refused') continue;
      if (verdict === 'restarted') buffer.reset();
      buffer.put(source.extendedSequence, packet, decoder);
    }
    buffer.get(frame, nowMs);
    samples.set(frame, tick * FRAME);
  }
  return { samples, buffer, source };
}
