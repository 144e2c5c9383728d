/** The media engine in this thread: for the simulator, for tests, and for programs without a voice clock to lose. */
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { CommandOf, CommandType, MediaResults } from './commands.js';
import { EngineClient, type EngineOptions } from './engine-client.js';
import { engineStopped, MediaCore } from './media-core.js';
import type { DatagramNetwork } from './plain-path.js';

export interface LocalEngineOptions extends EngineOptions {
  readonly clock: Clock;
  readonly network: DatagramNetwork;
  readonly random: Random;
  /** `setImmediate` where real sockets are used (see `PacerOptions.defer`); by default at once. */
  readonly defer?: (task: () => void) => void;
}

/** Deterministic with a virtual clock and network, but for files, which are read and written in real time. */
export class LocalMediaEngine extends EngineClient {
  readonly #options: LocalEngineOptions;
  #core: MediaCore | undefined;

  constructor(options: LocalEngineOptions) {
    super(options);
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#core ??= this.#newCore();
  }

  async stop(): Promise<void> {
    const core = this.#core;
    this.#core = undefined;
    await core?.stop();
    this.endPlayers();
  }

  protected async request<T extends CommandType>(command: CommandOf<T>): Promise<MediaResults[T]> {
    if (!this.#core) throw engineStopped();
    // The core resolves each command to its own entry of MediaResults.
    return (await this.#core.execute(command)) as MediaResults[T];
  }

  #newCore(): MediaCore {
    const { clock, network, random, defer } = this.#options;
    return new MediaCore({
      clock,
      network,
      random,
      ...(defer && { defer }),
      onEvent: event => this.handleEvent(event),
    });
  }
}
