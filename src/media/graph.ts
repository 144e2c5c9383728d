/**
 * The media graph: nodes that bring frames, nodes that take them, mixes between, and arrows.
 * Each tick every source fills its frame, every mix adds up its inputs, every sink is handed what
 * its arrows bring it. One arrow passes samples through untouched; several are added and saturated.
 * A sink that also feeds a mix hears the mix without itself (N-1). Nothing is allocated per tick.
 */
/** What a node does each tick; a source produces, a sink consumes, a leg does both. */
export interface NodeBehaviour {
  /**
   * Fills the whole frame.
   *
   * @param heard whether any arrow leads away from the node
   */
  produce?(frame: Int16Array, nowMs: number, heard: boolean): void;
  /** `frame` is valid only during the call. */
  consume?(frame: Int16Array, nowMs: number): void;
  /** `frames` ticks were left out because the machine stood still. */
  skip?(frames: number): void;
}

interface Arrow {
  readonly from: GraphNode;
  /** `from` is a mix which hears this sink as well. */
  withoutSelf: boolean;
}

export interface GraphNode {
  readonly behaviour: NodeBehaviour;
  /** What a source produced in this tick. */
  readonly frame: Int16Array;
  /** Present on a mix: the sum of its inputs in this tick. */
  readonly total: Int32Array | undefined;
  readonly inputs: Arrow[];
  listeners: number;
}

export class Graph {
  readonly frameSamples: number;
  readonly #sources: GraphNode[] = [];
  readonly #mixes: GraphNode[] = [];
  readonly #sinks: GraphNode[] = [];
  readonly #sum: Int32Array;
  readonly #heard: Int16Array;
  readonly #silence: Int16Array;

  /** @param frameSamples samples of a frame */
  constructor(frameSamples: number) {
    this.frameSamples = frameSamples;
    this.#sum = new Int32Array(frameSamples);
    this.#heard = new Int16Array(frameSamples);
    this.#silence = new Int16Array(frameSamples);
  }

  add(behaviour: NodeBehaviour): GraphNode {
    const node = this.#node(behaviour, false);
    if (behaviour.produce) this.#sources.push(node);
    if (behaviour.consume) this.#sinks.push(node);
    return node;
  }

  addMix(): GraphNode {
    const node = this.#node({}, true);
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
  }

  /** `to` hears `from`; twice changes nothing. Mixes do not feed mixes. */
  connect(from: GraphNode, to: GraphNode): void {
    if (to.inputs.some(arrow => arrow.from === from)) return;
    to.inputs.push({ from, withoutSelf: hears(from, to) });
    from.listeners++;
    this.#markOwn(to, from);
  }

  disconnect(from: GraphNode, to: GraphNode): void {
    const index = to.inputs.findIndex(arrow => arrow.from === from);
    if (index < 0) return;
    to.inputs.splice(index, 1);
    from.listeners--;
    this.#markOwn(to, from);
  }

  /** Every arrow from and to `node` leads from and to `by` instead. */
  replace(node: GraphNode, by: GraphNode): void {
    const place = (other: GraphNode) => (other === node ? by : other);
    const arrows: [GraphNode, GraphNode][] = [];
    for (const to of new Set([...this.#sinks, ...this.#mixes])) {
      for (const { from } of to.inputs) {
        if (from === node || to === node) arrows.push([from, to]);
      }
    }
    for (const [from, to] of arrows) {
      this.disconnect(from, to);
      this.connect(place(from), place(to));
    }
  }

  tick(nowMs: number): void {
    for (let i = 0; i < this.#sources.length; i++) {
      const source = this.#sources[i]!;
      source.behaviour.produce!(source.frame, nowMs, source.listeners > 0);
    }
    for (let i = 0; i < this.#mixes.length; i++) {
      const { total, inputs } = this.#mixes[i]!;
      total!.fill(0);
      for (let j = 0; j < inputs.length; j++) add(total!, inputs[j]!.from.frame);
    }
    for (let i = 0; i < this.#sinks.length; i++) {
      const sink = this.#sinks[i]!;
      sink.behaviour.consume!(this.#frameFor(sink), nowMs);
    }
  }

  skip(frames: number): void {
    for (const source of this.#sources) source.behaviour.skip?.(frames);
    for (const sink of this.#sinks) if (!sink.behaviour.produce) sink.behaviour.skip?.(frames);
  }

  #node(behaviour: NodeBehaviour, isMix: boolean): GraphNode {
    const { frameSamples } = this;
    return {
      behaviour,
      frame: new Int16Array(frameSamples),
      total: isMix ? new Int32Array(frameSamples) : undefined,
      inputs: [],
      listeners: 0,
    };
  }

  /** A node that begins or ceases to feed a mix hears that mix differently from now on. */
  #markOwn(mix: GraphNode, member: GraphNode): void {
    for (const arrow of member.inputs) {
      if (arrow.from === mix) arrow.withoutSelf = hears(mix, member);
    }
  }

  #frameFor(sink: GraphNode): Int16Array {
    const { inputs } = sink;
    if (inputs.length === 0) return this.#silence;
    if (inputs.length === 1 && !inputs[0]!.from.total) return inputs[0]!.from.frame;
    const sum = this.#sum;
    sum.fill(0);
    for (let i = 0; i < inputs.length; i++) {
      const { from, withoutSelf } = inputs[i]!;
      add(sum, from.total ?? from.frame);
      if (withoutSelf) subtract(sum, sink.frame);
    }
    saturate(sum, this.#heard);
    return this.#heard;
  }
}

function hears(mix: GraphNode, member: GraphNode): boolean {
  return mix.total !== undefined && mix.inputs.some(arrow => arrow.from === member);
}

function add(sum: Int32Array, samples: Int16Array | Int32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + samples[i]!;
}

function subtract(sum: Int32Array, samples: Int16Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! - samples[i]!;
}

function saturate(sum: Int32Array, out: Int16Array): void {
  for (let i = 0; i < sum.length; i++) {
    out[i] = Math.max(-32768, Math.min(32767, sum[i]!));
  }
}
