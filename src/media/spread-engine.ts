/**
 * The media engine over several threads, for mixers with several processors: legs go to the thread with the fewest.
 * A mix has a part in each thread that has members of it; the first thread's part joins the others, so that each part
 * hears all the others and never itself. What passes from thread to thread is 20 to 60 ms older each time, and 16 kHz.
 */
import { CodedError } from '../core/errors.js';
import type {
  LegOptions,
  MediaEngine,
  MediaLeg,
  MediaNode,
  Player,
  ToneSpec,
  VoiceProcessing,
} from './engine.js';
import type { EngineClient } from './engine-client.js';
import { newPipeMemory } from './frame-pipe.js';

/** Of what passes between threads, in Hz. */
const PIPE_RATE = 16_000;
/** Of the thread that joins the parts of mixes, and has what is no leg. */
const HUB = 0;

/** A node that lives in one thread. */
interface Placed {
  readonly type: 'placed';
  readonly thread: number;
  readonly node: MediaNode;
}

interface Part {
  readonly node: MediaNode;
  /** What joins it to the hub; none at the hub itself. */
  readonly ends: readonly MediaNode[];
}

/** A node that has a part in each thread that needs it. */
interface Spread {
  readonly type: 'spread';
  readonly speakers: number | undefined;
  readonly parts: Map<number, Part>;
}

interface Arrow {
  readonly from: MediaNode;
  readonly to: MediaNode;
  readonly gain: number;
  /** The ends of a pipe, where it leads from thread to thread. */
  ends: readonly MediaNode[];
}

export class SpreadMediaEngine implements MediaEngine {
  readonly #engines: readonly EngineClient[];
  readonly #onError: (error: Error) => void;
  readonly #places = new WeakMap<MediaNode, Placed | Spread>();
  readonly #legs: number[];
  #arrows: Arrow[] = [];
  /** Wiring is done in the order in which it was asked for. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param engines one for each thread, two at least */
  constructor(engines: readonly EngineClient[], onError: (error: Error) => void = () => undefined) {
    this.#engines = engines;
    this.#onError = onError;
    this.#legs = engines.map(() => 0);
  }

  async start(signal?: AbortSignal): Promise<void> {
    await Promise.all(this.#engines.map(engine => engine.start(signal)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#engines.map(engine => engine.stop()));
    this.#arrows = [];
    this.#legs.fill(0);
  }

  async openLeg(options: LegOptions): Promise<MediaLeg> {
    const thread = this.#legs.indexOf(Math.min(...this.#legs));
    this.#legs[thread] = this.#legs[thread]! + 1;
    const gone = () => {
      this.#legs[thread] = this.#legs[thread]! - 1;
    };
    try {
      return this.#place(thread, await this.#engines[thread]!.openLeg(options), gone);
    } catch (error) {
      gone();
      throw error;
    }
  }

  async openMix({ speakers }: { speakers?: number } = {}): Promise<MediaNode> {
    const mix: Spread = { type: 'spread', speakers, parts: new Map() };
    await this.#partAt(mix, HUB);
    let closed: Promise<void> | undefined;
    const handle = {
      close: () => {
        closed ??= this.#inTurn(async () => {
          await this.#forgetArrows(handle);
          for (const { node, ends } of mix.parts.values()) {
            for (const each of [node, ...ends]) await each.close();
          }
          mix.parts.clear();
        });
        return closed;
      },
    };
    this.#places.set(handle, mix);
    return handle;
  }

  async openPlayer(options: { file: string; loop?: boolean }): Promise<Player> {
    return this.#place(HUB, await this.#engines[HUB]!.openPlayer(options));
  }

  async openTone(options: {
    tones: ToneSpec;
    loop?: boolean;
    levelDbm0?: number;
    sampleRate?: number;
  }): Promise<Player> {
    return this.#place(HUB, await this.#engines[HUB]!.openTone(options));
  }

  async process(
    source: MediaNode,
    processing: VoiceProcessing,
    onVoice?: (speaking: boolean) => void,
  ): Promise<void> {
    const place = this.#known(source);
    if (place.type === 'spread') {
      const message = 'expected a source of a voice to process, found a mix';
      throw new CodedError('NOT_CONNECTABLE', message, { remedy: 'Process legs and players.' });
    }
    await this.#engines[place.thread]!.process(place.node, processing, onVoice);
  }

  async openRecorder(options: { file: string }): Promise<MediaNode> {
    return this.#place(HUB, await this.#engines[HUB]!.openRecorder(options));
  }

  connect(from: MediaNode, to: MediaNode, gain = 1): void {
    const [source, sink] = [this.#known(from), this.#known(to)];
    if (source.type === 'spread' && sink.type === 'spread') {
      throw new CodedError(
        'NOT_CONNECTABLE',
        'expected an arrow from a source to a sink, found one between mixes',
        {
          remedy: 'Connect the members of two mixes to one.',
        },
      );
    }
    this.#order(() => this.#connect(from, to, gain));
  }

  disconnect(from: MediaNode, to: MediaNode): void {
    this.#known(from);
    this.#known(to);
    this.#order(() => this.#disconnect(from, to));
  }

  replace(node: MediaNode, by: MediaNode): void {
    this.#known(node);
    this.#known(by);
    const place = (other: MediaNode) => (other === node ? by : other);
    this.#order(async () => {
      for (const { from, to, gain } of this.#arrows.filter(leadsTo(node))) {
        await this.#disconnect(from, to);
        await this.#connect(place(from), place(to), gain);
      }
    });
  }

  async #connect(from: MediaNode, to: MediaNode, gain: number): Promise<void> {
    const before = this.#arrowBetween(from, to);
    if (before?.gain === gain) return;
    if (before) await this.#disconnect(from, to);
    const [source, sink] = [this.#known(from), this.#known(to)];
    const arrow: Arrow = { from, to, gain, ends: [] };
    this.#arrows.push(arrow);
    if (source.type === 'placed' && sink.type === 'placed' && source.thread !== sink.thread) {
      const [said, heard] = await this.#pipe(source.thread, sink.thread);
      arrow.ends = [said, heard];
      this.#engines[source.thread]!.connect(source.node, said);
      this.#engines[sink.thread]!.connect(heard, sink.node, gain);
      return;
    }
    const { thread, nodes } = await this.#inOneThread(source, sink);
    this.#engines[thread]!.connect(...nodes, gain);
  }

  async #disconnect(from: MediaNode, to: MediaNode): Promise<void> {
    const arrow = this.#arrowBetween(from, to);
    if (!arrow) return;
    this.#arrows = this.#arrows.filter(other => other !== arrow);
    if (arrow.ends.length > 0) {
      await Promise.all(arrow.ends.map(end => end.close()));
      return;
    }
    const { thread, nodes } = await this.#inOneThread(this.#known(from), this.#known(to));
    this.#engines[thread]!.disconnect(...nodes);
  }

  /** Two nodes as one thread has them. */
  async #inOneThread(
    source: Placed | Spread,
    sink: Placed | Spread,
  ): Promise<{ thread: number; nodes: [MediaNode, MediaNode] }> {
    const thread =
      source.type === 'placed' ? source.thread : sink.type === 'placed' ? sink.thread : HUB;
    const at = (place: Placed | Spread) =>
      place.type === 'placed' ? place.node : this.#partAt(place, thread);
    return { thread, nodes: [await at(source), await at(sink)] };
  }

  async #partAt({ parts, speakers }: Spread, thread: number): Promise<MediaNode> {
    const known = parts.get(thread);
    if (known) return known.node;
    const engine = this.#engines[thread]!;
    const node = await engine.openMix({ ...(speakers !== undefined && { speakers }) });
    const hub = parts.get(HUB)?.node;
    parts.set(thread, { node, ends: hub ? await this.#join(hub, thread, node) : [] });
    return node;
  }

  /** Each end is a member of its part, so that it hears all but what it brings. */
  async #join(hub: MediaNode, thread: number, part: MediaNode): Promise<readonly MediaNode[]> {
    const [up, down] = [newPipeMemory(PIPE_RATE), newPipeMemory(PIPE_RATE)];
    const [hubEngine, engine] = [this.#engines[HUB]!, this.#engines[thread]!];
    const atHub = await hubEngine.openPipe({ hears: up, says: down }, PIPE_RATE);
    const atPart = await engine.openPipe({ hears: down, says: up }, PIPE_RATE);
    for (const [owner, end, mix] of [
      [hubEngine, atHub, hub],
      [engine, atPart, part],
    ] as const) {
      owner.connect(end, mix);
      owner.connect(mix, end);
    }
    return [atHub, atPart];
  }

  async #pipe(from: number, to: number): Promise<[MediaNode, MediaNode]> {
    const memory = newPipeMemory(PIPE_RATE);
    return [
      await this.#engines[from]!.openPipe({ says: memory }, PIPE_RATE),
      await this.#engines[to]!.openPipe({ hears: memory }, PIPE_RATE),
    ];
  }

  #place<T extends MediaNode>(thread: number, node: T, gone: () => void = () => undefined): T {
    let closed: Promise<void> | undefined;
    const handle = {
      ...node,
      close: () => {
        closed ??= this.#inTurn(() => this.#forgetArrows(handle))
          .then(() => node.close())
          .finally(gone);
        return closed;
      },
    };
    this.#places.set(handle, { type: 'placed', thread, node });
    return handle;
  }

  /** A node's arrows go with it; the pipes of those that leave its thread have to be closed. */
  async #forgetArrows(node: MediaNode): Promise<void> {
    const theirs = this.#arrows.filter(leadsTo(node));
    this.#arrows = this.#arrows.filter(arrow => !theirs.includes(arrow));
    for (const { ends } of theirs) await Promise.all(ends.map(end => end.close()));
  }

  #arrowBetween(from: MediaNode, to: MediaNode): Arrow | undefined {
    return this.#arrows.find(arrow => arrow.from === from && arrow.to === to);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Nobody waits for it; what goes wrong is told. */
  #order(work: () => Promise<void>): void {
    this.#inTurn(work).catch(error => {
      if ((error as CodedError).code !== 'ENGINE_STOPPED') this.#onError(error);
    });
  }

  #known(handle: MediaNode): Placed | Spread {
    const known = this.#places.get(handle);
    if (known) return known;
    throw new CodedError('FOREIGN_NODE', 'expected a node of this engine, found another', {
      remedy: 'Connect nodes which the same engine opened.',
    });
  }
}

function leadsTo(node: MediaNode): (arrow: Arrow) => boolean {
  return ({ from, to }) => from === node || to === node;
}
