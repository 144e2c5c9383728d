/** A user agent: finds services, by directory agents where there are any, else by asking everybody. */
import { AgentPort } from './agent-port.js';
import type { AgentProblem } from './agent-sockets.js';
import { Alarm } from './alarm.js';
import { type Attributes, mergeAttributes, parseAttributes } from './attributes.js';
import { DEFAULT_LANGUAGE, DEFAULT_SCOPE, errorName, SLP_PORT } from './constants.js';
import {
  type DaDirectory,
  type DaDirectoryAction,
  type DaDirectoryEvent,
  directoryAgentFor,
  type KnownDirectoryAgent,
  newDaDirectory,
  stepDaDirectory,
} from './da-directory.js';
import { discoverDirectoryAgents } from './discover.js';
import { SlpRequestError } from './errors.js';
import type { QueryMessage, SlpMessage, UrlEntry } from './message.js';
import { type Clock, type Network, type Random, randomUnit } from './network.js';
import { isUrl } from './service-type.js';
import { fold } from './strings.js';

export interface UserAgentOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly scopes?: readonly string[];
  readonly language?: string;
  /** Hear directory agents announce themselves: takes port 427, shared. They are asked for in any case. */
  readonly passive?: boolean;
  readonly onProblem?: (problem: AgentProblem) => void;
}

export interface FindOptions {
  readonly scopes?: readonly string[];
  /** Gives up; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Asks everybody for 15 s however quiet it is: finds more where packets are lost. */
  readonly thorough?: boolean;
}

export interface FindServicesOptions extends FindOptions {
  /** A search filter; see `parseFilter`. */
  readonly predicate?: string;
  /** Each service as soon as it is known. */
  readonly onFound?: (entry: UrlEntry) => void;
  /** The first answer will do. */
  readonly first?: boolean;
}

export class UserAgent {
  readonly #options: UserAgentOptions;
  readonly #scopes: readonly string[];
  readonly #language: string;
  readonly #port: AgentPort;
  readonly #directory: DaDirectory;
  readonly #alarm: Alarm;
  readonly #stopped = new AbortController();

  constructor(options: UserAgentOptions) {
    const { network, clock, random, scopes, language, passive, onProblem } = options;
    this.#options = options;
    this.#scopes = scopes ?? [DEFAULT_SCOPE];
    this.#language = language ?? DEFAULT_LANGUAGE;
    this.#directory = newDaDirectory(this.#scopes, () => randomUnit(random));
    this.#alarm = new Alarm(clock, () => this.#step({ kind: 'due', now: clock.now() }));
    this.#port = new AgentPort({
      network,
      clock,
      random,
      listen: passive ? 'group' : 'no',
      onMessage: message => this.#hear(message),
      onNetwork: () => this.#step({ kind: 'network', now: clock.now() }),
      onProblem: onProblem ?? (() => undefined),
    });
  }

  get directoryAgents(): readonly KnownDirectoryAgent[] {
    return [...this.#directory.known.values()];
  }

  async start(): Promise<void> {
    await this.#port.start();
    this.#step({ kind: 'start', now: this.#options.clock.now() });
  }

  /** What is being asked ends with an AbortError. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#alarm.set(undefined);
    await this.#port.stop();
  }

  /**
   * Services of a type, each once; of an abstract type, all its concrete ones. Takes a moment where a directory
   * agent answers, otherwise 6 to 15 s for all, or until the `first`.
   *
   * @throws {SlpRequestError} ERROR_REPLY from a directory agent
   */
  async findServices(serviceType: string, options: FindServicesOptions = {}): Promise<UrlEntry[]> {
    const { predicate = '', onFound, first = false } = options;
    const found = new Map<string, UrlEntry>();
    const request = (scopes: readonly string[]): QueryMessage => ({
      ...this.#header,
      ...{ kind: 'SrvRqst', previousResponders: [], serviceType, scopes, predicate, spi: '' },
    });
    await this.#ask(request, options, reply => {
      if (reply.kind !== 'SrvRply') return false;
      for (const entry of reply.urls) {
        if (found.has(entry.url)) continue;
        found.set(entry.url, entry);
        onFound?.(entry);
      }
      return first && found.size > 0;
    });
    return [...found.values()];
  }

  /** Attributes of one service by its URL, or of all of a type; all tags, or those on the list, with wildcards. */
  async findAttributes(
    url: string,
    options: FindOptions & { readonly tags?: readonly string[] } = {},
  ): Promise<Attributes> {
    const { tags = [] } = options;
    const lists: Attributes[] = [];
    const request = (scopes: readonly string[]): QueryMessage => ({
      ...this.#header,
      ...{ kind: 'AttrRqst', previousResponders: [], url, scopes, tags, spi: '' },
    });
    await this.#ask(request, options, reply => {
      if (reply.kind !== 'AttrRply') return false;
      lists.push(parseAttributes(reply.attributes));
      // One service, one answer; but not the empty one that only says that there is more.
      return isUrl(url) && !reply.overflow;
    });
    return mergeAttributes(lists);
  }

  /** Of one naming authority (`''` is IANA), or of all. */
  async findServiceTypes(
    options: FindOptions & { readonly namingAuthority?: string } = {},
  ): Promise<string[]> {
    const { namingAuthority } = options;
    const types = new Set<string>();
    const request = (scopes: readonly string[]): QueryMessage => ({
      ...this.#header,
      ...{ kind: 'SrvTypeRqst', previousResponders: [], namingAuthority, scopes },
    });
    await this.#ask(request, options, reply => {
      if (reply.kind === 'SrvTypeRply') for (const type of reply.serviceTypes) types.add(type);
      return false;
    });
    return [...types];
  }

  get #header() {
    return { xid: 0, language: this.#language } as const;
  }

  /** @param take answers whether that is enough */
  async #ask(
    request: (scopes: readonly string[]) => QueryMessage,
    options: FindOptions,
    take: (reply: SlpMessage) => boolean,
  ): Promise<void> {
    const stop = this.#stopped.signal;
    const signal = options.signal ? AbortSignal.any([options.signal, stop]) : stop;
    let left = options.scopes ?? this.#scopes;
    const asked = new Set<string>();
    while (left.length > 0) {
      // §11.1: a directory agent is asked in preference, each for the scopes it has.
      const da = directoryAgentFor(this.#directory, left, asked);
      if (!da) {
        await this.#askEverybody(request(left), take, signal, options.thorough);
        return;
      }
      asked.add(da.url);
      const theirs = new Set(da.scopes.map(fold));
      const shared = left.filter(scope => theirs.has(fold(scope)));
      const reply = await this.#askDirectory(da, request(shared), signal);
      if (reply === undefined) continue;
      left = left.filter(scope => !theirs.has(fold(scope)));
      if (take(reply)) return;
    }
  }

  /** Undefined: it is busy, or does not answer and is forgotten (§12.3). */
  async #askDirectory(
    da: KnownDirectoryAgent,
    request: QueryMessage,
    signal: AbortSignal,
  ): Promise<SlpMessage | undefined> {
    try {
      const reply = await this.#port.requests.ask(request, da.endpoint, signal);
      const error = 'error' in reply ? reply.error : 0;
      if (error === 0) return reply;
      const message = `${da.url} answered ${errorName(error)}`;
      throw new SlpRequestError('ERROR_REPLY', message, error);
    } catch (error) {
      if (!(error instanceof SlpRequestError) || error.code === 'ERROR_REPLY') throw error;
      const now = this.#options.clock.now();
      if (error.code !== 'BUSY') this.#step({ kind: 'unanswered', now, url: da.url });
      return undefined;
    }
  }

  async #askEverybody(
    request: QueryMessage,
    take: (reply: SlpMessage) => boolean,
    signal: AbortSignal,
    thorough = false,
  ): Promise<void> {
    const enough = new AbortController();
    const more = new Set<Promise<void>>();
    const until = AbortSignal.any([signal, enough.signal]);
    const takeOrStop = (reply: SlpMessage) => {
      if (take(reply)) enough.abort();
    };
    try {
      await this.#port.requests.askAll(
        request,
        (reply, from) => {
          takeOrStop(reply);
          if (!reply.overflow || enough.signal.aborted) return;
          // §6.1: what did not fit is asked for by TCP, of this one agent. Its UDP port may be any.
          const to = { address: from.address, port: SLP_PORT };
          const rest = this.#port.requests.ask(request, to, until, true);
          more.add(rest.then(takeOrStop, () => undefined));
        },
        until,
        thorough,
      );
      await Promise.all(more);
    } catch (error) {
      if (!enough.signal.aborted || signal.aborted) throw error;
    }
  }

  #hear(message: SlpMessage): void {
    if (message.kind !== 'DAAdvert') return;
    this.#step({ kind: 'advert', now: this.#options.clock.now(), message });
  }

  #step(event: DaDirectoryEvent): void {
    if (this.#stopped.signal.aborted) return;
    const actions = stepDaDirectory(this.#directory, event);
    this.#alarm.set(this.#directory.wakeAt);
    for (const action of actions) this.#perform(action);
  }

  #perform(action: DaDirectoryAction): void {
    switch (action.kind) {
      case 'discover':
        discoverDirectoryAgents({
          requests: this.#port.requests,
          scopes: this.#scopes,
          language: this.#language,
          signal: this.#stopped.signal,
          onAdvert: advert => this.#hear(advert),
          onEnd: () => this.#step({ kind: 'discovered', now: this.#options.clock.now() }),
        });
        return;
      case 'up':
      case 'down':
        return;
    }
  }
}
