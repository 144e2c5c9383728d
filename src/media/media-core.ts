/** Carries out media commands over a clock, a network and randomness: the inside of both engines. */
import type { Clock } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Network } from '../core/network.js';
import type { Random } from '../core/random.js';
import type {
  CommandOf,
  MediaCommand,
  MediaEvent,
  MediaResult,
  MediaResults,
  NodeId,
} from './commands.js';
import { Graph, type GraphNode, type NodeBehaviour } from './graph.js';
import { Leg } from './leg.js';
import { Pacer } from './pacer.js';
import { PlainPath } from './plain-path.js';
import { Player } from './player.js';
import { Recorder } from './recorder.js';
import { Tone } from './tone.js';

/** Frame length, RFC 3551 §4.2: the default packetisation interval. */
export const FRAME_MS = 20;
export const SAMPLE_RATE = 8000;

export interface MediaCoreOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly onEvent: (event: MediaEvent) => void;
  /** See `PacerOptions.defer`. */
  readonly defer?: (task: () => void) => void;
  /** Of the graph, in Hz; by default 8000, the clock rate of G.711. */
  readonly sampleRate?: number;
}

interface CoreNode {
  readonly graphNode: GraphNode;
  readonly leg?: Leg;
  close(): Promise<void>;
}

export class MediaCore {
  readonly #deps: Pick<MediaCoreOptions, 'clock' | 'network' | 'random'>;
  readonly #onEvent: (event: MediaEvent) => void;
  readonly #sampleRate: number;
  readonly #graph: Graph;
  readonly #pacer: Pacer;
  readonly #nodes = new Map<NodeId, CoreNode>();
  #stopped = false;

  constructor({ onEvent, defer, sampleRate = SAMPLE_RATE, ...deps }: MediaCoreOptions) {
    this.#deps = deps;
    this.#onEvent = onEvent;
    this.#sampleRate = sampleRate;
    const graph = new Graph((sampleRate * FRAME_MS) / 1000);
    this.#graph = graph;
    this.#pacer = new Pacer({
      clock: deps.clock,
      periodMs: FRAME_MS,
      ...(defer && { defer }),
      tick: nowMs => graph.tick(nowMs),
      skip: frames => graph.skip(frames),
    });
  }

  /** Rejects with a `CodedError`. What a command does without waiting is done when this returns. */
  async execute(command: MediaCommand): Promise<MediaResult> {
    switch (command.type) {
      case 'open-leg':
        return this.#openLeg(command);
      case 'configure-leg':
        this.#nodes.get(command.node)?.leg?.configure(command.settings);
        return undefined;
      case 'leg-statistics':
        return this.#leg(command.node).statistics();
      case 'open-mix':
        this.#keep(command.node, this.#graph.addMix());
        return undefined;
      case 'open-player':
        return this.#openPlayer(command);
      case 'open-tone':
        return this.#openTone(command);
      case 'open-recorder':
        return this.#openRecorder(command);
      case 'connect':
      case 'disconnect':
        return this.#arrow(command);
      case 'replace':
        return this.#replace(command);
      case 'close-node':
        return this.#close(command.node);
      case 'clock-statistics':
        return this.#pacer.statistics();
    }
  }

  /** Closes every node; nothing is opened afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    // A recorder whose disk failed has said so already.
    await Promise.allSettled([...this.#nodes.keys()].map(node => this.#close(node)));
    this.#pacer.stop();
  }

  async #openLeg({ node, options }: CommandOf<'open-leg'>): Promise<MediaResults['open-leg']> {
    const path = await PlainPath.open(this.#deps, options.address);
    if (this.#stopped) {
      path.close();
      throw engineStopped();
    }
    const leg = new Leg({
      ...this.#deps,
      path,
      sampleRate: this.#sampleRate,
      frameSamples: this.#graph.frameSamples,
    });
    this.#keep(node, this.#graph.add(leg), { leg, close: async () => leg.close() });
    return { port: path.port };
  }

  async #openPlayer({ node, file, loop }: CommandOf<'open-player'>): Promise<undefined> {
    const player = await Player.open({
      file,
      loop,
      sampleRate: this.#sampleRate,
      onEnded: () => this.#onEvent({ type: 'ended', node }),
      onError: error => this.#onEvent({ type: 'failed', node, error }),
    });
    await this.#keepFile(node, player);
  }

  #openTone({ node, tones, loop, levelDbm0 }: CommandOf<'open-tone'>): undefined {
    const tone = new Tone({
      tones,
      loop,
      ...(levelDbm0 !== undefined && { levelDbm0 }),
      sampleRate: this.#sampleRate,
      onEnded: () => this.#onEvent({ type: 'ended', node }),
    });
    this.#keep(node, this.#graph.add(tone));
  }

  async #openRecorder({ node, file }: CommandOf<'open-recorder'>): Promise<undefined> {
    const recorder = await Recorder.open({
      file,
      sampleRate: this.#sampleRate,
      onError: error => this.#onEvent({ type: 'failed', node, error }),
    });
    await this.#keepFile(node, recorder);
  }

  async #keepFile(node: NodeId, behaviour: NodeBehaviour & { close(): Promise<void> }) {
    if (this.#stopped) {
      await behaviour.close();
      throw engineStopped();
    }
    this.#keep(node, this.#graph.add(behaviour), { close: () => behaviour.close() });
    return undefined;
  }

  #keep(
    node: NodeId,
    graphNode: GraphNode,
    rest: Omit<CoreNode, 'graphNode'> = { close: async () => undefined },
  ): void {
    if (this.#stopped) throw engineStopped();
    this.#nodes.set(node, { graphNode, ...rest });
    this.#pacer.start();
  }

  #replace({ node, by }: CommandOf<'replace'>): undefined {
    const [old, fresh] = [this.#nodes.get(node), this.#nodes.get(by)];
    if (old && fresh) this.#graph.replace(old.graphNode, fresh.graphNode);
  }

  #arrow({ type, from, to }: CommandOf<'connect' | 'disconnect'>): undefined {
    const source = this.#nodes.get(from)?.graphNode;
    const sink = this.#nodes.get(to)?.graphNode;
    // A closed node's arrows went with it.
    if (!source || !sink) return;
    if (type === 'connect') this.#graph.connect(source, sink);
    else this.#graph.disconnect(source, sink);
  }

  async #close(id: NodeId): Promise<undefined> {
    const node = this.#nodes.get(id);
    if (!node) return;
    this.#nodes.delete(id);
    this.#graph.remove(node.graphNode);
    if (this.#nodes.size === 0) this.#pacer.stop();
    await node.close();
  }

  #leg(id: NodeId): Leg {
    const leg = this.#nodes.get(id)?.leg;
    if (leg) return leg;
    throw new CodedError('NODE_CLOSED', 'expected an open leg, found one that was closed', {
      remedy: 'Ask for statistics before closing the leg.',
    });
  }
}

/** `ENGINE_STOPPED`: asked of an engine that was not started, or no longer runs. */
export function engineStopped(): CodedError {
  return new CodedError('ENGINE_STOPPED', 'expected a running media engine, found it stopped', {
    remedy: 'Start the engine before opening anything.',
  });
}
