/** A service agent: makes services known to whoever asks, and to every directory agent. */
import { AgentPort, type Asked } from './agent-port.js';
import type { AgentProblem } from './agent-sockets.js';
import { Alarm } from './alarm.js';
import { DEFAULT_LANGUAGE, DEFAULT_SCOPE, ErrorCode } from './constants.js';
import type { KnownDirectoryAgent } from './da-directory.js';
import { discoverDirectoryAgents } from './discover.js';
import { SlpRequestError } from './errors.js';
import type { SlpMessage, SrvDeReg, SrvReg } from './message.js';
import { type Clock, type Network, type Random, randomUnit } from './network.js';
import {
  newServiceAgent,
  type Service,
  type ServiceAgentAction,
  type ServiceAgentEvent,
  type ServiceAgentState,
  stepServiceAgent,
} from './service-agent-machine.js';

export type ServiceAgentNotice = Extract<
  ServiceAgentAction,
  { kind: 'registered' | 'refused' | 'daUp' | 'daDown' }
>;

export interface ServiceAgentDriverOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly scopes?: readonly string[];
  readonly language?: string;
  readonly onNotice?: (notice: ServiceAgentNotice) => void;
  /** `PORT_FORBIDDEN`: it registers, but does not hear who asks everybody. */
  readonly onProblem?: (problem: AgentProblem) => void;
}

/** So long `stop` waits for directory agents to acknowledge that services are gone. */
const GOODBYE_MS = 2000;

export class ServiceAgent {
  readonly #options: ServiceAgentDriverOptions;
  readonly #state: ServiceAgentState;
  readonly #port: AgentPort;
  readonly #alarm: Alarm;
  readonly #stopped = new AbortController();
  readonly #telling = new Set<Promise<void>>();
  /** By DA and service: what it is being told. */
  readonly #latest = new Map<string, AbortController>();

  constructor(options: ServiceAgentDriverOptions) {
    const { network, clock, random, onProblem } = options;
    this.#options = options;
    this.#state = newServiceAgent({
      scopes: options.scopes ?? [DEFAULT_SCOPE],
      language: options.language ?? DEFAULT_LANGUAGE,
      random: () => randomUnit(random),
    });
    this.#alarm = new Alarm(clock, () => this.#step({ kind: 'due', now: clock.now() }));
    this.#port = new AgentPort({
      network,
      clock,
      random,
      listen: 'group',
      onMessage: (message, asked) => this.#hear(message, asked),
      onNetwork: () => this.#step({ kind: 'network', now: clock.now() }),
      onProblem: onProblem ?? (() => undefined),
    });
  }

  get directoryAgents(): readonly KnownDirectoryAgent[] {
    return [...this.#state.directory.known.values()];
  }

  async start(): Promise<void> {
    await this.#port.start();
    this.#step({ kind: 'start', now: this.#now });
  }

  /** Takes all services back, and waits up to two seconds for directory agents to know. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    this.#step({ kind: 'stop', now: this.#now });
    await this.#goodbyes();
    this.#stopped.abort();
    this.#alarm.set(undefined);
    await this.#port.stop();
  }

  /**
   * Makes a service known, or what has changed of it.
   *
   * @throws {SlpError} where it is none
   */
  offer(service: Service): void {
    this.#step({ kind: 'offer', now: this.#now, service });
  }

  withdraw(url: string): void {
    this.#step({ kind: 'withdraw', now: this.#now, url });
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  async #goodbyes(): Promise<void> {
    if (this.#telling.size === 0) return;
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(GOODBYE_MS, resolve);
      void Promise.all(this.#telling).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #hear(message: SlpMessage, { own, local, reply }: Asked): void {
    const by = { own, local };
    for (const action of this.#take({ kind: 'heard', now: this.#now, message, by })) {
      if (action.kind === 'reply') reply(action.message);
      else this.#perform(action);
    }
  }

  #step(event: ServiceAgentEvent): void {
    for (const action of this.#take(event)) this.#perform(action);
  }

  #take(event: ServiceAgentEvent): ServiceAgentAction[] {
    if (this.#stopped.signal.aborted) return [];
    const actions = stepServiceAgent(this.#state, event);
    this.#alarm.set(this.#state.wakeAt);
    return actions;
  }

  #perform(action: ServiceAgentAction): void {
    switch (action.kind) {
      case 'reply':
        return; // only to what was heard
      case 'discover': {
        const { scopes, language } = this.#state.options;
        discoverDirectoryAgents({
          requests: this.#port.requests,
          ...{ scopes, language, signal: this.#stopped.signal },
          onAdvert: message => {
            this.#step({ kind: 'heard', now: this.#now, message, by: { own: [], local: '' } });
          },
          onEnd: () => this.#step({ kind: 'discovered', now: this.#now }),
        });
        return;
      }
      case 'tell': {
        const telling = this.#tell(action.da, action.message);
        this.#telling.add(telling);
        void telling.then(() => this.#telling.delete(telling));
        return;
      }
      case 'registered':
      case 'refused':
      case 'daUp':
      case 'daDown':
        this.#options.onNotice?.(action);
        return;
    }
  }

  async #tell(da: KnownDirectoryAgent, message: SrvReg | SrvDeReg): Promise<void> {
    const { url } = message.url;
    const key = `${da.url} ${url}`;
    // What it was told before is sent no more: a late SrvReg would undo a SrvDeReg.
    this.#latest.get(key)?.abort();
    const latest = new AbortController();
    this.#latest.set(key, latest);
    const signal = AbortSignal.any([latest.signal, this.#stopped.signal]);
    const error = await this.#port.requests
      .ask(message, da.endpoint, signal)
      .then(errorOf, (failed: unknown) => (isBusy(failed) ? ErrorCode.DA_BUSY_NOW : undefined));
    if (latest.signal.aborted) return;
    this.#latest.delete(key);
    if (message.kind === 'SrvDeReg') return;
    this.#step({ kind: 'told', now: this.#now, da: da.url, url, error });
  }
}

function errorOf(reply: SlpMessage): number | undefined {
  return reply.kind === 'SrvAck' ? reply.error : undefined;
}

function isBusy(error: unknown): boolean {
  return error instanceof SlpRequestError && error.code === 'BUSY';
}
