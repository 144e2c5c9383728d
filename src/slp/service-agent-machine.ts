/** A service agent (RFC 2608 §6, §8.3, §12.2): answers for its services, and registers them with every DA. Pure. */
import { type Answerer, type AskedBy, answerQuery } from './answers.js';
import { type Attributes, formatAttributes } from './attributes.js';
import {
  CONFIG_REG_MAXIMUM_MS,
  CONFIG_REG_MINIMUM_MS,
  ErrorCode,
  LIFETIME_MAXIMUM_S,
} from './constants.js';
import {
  type DaDirectory,
  type DaDirectoryAction,
  type DaDirectoryEvent,
  type KnownDirectoryAgent,
  newDaDirectory,
  stepDaDirectory,
} from './da-directory.js';
import { SlpError } from './errors.js';
import type { SlpMessage, SrvDeReg, SrvReg } from './message.js';
import { keyOf, newRegistry, register, remove } from './registry.js';
import { parseServiceUrl } from './service-type.js';
import { escapeText, fold } from './strings.js';

export interface Service {
  /** `service:supernode.ringline:sip://192.0.2.7:5060` */
  readonly url: string;
  /** By default what the URL says. */
  readonly type?: string;
  readonly attributes?: Attributes;
  /** In s, up to 65535: how long a DA keeps it when nothing more is heard. Three hours, by default. */
  readonly lifetime?: number;
  readonly language?: string;
}

export interface ServiceAgentOptions {
  readonly scopes: readonly string[];
  readonly language: string;
  /** In [0, 1). */
  readonly random: () => number;
}

interface OwnService {
  readonly registration: SrvReg;
  /** By URL of the DA. */
  readonly jobs: Map<string, Job>;
}

interface Job {
  readonly da: KnownDirectoryAgent;
  /** When to register or refresh; undefined: asked, and not yet answered. */
  dueAt: number | undefined;
  registered: boolean;
}

export interface ServiceAgentState {
  readonly options: ServiceAgentOptions;
  readonly directory: DaDirectory;
  readonly services: Map<string, OwnService>;
  answerer: Answerer;
  wakeAt: number | undefined;
}

export type ServiceAgentEvent =
  | Exclude<DaDirectoryEvent, { kind: 'advert' | 'unanswered' }>
  | { readonly kind: 'offer'; readonly now: number; readonly service: Service }
  | { readonly kind: 'withdraw'; readonly now: number; readonly url: string }
  /** Take everything back. */
  | { readonly kind: 'stop'; readonly now: number }
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly message: SlpMessage;
      readonly by: Omit<AskedBy, 'now'>;
    }
  /** What `tell` was answered with; undefined: nothing. */
  | {
      readonly kind: 'told';
      readonly now: number;
      readonly da: string;
      readonly url: string;
      readonly error: number | undefined;
    };

export type ServiceAgentAction =
  | { readonly kind: 'reply'; readonly message: SlpMessage }
  | { readonly kind: 'discover' }
  /** Send to this DA, reliably, and say `told`. The XID is the driver's. */
  | {
      readonly kind: 'tell';
      readonly da: KnownDirectoryAgent;
      readonly message: SrvReg | SrvDeReg;
    }
  | { readonly kind: 'registered'; readonly url: string; readonly da: string }
  | { readonly kind: 'refused'; readonly url: string; readonly da: string; readonly error: number }
  | { readonly kind: 'daUp' | 'daDown'; readonly da: KnownDirectoryAgent };

const DEFAULT_LIFETIME_S = 3 * 3600;
/** Of a lifetime, when it is refreshed: between these, so that not all do at one moment. */
const [REFRESH_FROM, REFRESH_TO] = [0.7, 0.85];
/** A DA that was busy is asked again after this long, or up to twice as long. */
const BUSY_MS = 60_000;
const MOST_SERVICES = 1000;

export function newServiceAgent(options: ServiceAgentOptions): ServiceAgentState {
  const { scopes, random } = options;
  const limits = { registrations: MOST_SERVICES, octets: 1024 * 1024 };
  const registry = newRegistry(limits);
  return {
    options,
    directory: newDaDirectory(scopes, random),
    services: new Map(),
    answerer: { role: 'SA', scopes, attributes: '', bootTimestamp: 0, registry },
    wakeAt: undefined,
  };
}

/** @throws {SlpError} where a service that is offered is none */
export function stepServiceAgent(
  state: ServiceAgentState,
  event: ServiceAgentEvent,
): ServiceAgentAction[] {
  const actions = step(state, event);
  const times = [state.directory.wakeAt];
  for (const { jobs } of state.services.values()) {
    for (const { dueAt } of jobs.values()) times.push(dueAt);
  }
  const known = times.filter(time => time !== undefined);
  state.wakeAt = known.length === 0 ? undefined : Math.min(...known);
  return actions;
}

function step(state: ServiceAgentState, event: ServiceAgentEvent): ServiceAgentAction[] {
  const { now } = event;
  switch (event.kind) {
    case 'start':
    case 'network':
    case 'discovered':
      return follow(state, stepDaDirectory(state.directory, event), now);
    case 'due':
      return [
        ...follow(state, stepDaDirectory(state.directory, event), now),
        ...registerDue(state, now),
      ];
    case 'offer':
      return offer(state, event.service, now);
    case 'withdraw':
      return withdraw(state, event.url);
    case 'stop': {
      const actions = [...state.services.keys()].flatMap(url => withdraw(state, url));
      state.directory.wakeAt = undefined;
      return actions;
    }
    case 'heard':
      return hear(state, event.message, { ...event.by, now });
    case 'told':
      return told(state, event);
  }
}

function hear(state: ServiceAgentState, message: SlpMessage, by: AskedBy): ServiceAgentAction[] {
  switch (message.kind) {
    case 'SrvRqst':
    case 'AttrRqst':
    case 'SrvTypeRqst': {
      const reply = answerQuery(state.answerer, message, by);
      return reply ? [{ kind: 'reply', message: reply }] : [];
    }
    case 'DAAdvert': {
      const advert = { kind: 'advert', now: by.now, message } as const;
      return follow(state, stepDaDirectory(state.directory, advert), by.now);
    }
    case 'SrvReg':
    case 'SrvDeReg':
    case 'SrvRply':
    case 'SrvAck':
    case 'AttrRply':
    case 'SrvTypeRply':
    case 'SAAdvert':
      return [];
  }
}

function offer(state: ServiceAgentState, service: Service, now: number): ServiceAgentAction[] {
  const { scopes, language } = state.options;
  const { url, lifetime = DEFAULT_LIFETIME_S } = service;
  const registration: SrvReg = {
    kind: 'SrvReg',
    xid: 0,
    language: service.language ?? language,
    fresh: true,
    url: { url, lifetime },
    serviceType: service.type ?? parseServiceUrl(url).type.text,
    scopes,
    attributes: formatAttributes(service.attributes ?? new Map()),
  };
  const before = state.services.get(url);
  if (before) remove(state.answerer.registry, keyOf(url, before.registration.language));
  const rules = { scopes, minRefreshInterval: 0 };
  const error = register(state.answerer.registry, registration, rules, now);
  if (error !== ErrorCode.NONE) {
    const message = 'expected a service with a lifetime and attributes of one type each';
    throw new SlpError('BAD_VALUE', url, 0, message, error);
  }
  // Its own services end when they are withdrawn, not before.
  const key = keyOf(url, registration.language);
  const entry = state.answerer.registry.entries.get(key)!;
  state.answerer.registry.entries.set(key, { ...entry, expiresAt: Number.POSITIVE_INFINITY });
  const jobs = before?.jobs ?? new Map<string, Job>();
  state.services.set(url, { registration, jobs });
  for (const da of state.directory.known.values()) {
    const registered = jobs.get(da.url)?.registered ?? false;
    jobs.set(da.url, { da, dueAt: now, registered });
  }
  describe(state);
  return registerDue(state, now);
}

function withdraw(state: ServiceAgentState, url: string): ServiceAgentAction[] {
  const service = state.services.get(url);
  if (!service) return [];
  const { registration, jobs } = service;
  state.services.delete(url);
  remove(state.answerer.registry, keyOf(url, registration.language));
  describe(state);
  const { language } = registration;
  // Those that were asked and have not answered may have it, too.
  const holders = [...jobs.values()].filter(job => job.registered || job.dueAt === undefined);
  return holders.map(({ da }) => {
    const scopes = shared(registration.scopes, da.scopes);
    const entry = { url, lifetime: 0 };
    return {
      kind: 'tell',
      da,
      message: { kind: 'SrvDeReg', xid: 0, language, scopes, url: entry, tags: [] },
    };
  });
}

function registerDue(state: ServiceAgentState, now: number): ServiceAgentAction[] {
  const actions: ServiceAgentAction[] = [];
  for (const { registration, jobs } of state.services.values()) {
    for (const job of jobs.values()) {
      if (job.dueAt === undefined || job.dueAt > now) continue;
      job.dueAt = undefined;
      const scopes = shared(registration.scopes, job.da.scopes);
      const url = { ...registration.url, lifetime: lifetimeAt(registration, job.da) };
      actions.push({ kind: 'tell', da: job.da, message: { ...registration, scopes, url } });
    }
  }
  return actions;
}

function told(
  state: ServiceAgentState,
  { now, da, url, error }: Extract<ServiceAgentEvent, { kind: 'told' }>,
): ServiceAgentAction[] {
  if (error === undefined) {
    const unanswered = { kind: 'unanswered', now, url: da } as const;
    return follow(state, stepDaDirectory(state.directory, unanswered), now);
  }
  const service = state.services.get(url);
  const job = service?.jobs.get(da);
  if (!service || !job || job.dueAt !== undefined) return [];
  const { random } = state.options;
  const share = REFRESH_FROM + (REFRESH_TO - REFRESH_FROM) * random();
  const refreshMs = lifetimeAt(service.registration, job.da) * 1000 * share;
  const isBusy = error === ErrorCode.DA_BUSY_NOW;
  job.dueAt = now + (isBusy ? BUSY_MS * (1 + random()) : refreshMs);
  job.registered = error === ErrorCode.NONE;
  return [job.registered ? { kind: 'registered', url, da } : { kind: 'refused', url, da, error }];
}

/** Long enough that a refresh in time is not sooner than the DA wants it (§8.5). */
function lifetimeAt({ url }: SrvReg, { minRefreshInterval }: KnownDirectoryAgent): number {
  const least = Math.ceil(minRefreshInterval / REFRESH_FROM);
  return Math.min(LIFETIME_MAXIMUM_S, Math.max(url.lifetime, least));
}

/** What has changed about directory agents, and what follows from it. */
function follow(
  state: ServiceAgentState,
  changes: readonly DaDirectoryAction[],
  now: number,
): ServiceAgentAction[] {
  return changes.map(change => {
    if (change.kind === 'discover') return change;
    const { da } = change;
    if (change.kind === 'down') {
      for (const { jobs } of state.services.values()) jobs.delete(da.url);
      return { kind: 'daDown', da };
    }
    const spread = CONFIG_REG_MAXIMUM_MS - CONFIG_REG_MINIMUM_MS;
    // One wait for all services: they go to a DA together, but not those of all hosts.
    const dueAt = now + CONFIG_REG_MINIMUM_MS + spread * state.options.random();
    for (const { jobs } of state.services.values()) {
      jobs.set(da.url, { da, dueAt, registered: false });
    }
    return { kind: 'daUp', da };
  });
}

/** §8.6: an SA says which types it has. */
function describe(state: ServiceAgentState): void {
  const types = [...state.answerer.registry.entries.values()].map(({ type }) => type.text);
  const list = [...new Set(types)].map(type => escapeText(type)).join(',');
  const attributes = list === '' ? '' : `(service-type=${list})`;
  state.answerer = { ...state.answerer, attributes };
}

function shared(own: readonly string[], theirs: readonly string[]): string[] {
  const known = new Set(theirs.map(fold));
  return own.filter(scope => known.has(fold(scope)));
}
