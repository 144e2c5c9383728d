/**
 * The media graph: nodes that bring frames, nodes that take them, mixes between, and arrows.
 * Each tick every source fills its frame, every mix adds up its inputs, every sink is handed what
 * its arrows bring it. Nodes have rates of their own: an arrow between two rates converts. One arrow between equal
 * rates passes samples through untouched; several are added. A sink that also feeds a mix hears the mix without
 * itself (N-1). Nothing is allocated per tick.
 */
import type { Conditions, Encoder } from './codecs/codec.js';
import { Limiter } from './limiter.js';
import { type Coding, Mix, type MixInput, type Voice } from './mix.js';
import { RateConverter } from './rate-converter.js';

/** Frame length, RFC 3551 §4.2: the default packetisation interval. */
export const FRAME_MS = 20;
/** Of a node that says nothing else, in Hz. */
export const BASE_RATE = 8000;
/** What the graph converts between, in Hz. */
export const GRAPH_RATES: readonly number[] = [8000, 16_000, 48_000];

/** What a node does each tick; a source produces, a sink consumes, a leg does both. */
export interface NodeBehaviour {
  /**
   * Fills the whole frame.
   *
   * @param heard whether any arrow leads away from the node
   */
  produce?(frame: Int16Array, nowMs: number, heard: boolean): void;
  /** In place of `produce`, where nobody wants to hear it: time goes by. The frame is not looked at. */
  pass?(nowMs: number): void;
  /** Of the frame that comes next, in dBov (RFC 6464); undefined where only decoding would tell. */
  claimedLevel?(nowMs: number): number | undefined;
  /** `frame` is valid only during the call. */
  consume?(frame: Int16Array, nowMs: number): void;
  /** Set where a payload that was made for others may be taken in place of `consume`. */
  readonly coding?: Coding | undefined;
  /** How the stream with that payload fares, where its far end has told. */
  readonly conditions?: Conditions | undefined;
  /** `payload` is what `encoder` made of `frame`; both are valid only during the call. */
  consumeCoded?(
    payload: Uint8Array,
    octets: number,
    frame: Int16Array,
    encoder: Encoder,
    nowMs: number,
  ): void;
  /** A sink that suits itself to what it hears: the rate it wants where that has `offered` Hz. */
  rateFor?(offered: number): number;
  /** `frames` ticks were left out because the machine stood still. */
  skip?(frames: number): void;
}

/** Changes what a source brings, in place, before anybody hears it; each tick in which somebody does. */
export interface FrameFilter {
  process(frame: Int16Array): void;
}

interface Arrow {
  readonly from: GraphNode;
  readonly gain: number;
  /** `from` is a mix which hears this sink as well. */
  self: MixInput | undefined;
  readonly limiter: Limiter;
}

/** What one source sounds like at another rate. */
interface Conversion {
  readonly rate: number;
  readonly converter: RateConverter;
  readonly samples: Int32Array;
  tick: number;
}

export class GraphNode implements Voice {
  readonly behaviour: NodeBehaviour;
  readonly mix: Mix | undefined;
  readonly inputs: Arrow[] = [];
  readonly conversions: Conversion[] = [];
  /** Its places in mixes. */
  readonly feeds: MixInput[] = [];
  /** Arrows that lead away; those that lead to mixes which choose their speakers. */
  listeners = 0;
  choosers = 0;
  /** For frames of the node's present rate. */
  filter: FrameFilter | undefined;
  #rate: number;
  #frame: Int16Array;

  constructor(behaviour: NodeBehaviour, rate: number, mix?: Mix) {
    this.behaviour = behaviour;
    this.mix = mix;
    this.#rate = rate;
    this.#frame = new Int16Array((rate * FRAME_MS) / 1000);
  }

  /** In Hz. */
  get rate(): number {
    return this.#rate;
  }

  /** What a source produced in this tick. */
  get frame(): Int16Array {
    return this.#frame;
  }

  set rate(rate: number) {
    this.#rate = rate;
    this.#frame = new Int16Array((rate * FRAME_MS) / 1000);
    this.conversions.length = 0;
    this.filter = undefined;
  }

  claimedLevel(nowMs: number): number | undefined {
    return this.behaviour.claimedLevel?.(nowMs);
  }
}

export class Graph {
  readonly #sources: GraphNode[] = [];
  readonly #mixes: GraphNode[] = [];
  readonly #sinks: GraphNode[] = [];
  readonly #buffers = new Map<number, Buffers>();
  #tick = 0;

  /** @param rate of its frames in Hz, one of `GRAPH_RATES` */
  add(behaviour: NodeBehaviour, rate = BASE_RATE): GraphNode {
    const node = new GraphNode(behaviour, rate);
    if (behaviour.produce) this.#sources.push(node);
    if (behaviour.consume) this.#sinks.push(node);
    return node;
  }

  /** @param speakers how many are heard at a time; all, by default */
  addMix(speakers?: number): GraphNode {
    const node = new GraphNode({}, BASE_RATE, new Mix(FRAME_MS, speakers));
    this.#mixes.push(node);
    return node;
  }

  /** Its arrows go with it. */
  remove(node: GraphNode): void {
    for (const nodes of [this.#sinks, this.#mixes]) {
      for (const other of nodes) this.disconnect(node, other);
    }
    for (const { from } of [...node.inputs]) this.disconnect(from, node);
    for (const nodes of [this.#sources, this.#mixes, this.#sinks]) {
      const index = nodes.indexOf(node);
      if (index >= 0) nodes.splice(index, 1);
    }
    node.mix?.close();
  }

  /** `node` has frames of another rate from now on. */
  setRate(node: GraphNode, rate: number): void {
    if (node.rate === rate) return;
    for (const input of node.feeds) input.mix.rateChanges(input);
    node.rate = rate;
    for (const sink of this.#sinks) {
      if (sink !== node && sink.inputs.some(arrow => arrow.from === node)) this.#suit(sink, node);
    }
  }

  /** `to` hears `from`, `gain` times as loud; the same twice changes nothing. Mixes do not feed mixes. */
  connect(from: GraphNode, to: GraphNode, gain = 1): void {
    const before = to.inputs.find(arrow => arrow.from === from);
    if (before?.gain === gain) return;
    if (before) this.disconnect(from, to);
    to.inputs.push({ from, gain, self: inputOf(from, to), limiter: new Limiter() });
    from.listeners++;
    if (to.mix) {
      from.feeds.push(to.mix.add(from, gain));
      if (to.mix.chooses) from.choosers++;
    }
    this.#markOwn(to, from);
    this.#suit(to, from);
  }

  disconnect(from: GraphNode, to: GraphNode): void {
    const index = to.inputs.findIndex(arrow => arrow.from === from);
    if (index < 0) return;
    to.inputs.splice(index, 1);
    from.listeners--;
    if (to.mix) {
      const place = from.feeds.findIndex(({ mix }) => mix === to.mix);
      for (const input of from.feeds.splice(place, 1)) to.mix.remove(input);
      if (to.mix.chooses) from.choosers--;
    }
    this.#markOwn(to, from);
  }

  /** Every arrow from and to `node` leads from and to `by` instead. */
  replace(node: GraphNode, by: GraphNode): void {
    const place = (other: GraphNode) => (other === node ? by : other);
    const arrows: [GraphNode, GraphNode, number][] = [];
    for (const to of new Set([...this.#sinks, ...this.#mixes])) {
      for (const { from, gain } of to.inputs) {
        if (from === node || to === node) arrows.push([from, to, gain]);
      }
    }
    for (const [from, to, gain] of arrows) {
      this.disconnect(from, to);
      this.connect(place(from), place(to), gain);
    }
  }

  tick(nowMs: number): void {
    this.produce(nowMs);
    this.mix();
    this.consume(nowMs);
  }

  /** First part of a tick: sources fill their frames. */
  produce(nowMs: number): void {
    this.#tick++;
    for (let i = 0; i < this.#mixes.length; i++) this.#mixes[i]!.mix!.choose(nowMs);
    for (let i = 0; i < this.#sources.length; i++) this.#produce(this.#sources[i]!, nowMs);
  }

  /** Second part: mixes add up. */
  mix(): void {
    for (let i = 0; i < this.#mixes.length; i++) this.#mixes[i]!.mix!.addUp();
  }

  /** Last part: sinks hear. */
  consume(nowMs: number): void {
    for (let i = 0; i < this.#sinks.length; i++) this.#consume(this.#sinks[i]!, nowMs);
  }

  skip(frames: number): void {
    for (const source of this.#sources) source.behaviour.skip?.(frames);
    for (const sink of this.#sinks) if (!sink.behaviour.produce) sink.behaviour.skip?.(frames);
  }

  #produce(source: GraphNode, nowMs: number): void {
    const { behaviour } = source;
    if (behaviour.pass && source.choosers > 0 && !this.#isWanted(source, nowMs)) {
      behaviour.pass(nowMs);
    } else {
      behaviour.produce!(source.frame, nowMs, source.listeners > 0);
      if (source.listeners > 0) source.filter?.process(source.frame);
    }
  }

  /** Mixes that choose do without those whom they have not chosen, where a level tells how loud these are. */
  #isWanted(source: GraphNode, nowMs: number): boolean {
    if (source.listeners > source.choosers) return true;
    if (source.claimedLevel(nowMs) === undefined) return true;
    for (let i = 0; i < source.feeds.length; i++) {
      const { candidate } = source.feeds[i]!;
      if (candidate.chosen || candidate.auditioned) return true;
    }
    return false;
  }

  #consume(sink: GraphNode, nowMs: number): void {
    const { behaviour, inputs } = sink;
    const only = inputs.length === 1 ? inputs[0]! : undefined;
    const mix = only?.from.mix;
    const { coding } = behaviour;
    if (mix && coding && only.gain === 1 && !only.self?.contributing) {
      const { payload, octets, encoder } = mix.coded(sink.rate, coding, behaviour.conditions);
      behaviour.consumeCoded!(payload, octets, mix.mixed(sink.rate), encoder, nowMs);
    } else {
      behaviour.consume!(this.#frameFor(sink), nowMs);
    }
  }

  /** A node that begins or ceases to feed a mix hears that mix differently from now on. */
  #markOwn(mix: GraphNode, member: GraphNode): void {
    for (const arrow of member.inputs) {
      if (arrow.from === mix) arrow.self = inputOf(mix, member);
    }
  }

  #suit(sink: GraphNode, source: GraphNode): void {
    const wanted = sink.behaviour.rateFor?.(source.mix?.rate ?? source.rate);
    if (wanted !== undefined) this.setRate(sink, wanted);
  }

  #frameFor(sink: GraphNode): Int16Array {
    const { inputs, rate } = sink;
    const buffers = this.#buffersFor(rate);
    if (inputs.length === 0) return buffers.silence;
    const [first] = inputs;
    if (inputs.length === 1 && first!.gain === 1) {
      const { from } = first!;
      if (from.mix) return this.#mixFor(first!, rate);
      if (from.rate === rate) return from.frame;
    }
    buffers.sum.fill(0);
    for (let i = 0; i < inputs.length; i++) this.#add(buffers.sum, inputs[i]!, rate);
    first!.limiter.limit(buffers.sum, buffers.heard);
    return buffers.heard;
  }

  #mixFor({ from, self, limiter }: Arrow, rate: number): Int16Array {
    return self ? from.mix!.withoutSelf(self, limiter) : from.mix!.mixed(rate);
  }

  #add(sum: Int32Array, arrow: Arrow, rate: number): void {
    const { from, gain } = arrow;
    if (from.mix) addScaled(sum, this.#mixFor(arrow, rate), gain);
    else if (from.rate === rate) addScaled(sum, from.frame, gain);
    else addScaledWide(sum, this.#converted(from, rate), gain);
  }

  #converted(from: GraphNode, rate: number): Int32Array {
    const conversion = conversionTo(from, rate);
    if (conversion.tick !== this.#tick) {
      conversion.tick = this.#tick;
      conversion.converter.process(from.frame, conversion.samples);
    }
    return conversion.samples;
  }

  #buffersFor(rate: number): Buffers {
    let buffers = this.#buffers.get(rate);
    if (!buffers) {
      buffers = new Buffers((rate * FRAME_MS) / 1000);
      this.#buffers.set(rate, buffers);
    }
    return buffers;
  }
}

class Buffers {
  readonly silence: Int16Array;
  readonly heard: Int16Array;
  readonly sum: Int32Array;

  constructor(samples: number) {
    this.silence = new Int16Array(samples);
    this.heard = new Int16Array(samples);
    this.sum = new Int32Array(samples);
  }
}

function conversionTo({ conversions, rate: own }: GraphNode, rate: number): Conversion {
  for (let i = 0; i < conversions.length; i++) {
    if (conversions[i]!.rate === rate) return conversions[i]!;
  }
  const converter = new RateConverter(own, rate, FRAME_MS);
  const samples = new Int32Array((rate * FRAME_MS) / 1000);
  const conversion = { rate, converter, samples, tick: -1 };
  conversions.push(conversion);
  return conversion;
}

function inputOf(mix: GraphNode, member: GraphNode): MixInput | undefined {
  return member.feeds.find(feed => feed.mix === mix.mix);
}

function addScaled(sum: Int32Array, samples: Int16Array, gain: number): void {
  if (gain === 1) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + samples[i]!;
  else for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + Math.round(samples[i]! * gain);
}

function addScaledWide(sum: Int32Array, samples: Int32Array, gain: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + Math.round(samples[i]! * gain);
}
