/** A directory agent: keeps what service agents register, and answers for all of them. Needs port 427. */
import { AgentPort, type Asked } from './agent-port.js';
import type { AgentProblem } from './agent-sockets.js';
import { Alarm } from './alarm.js';
import { DEFAULT_LANGUAGE, DEFAULT_SCOPE } from './constants.js';
import {
  type DirectoryAgentEvent,
  type DirectoryAgentState,
  newDirectoryAgent,
  stepDirectoryAgent,
} from './directory-agent-machine.js';
import type { SlpMessage } from './message.js';
import type { Clock, Network, Random } from './network.js';
import type { RegistryLimits } from './registry.js';

export interface DirectoryAgentDriverOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly scopes?: readonly string[];
  readonly language?: string;
  /** Seconds since 1970; by default now. On a machine without a clock, hand in what is later than at its last start. */
  readonly bootTimestamp?: number;
  /** In s. Service agents refresh a service no more often; 0, by default: as often as they like. */
  readonly minRefreshInterval?: number;
  readonly limits?: RegistryLimits;
  readonly onProblem?: (problem: AgentProblem) => void;
}

export class DirectoryAgent {
  readonly #clock: Clock;
  readonly #state: DirectoryAgentState;
  readonly #port: AgentPort;
  readonly #alarm: Alarm;
  #running = false;

  constructor(options: DirectoryAgentDriverOptions) {
    const { network, clock, random, limits, onProblem } = options;
    this.#clock = clock;
    this.#state = newDirectoryAgent({
      scopes: options.scopes ?? [DEFAULT_SCOPE],
      bootTimestamp: options.bootTimestamp ?? Math.max(1, Math.floor(clock.wallTime() / 1000)),
      minRefreshInterval: options.minRefreshInterval ?? 0,
      language: options.language ?? DEFAULT_LANGUAGE,
      ...(limits && { limits }),
    });
    this.#alarm = new Alarm(clock, () => this.#step({ kind: 'due', now: clock.now() }));
    this.#port = new AgentPort({
      network,
      clock,
      random,
      listen: 'port',
      onMessage: (message, asked) => this.#hear(message, asked),
      onNetwork: () => this.#step({ kind: 'network', now: clock.now() }),
      onProblem: onProblem ?? (() => undefined),
    });
  }

  /** Registrations it holds, those that have just run out among them. */
  get size(): number {
    return this.#state.answerer.registry.entries.size;
  }

  async start(): Promise<void> {
    await this.#port.start();
    this.#running = true;
    this.#step({ kind: 'start', now: this.#clock.now() });
  }

  /** Says that it goes down. */
  async stop(): Promise<void> {
    this.#step({ kind: 'stop', now: this.#clock.now() });
    this.#running = false;
    this.#alarm.set(undefined);
    await this.#port.stop();
  }

  #hear(message: SlpMessage, { own, local, reply }: Asked): void {
    const by = { own, local };
    this.#step({ kind: 'heard', now: this.#clock.now(), message, by }, reply);
  }

  #step(event: DirectoryAgentEvent, reply?: (message: SlpMessage) => void): void {
    if (!this.#running) return;
    const actions = stepDirectoryAgent(this.#state, event);
    this.#alarm.set(this.#state.wakeAt);
    for (const action of actions) {
      if (action.kind === 'reply') reply?.(action.message);
      else this.#port.multicast(action.message);
    }
  }
}
