/** Carries out media commands over a clock, a network and randomness: the inside of both engines. */
import type { Clock } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { codecByName } from './codecs/registry.js';
import { Codings } from './codings.js';
import type {
  CommandOf,
  MediaClockStatistics,
  MediaCommand,
  MediaEvent,
  MediaResult,
  MediaResults,
  NodeId,
} from './commands.js';
import type { LegSettings, VoiceProcessing } from './engine.js';
import { pipeEnd } from './frame-pipe.js';
import {
  BASE_RATE,
  FRAME_MS,
  GRAPH_RATES,
  Graph,
  type GraphNode,
  type NodeBehaviour,
} from './graph.js';
import { Leg } from './leg.js';
import { Pacer } from './pacer.js';
import { type DatagramNetwork, PlainPath } from './plain-path.js';
import { Player } from './player.js';
import { Recorder } from './recorder.js';
import { SecurePath, srtpKeys } from './secure-path.js';
import { TickProfile } from './tick-profile.js';
import { Tone } from './tone.js';
import { SilenceSuppressor } from './voice/silence-suppressor.js';
import { loadFvad, VoiceDetector } from './voice/voice-detector.js';
import { processingUnavailable, VoiceProcessor } from './voice/voice-processor.js';

export interface MediaCoreOptions {
  readonly clock: Clock;
  readonly network: DatagramNetwork;
  /** Where packets are read and sent in batches: before and after each tick. */
  readonly batch?: { receive(): void; flush(): void };
  readonly random: Random;
  readonly onEvent: (event: MediaEvent) => void;
  /** See `PacerOptions.defer`. */
  readonly defer?: (task: () => void) => void;
}

/** A graph node, and what belongs to it. */
interface CoreNode {
  /** What was asked for last. */
  processing?: VoiceProcessing | undefined;
  processor?: VoiceProcessor | undefined;
  readonly graphNode: GraphNode;
  readonly leg?: Leg;
  /** What the leg was told last. */
  settings?: LegSettings;
  /** Resolves when it has come to pass. */
  configured?: Promise<undefined>;
  /** Under the leg. */
  readonly path?: SecurePath;
  close(): Promise<void>;
}

export class MediaCore {
  readonly #deps: Pick<MediaCoreOptions, 'clock' | 'network' | 'random'>;
  readonly #onEvent: (event: MediaEvent) => void;
  readonly #graph = new Graph();
  readonly #codings = new Codings();
  readonly #pacer: Pacer;
  readonly #profile: TickProfile;
  readonly #nodes = new Map<NodeId, CoreNode>();
  /** What tells a voice from its pauses, for all legs; loaded for the first that has to. */
  #fvad: ReturnType<typeof loadFvad> | undefined;
  #stopped = false;

  constructor({ onEvent, defer, batch, ...deps }: MediaCoreOptions) {
    this.#deps = deps;
    this.#onEvent = onEvent;
    const graph = this.#graph;
    const profile = new TickProfile(deps.clock);
    this.#profile = profile;
    this.#pacer = new Pacer({
      clock: deps.clock,
      periodMs: FRAME_MS,
      ...(defer && { defer }),
      tick: nowMs => {
        profile.begin();
        batch?.receive();
        profile.next();
        graph.produce(nowMs);
        profile.next();
        graph.mix();
        profile.next();
        graph.consume(nowMs);
        profile.next();
        batch?.flush();
        profile.next();
      },
      skip: frames => graph.skip(frames),
    });
  }

  /** Rejects with a `CodedError`. What a command does without waiting is done when this returns. */
  async execute(command: MediaCommand): Promise<MediaResult> {
    switch (command.type) {
      case 'open-leg':
        return this.#openLeg(command);
      case 'move-leg':
        return this.#moveLeg(command);
      case 'configure-leg':
        return this.#configureInTurn(command);
      case 'leg-statistics':
        return this.#leg(command.node).statistics();
      case 'send-digits':
        return this.#sendDigits(command);
      case 'open-mix':
        this.#keep(command.node, this.#graph.addMix(command.speakers));
        return undefined;
      case 'open-player':
        return this.#openPlayer(command);
      case 'open-tone':
        return this.#openTone(command);
      case 'open-recorder':
        return this.#openRecorder(command);
      case 'open-pipe':
        this.#keep(command.node, this.#graph.add(pipeEnd(command.memory), command.rate));
        return undefined;
      case 'process':
        return this.#process(command);
      case 'connect':
      case 'disconnect':
        return this.#arrow(command);
      case 'replace':
        return this.#replace(command);
      case 'close-node':
        return this.#close(command.node);
      case 'clock-statistics':
        return this.#clockStatistics(command);
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
    for (const name of options.codecs ?? []) await codecByName(name)?.load?.();
    const plain = await PlainPath.open(this.#deps, options.address);
    const path = new SecurePath(this.#deps.clock, plain);
    path.onExhausted = () => this.#onEvent({ type: 'failed', node, error: keyExhausted() });
    if (this.#stopped) {
      path.close();
      throw engineStopped();
    }
    const leg = new Leg({
      ...this.#deps,
      path,
      codings: this.#codings,
      load: () => this.#profile.load,
    });
    leg.onDigit = heard => this.#onEvent({ type: 'digit', node, heard });
    this.#keep(node, this.#graph.add(leg), { leg, path, close: async () => leg.close() });
    return { port: path.port };
  }

  async #moveLeg({ node, address }: CommandOf<'move-leg'>): Promise<MediaResults['move-leg']> {
    const path = this.#nodes.get(node)?.path;
    if (!path) throw legClosed();
    await path.move(address);
    return { port: path.port };
  }

  /** What is asked of the leg next may have to wait for it. */
  #configureInTurn(command: CommandOf<'configure-leg'>): Promise<undefined> {
    const configured = this.#configure(command);
    const node = this.#nodes.get(command.node);
    if (node) node.configured = configured;
    return configured;
  }

  /** As agreed on: a codec may still be loading. What the leg throws rejects. */
  async #sendDigits({ node, digits }: CommandOf<'send-digits'>): Promise<undefined> {
    const leg = this.#leg(node);
    // What went wrong with it has been told.
    await this.#nodes.get(node)?.configured?.catch(() => undefined);
    // Closed meanwhile: nobody is there to be sent anything.
    if (!this.#nodes.has(node)) return undefined;
    return new Promise(resolve => leg.sendDigits(digits, () => resolve(undefined)));
  }

  async #configure({ node: id, settings }: CommandOf<'configure-leg'>): Promise<undefined> {
    const node = this.#nodes.get(id);
    if (!node?.leg) return;
    node.settings = settings;
    const { name, sampleRate } = settings.format;
    const codec = codecByName(name, sampleRate);
    if (codec?.load) await codec.load();
    // Closed, or told otherwise, while the codec was loaded.
    if (this.#nodes.get(id) !== node || node.settings !== settings) return;
    node.path?.secure(settings.security && srtpKeys(settings.security));
    node.leg.configure(settings);
    this.#graph.setRate(node.graphNode, node.leg.sampleRate);
    // Its filter went with the rate.
    if (node.processing && !node.graphNode.filter) await this.#openProcessor(id, node);
    if (settings.suppressSilence) await this.#suppressSilence(id, node);
  }

  /** Until what tells pauses is loaded, and where it cannot be, the leg sends them. */
  async #suppressSilence(id: NodeId, { leg, settings }: CoreNode): Promise<void> {
    this.#fvad ??= loadFvad();
    try {
      const fvad = await this.#fvad;
      if (this.#nodes.get(id)?.settings !== settings) return;
      leg?.suppressSilence(
        (rate, samples) => new SilenceSuppressor(new VoiceDetector(fvad, rate, samples), samples),
      );
    } catch (cause) {
      this.#fvad = undefined;
      this.#onEvent({ type: 'failed', node: id, error: processingUnavailable(cause) });
    }
  }

  async #process({ node: id, processing }: CommandOf<'process'>): Promise<undefined> {
    const node = this.#nodes.get(id);
    if (!node) return;
    const { noiseSuppression, gainControl, voiceActivity } = processing;
    const wanted = noiseSuppression || gainControl || voiceActivity;
    node.processing = wanted ? processing : undefined;
    node.graphNode.filter = undefined;
    if (wanted) await this.#openProcessor(id, node);
    else closeProcessor(node);
  }

  /** For the rate that the node has when it is open. */
  async #openProcessor(id: NodeId, node: CoreNode): Promise<void> {
    const { processing, graphNode } = node;
    if (!processing) return;
    const { rate } = graphNode;
    const onVoice = (speaking: boolean) => this.#onEvent({ type: 'voice', node: id, speaking });
    const processor = await VoiceProcessor.open(processing, rate, onVoice);
    // Closed, or told otherwise, or of another rate, while it was loaded.
    if (this.#nodes.get(id) !== node || node.processing !== processing || graphNode.rate !== rate) {
      processor.close();
      return;
    }
    closeProcessor(node);
    node.processor = processor;
    graphNode.filter = processor;
  }

  async #openPlayer({ node, file, loop }: CommandOf<'open-player'>): Promise<undefined> {
    const player = await Player.open({
      file,
      loop,
      onEnded: () => this.#onEvent({ type: 'ended', node }),
      onError: error => this.#onEvent({ type: 'failed', node, error }),
    });
    await this.#keepFile(node, player);
  }

  #openTone({ node, tones, loop, levelDbm0, sampleRate }: CommandOf<'open-tone'>): undefined {
    const highest = Math.max(0, ...tones.flatMap(({ frequencies }) => frequencies));
    const enough = GRAPH_RATES.find(rate => rate > highest * 2) ?? BASE_RATE;
    const rate = sampleRate ?? enough;
    const tone = new Tone({
      tones,
      loop,
      ...(levelDbm0 !== undefined && { levelDbm0 }),
      sampleRate: rate,
      onEnded: () => this.#onEvent({ type: 'ended', node }),
    });
    this.#keep(node, this.#graph.add(tone, rate));
  }

  async #openRecorder({ node, file }: CommandOf<'open-recorder'>): Promise<undefined> {
    const recorder = await Recorder.open({
      file,
      onError: error => this.#onEvent({ type: 'failed', node, error }),
    });
    await this.#keepFile(node, recorder);
  }

  async #keepFile(
    node: NodeId,
    behaviour: NodeBehaviour & { readonly sampleRate: number; close(): Promise<void> },
  ) {
    if (this.#stopped) {
      await behaviour.close();
      throw engineStopped();
    }
    const graphNode = this.#graph.add(behaviour, behaviour.sampleRate);
    this.#keep(node, graphNode, { close: () => behaviour.close() });
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

  #arrow(command: CommandOf<'connect' | 'disconnect'>): undefined {
    const source = this.#nodes.get(command.from)?.graphNode;
    const sink = this.#nodes.get(command.to)?.graphNode;
    // A closed node's arrows went with it.
    if (!source || !sink) return;
    if (command.type === 'connect') this.#graph.connect(source, sink, command.gain);
    else this.#graph.disconnect(source, sink);
  }

  async #close(id: NodeId): Promise<undefined> {
    const node = this.#nodes.get(id);
    if (!node) return;
    this.#nodes.delete(id);
    this.#graph.remove(node.graphNode);
    if (this.#nodes.size === 0) this.#pacer.stop();
    closeProcessor(node);
    await node.close();
  }

  #clockStatistics({ restart }: CommandOf<'clock-statistics'>): MediaClockStatistics {
    const statistics = { ...this.#pacer.statistics(), stagesMs: this.#profile.times };
    if (restart) {
      this.#pacer.restartStatistics();
      this.#profile.restart();
    }
    return statistics;
  }

  #leg(id: NodeId): Leg {
    const leg = this.#nodes.get(id)?.leg;
    if (leg) return leg;
    throw legClosed();
  }
}

/** `ENGINE_STOPPED`: asked of an engine that was not started, or no longer runs. */
export function engineStopped(): CodedError {
  return new CodedError('ENGINE_STOPPED', 'expected a running media engine, found it stopped', {
    remedy: 'Start the engine before opening anything.',
  });
}

function legClosed(): CodedError {
  return new CodedError('NODE_CLOSED', 'expected an open leg, found one that was closed', {
    remedy: 'Ask for statistics before closing the leg.',
  });
}

function closeProcessor(node: CoreNode): void {
  node.processor?.close();
  node.processor = undefined;
}

function keyExhausted(): CodedError {
  return new CodedError(
    'SRTP_KEY_EXHAUSTED',
    'a key of SRTP has protected as many packets as it may: the call is silent until there is another',
    { remedy: 'Hang up and call again.' },
  );
}
