/** The media engine as handles over commands; where the commands are carried out is handed in. */

import { CodedError, errorCode } from '../core/errors.js';
import type {
  CommandOf,
  CommandType,
  MediaClockStatistics,
  MediaCommand,
  MediaEvent,
  MediaResults,
  NodeId,
} from './commands.js';
import type {
  HeardDigit,
  LegOptions,
  LegSettings,
  LegStatistics,
  MediaEngine,
  MediaLeg,
  MediaNode,
  Player,
  SentDigits,
  ToneSpec,
  VoiceProcessing,
} from './engine.js';

import type { PipeMemory } from './frame-pipe.js';

export interface EngineOptions {
  /**
   * Told of failures no call waits for: a recorder lost its disk, the media thread died.
   * Calls in progress go on as far as they can.
   */
  readonly onError?: (error: Error) => void;
}

type Direction = 'source' | 'sink' | 'both' | 'mix';

export abstract class EngineClient implements MediaEngine {
  readonly #onError: (error: Error) => void;
  readonly #players = new Map<NodeId, () => void>();
  readonly #voiceListeners = new Map<NodeId, (speaking: boolean) => void>();
  readonly #digitListeners = new Map<NodeId, (heard: HeardDigit) => void>();
  readonly #handles = new WeakMap<MediaNode, Handle>();
  #lastNode: NodeId = 0;

  constructor({ onError = () => undefined }: EngineOptions) {
    this.#onError = onError;
  }

  abstract start(signal?: AbortSignal): Promise<void>;
  abstract stop(): Promise<void>;
  protected abstract request<T extends CommandType>(
    command: CommandOf<T>,
  ): Promise<MediaResults[T]>;

  async openLeg(options: LegOptions): Promise<MediaLeg> {
    const node = ++this.#lastNode;
    const { port } = await this.request<'open-leg'>({ type: 'open-leg', node, options });
    return this.#handle(node, 'both', {
      port,
      listenForDigits: (listener: (heard: HeardDigit) => void) =>
        void this.#digitListeners.set(node, listener),
      sendDigits: async (digits: SentDigits): Promise<void> => {
        await this.request<'send-digits'>({ type: 'send-digits', node, digits }).catch(
          unlessStopped,
        );
      },
      move: async (address: string): Promise<number> =>
        (await this.request<'move-leg'>({ type: 'move-leg', node, address })).port,
      configure: (settings: LegSettings) => this.order({ type: 'configure-leg', node, settings }),
      statistics: (): Promise<LegStatistics> =>
        this.request<'leg-statistics'>({ type: 'leg-statistics', node }),
    });
  }

  async openMix({ speakers }: { speakers?: number } = {}): Promise<MediaNode> {
    const node = ++this.#lastNode;
    await this.request<'open-mix'>({ type: 'open-mix', node, speakers });
    return this.#handle(node, 'mix', {});
  }

  async openPlayer({ file, loop = false }: { file: string; loop?: boolean }): Promise<Player> {
    const node = ++this.#lastNode;
    return this.#openPlayer(node, { type: 'open-player', node, file, loop });
  }

  async openTone(options: {
    tones: ToneSpec;
    loop?: boolean;
    levelDbm0?: number;
    sampleRate?: number;
  }): Promise<Player> {
    const node = ++this.#lastNode;
    const { tones, loop = false, levelDbm0, sampleRate } = options;
    return this.#openPlayer(node, {
      type: 'open-tone',
      node,
      tones,
      loop,
      levelDbm0,
      sampleRate,
    });
  }

  async process(
    source: MediaNode,
    processing: VoiceProcessing,
    onVoice: (speaking: boolean) => void = () => undefined,
  ): Promise<void> {
    const { node, direction } = this.#known(source);
    if (direction === 'sink' || direction === 'mix') {
      const message = `expected a source of a voice to process, found a ${direction}`;
      throw new CodedError('NOT_CONNECTABLE', message, { remedy: 'Process legs and players.' });
    }
    this.#voiceListeners.set(node, onVoice);
    await this.request<'process'>({ type: 'process', node, processing });
  }

  async openRecorder({ file }: { file: string }): Promise<MediaNode> {
    const node = ++this.#lastNode;
    await this.request<'open-recorder'>({ type: 'open-recorder', node, file });
    return this.#handle(node, 'sink', {});
  }

  /** One end of a pipe to another thread, with frames of `rate` Hz. */
  async openPipe(memory: PipeMemory, rate: number): Promise<MediaNode> {
    const node = ++this.#lastNode;
    await this.request<'open-pipe'>({ type: 'open-pipe', node, memory, rate });
    const { hears, says } = memory;
    return this.#handle(node, hears ? (says ? 'both' : 'source') : 'sink', {});
  }

  /** Throws `CodedError` `NOT_CONNECTABLE` for an arrow from a sink, to a source, or between mixes. */
  connect(from: MediaNode, to: MediaNode, gain = 1): void {
    const source = this.#known(from);
    const sink = this.#known(to);
    if (
      source.direction === 'sink' ||
      sink.direction === 'source' ||
      (source.direction === 'mix' && sink.direction === 'mix')
    ) {
      throw new CodedError(
        'NOT_CONNECTABLE',
        `expected an arrow from a source to a sink, found one from ${source.direction} to ${sink.direction}`,
        { remedy: 'Only legs, recorders and mixes hear; connect the members of two mixes to one.' },
      );
    }
    this.order({ type: 'connect', from: source.node, to: sink.node, gain });
  }

  replace(node: MediaNode, by: MediaNode): void {
    this.order({ type: 'replace', node: this.#known(node).node, by: this.#known(by).node });
  }

  disconnect(from: MediaNode, to: MediaNode): void {
    const { node: source } = this.#known(from);
    const { node: sink } = this.#known(to);
    this.order({ type: 'disconnect', from: source, to: sink });
  }

  /** How late the 20 ms clock ran, and what it spent its time on; `restart` counts anew from now on. */
  clockStatistics({ restart = false } = {}): Promise<MediaClockStatistics> {
    return this.request<'clock-statistics'>({ type: 'clock-statistics', restart });
  }

  protected handleEvent(event: MediaEvent): void {
    switch (event.type) {
      case 'ended':
        this.#end(event.node);
        break;
      case 'voice':
        this.#voiceListeners.get(event.node)?.(event.speaking);
        break;
      case 'digit':
        this.#digitListeners.get(event.node)?.(event.heard);
        break;
      case 'failed':
        this.reportError(event.error);
        break;
    }
  }

  protected reportError(error: Error): void {
    this.#onError(error);
  }

  /** Nothing plays any more. */
  protected endPlayers(): void {
    for (const node of [...this.#players.keys()]) this.#end(node);
  }

  async #openPlayer(
    node: NodeId,
    command: CommandOf<'open-player'> | CommandOf<'open-tone'>,
  ): Promise<Player> {
    const ended = new Promise<void>(resolve => this.#players.set(node, resolve));
    try {
      await this.request<'open-player' | 'open-tone'>(command);
    } catch (error) {
      this.#players.delete(node);
      throw error;
    }
    return this.#handle(node, 'source', { ended });
  }

  #end(node: NodeId): void {
    this.#digitListeners.delete(node);
    this.#voiceListeners.delete(node);
    this.#players.get(node)?.();
    this.#players.delete(node);
  }

  /** A command nobody waits for; what goes wrong is told. */
  protected order(command: MediaCommand): void {
    this.request(command)
      .catch(unlessStopped)
      .catch(error => this.reportError(error));
  }

  #handle<T extends object>(node: NodeId, direction: Direction, own: T): T & MediaNode {
    let closed: Promise<void> | undefined;
    const handle = {
      ...own,
      close: () => {
        closed ??= this.request<'close-node'>({ type: 'close-node', node })
          .catch(unlessStopped)
          .finally(() => this.#end(node));
        return closed;
      },
    };
    this.#handles.set(handle, { node, direction });
    return handle;
  }

  #known(handle: MediaNode): Handle {
    const known = this.#handles.get(handle);
    if (known) return known;
    throw new CodedError('FOREIGN_NODE', 'expected a node of this engine, found another', {
      remedy: 'Connect nodes which the same engine opened.',
    });
  }
}

/** A stopped engine has closed its nodes: nothing is left to be done to them. */
function unlessStopped(error: unknown): undefined {
  if (errorCode(error) !== 'ENGINE_STOPPED') throw error;
}

interface Handle {
  readonly node: NodeId;
  readonly direction: Direction;
}
