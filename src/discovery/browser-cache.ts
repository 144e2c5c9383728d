/**
 * What the browser knows and asks, as a state machine: records and time in, questions and sightings out
 * (RFC 6762 §5.2 continuous querying, §10 resource record lifetimes). Only what leads to a phone is kept,
 * and no more than the limits below, whatever the network sends.
 */
import type { InterfaceAddress } from '../core/network.js';
import type { PhonePorts, PhoneSighting } from './discovery.js';
import {
  type PhoneRecord,
  PORT_KEYS,
  phoneNameOf,
  portValue,
  SERVICE,
  textValue,
} from './dns-records.js';
import { reachableEndpoints } from './endpoint-order.js';
import { forgetAddresses, type HostAddresses, hearAddress } from './host-addresses.js';
import { foldName } from './phone-name.js';
import { isOver, type Lifetime, lifetime, nextEvent, takeRefresh } from './record-lifetime.js';

export const MAX_PHONES = 1000;
/** RFC 6762 §5.2: the first question waits this long at random, lest a building that gets its power back asks at once. */
const FIRST_QUERY_DELAY_MS = { least: 20, spread: 100 };
/** RFC 6762 §5.2: intervals double from one second to an hour. */
const FIRST_INTERVAL_MS = 1000;
const LONGEST_INTERVAL_MS = 60 * 60_000;
/** Some 70 octets each, so that a question with its known answers fits one packet. */
const MAX_KNOWN_ANSWERS = 16;
/** What is not asked now is asked at its next time: a flood of names must not make a flood of questions. */
const MAX_QUESTIONS = 20;
const MAX_DEVICE_ID_LENGTH = 128;

export interface Question {
  readonly type: 'PTR' | 'SRV' | 'TXT' | 'A' | 'AAAA';
  readonly name: string;
}

/** An instance we know and the seconds we still shall: whoever announced it need not answer (RFC 6762 §7.1). */
export interface KnownAnswer {
  readonly instance: string;
  readonly ttl: number;
}

/** `now` is in milliseconds on one monotonic scale. */
export type BrowserEvent =
  /** These are our addresses now. */
  | {
      readonly kind: 'network';
      readonly now: number;
      readonly addresses: readonly InterfaceAddress[];
    }
  /** Someone wants to know: ask soon, and then at growing intervals. */
  | { readonly kind: 'ask'; readonly now: number }
  /** A response was heard on interface `link`. */
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly link: string;
      readonly records: readonly PhoneRecord[];
    }
  /** The time `wakeAt` gave has come. */
  | { readonly kind: 'due'; readonly now: number };

export type BrowserAction =
  | {
      readonly kind: 'query';
      readonly questions: readonly Question[];
      readonly known: readonly KnownAnswer[];
    }
  | { readonly kind: 'up' | 'changed' | 'down'; readonly phone: PhoneSighting };

interface Instance {
  /** As announced, e.g. `Alice._sip._udp.local`. */
  readonly fullName: string;
  readonly name: string;
  pointer: Lifetime;
  server: (Lifetime & { readonly host: string; readonly port: number }) | undefined;
  text:
    | (Lifetime & { readonly deviceId: string | undefined; readonly ports: PhonePorts })
    | undefined;
  link: string;
  /** Asking for what is missing: the next time, and the pause after that. */
  askAt: number;
  askPauseMs: number;
  seen: PhoneSighting | undefined;
}

export interface BrowserState {
  readonly random: () => number;
  /** By folded full name. */
  readonly instances: Map<string, Instance>;
  /** By folded host name; only hosts that an instance names. */
  readonly hosts: Map<string, HostAddresses>;
  addresses: readonly InterfaceAddress[];
  queriedAt: number;
  queryAt: number;
  queryPauseMs: number;
}

/** @param random gives numbers in [0, 1) */
export function newBrowserState(random: () => number): BrowserState {
  return {
    random,
    instances: new Map(),
    hosts: new Map(),
    addresses: [],
    queriedAt: Number.NEGATIVE_INFINITY,
    queryAt: Number.POSITIVE_INFINITY,
    queryPauseMs: FIRST_INTERVAL_MS,
  };
}

export function step(state: BrowserState, event: BrowserEvent): BrowserAction[] {
  switch (event.kind) {
    case 'network':
      state.addresses = event.addresses;
      askSoon(state, event.now);
      break;
    case 'ask':
      askSoon(state, event.now);
      break;
    case 'heard':
      hear(state, event.records, event.link, event.now);
      break;
    case 'due':
      break;
  }
  expire(state, event.now);
  return [...tellChanges(state, event.now), ...query(state, event.now)];
}

/** When the next `due` event is wanted; Infinity if never. */
export function wakeAt(state: BrowserState): number {
  let at = state.queryAt;
  for (const { pointer, server, text, askAt } of state.instances.values()) {
    at = Math.min(at, askAt, nextEvent(pointer));
    if (server) at = Math.min(at, nextEvent(server));
    if (text) at = Math.min(at, nextEvent(text));
  }
  for (const addresses of state.hosts.values()) {
    for (const address of addresses.values()) at = Math.min(at, nextEvent(address));
  }
  return at;
}

function askSoon(state: BrowserState, now: number): void {
  const { least, spread } = FIRST_QUERY_DELAY_MS;
  const soon = now + least + spread * state.random();
  // RFC 6762 §5.2: the same question at most once a second.
  state.queryAt = Math.min(state.queryAt, Math.max(soon, state.queriedAt + FIRST_INTERVAL_MS));
  state.queryPauseMs = FIRST_INTERVAL_MS;
}

/** Pointers first, then what hangs on them: a packet may list its records in any order. */
function hear(
  state: BrowserState,
  records: readonly PhoneRecord[],
  link: string,
  now: number,
): void {
  for (const record of records) {
    if (record.type === 'PTR') hearPointer(state, record, link, now);
  }
  for (const record of records) {
    const instance = state.instances.get(record.name);
    if (instance && (record.type === 'SRV' || record.type === 'TXT'))
      hearInstance(state, instance, record, link, now);
  }
  for (const record of records) {
    const addresses = state.hosts.get(record.name);
    if (addresses && (record.type === 'A' || record.type === 'AAAA'))
      hearAddress(addresses, record, link, lifetime(record.ttl, now, state.random));
  }
}

function hearPointer(
  state: BrowserState,
  record: PhoneRecord & { type: 'PTR' },
  link: string,
  now: number,
): void {
  const name = phoneNameOf(record.instance);
  if (name === undefined) return;
  const key = foldName(record.instance);
  const instance = state.instances.get(key);
  const pointer = lifetime(record.ttl, now, state.random);
  if (instance) {
    instance.pointer = pointer;
    instance.link = link;
  } else if (record.ttl > 0 && makeRoom(state)) {
    state.instances.set(key, {
      fullName: record.instance,
      name,
      pointer,
      server: undefined,
      text: undefined,
      link,
      askAt: now,
      askPauseMs: FIRST_INTERVAL_MS,
      seen: undefined,
    });
  }
}

/** A flood of names nobody stands behind gives way to phones that can be reached. */
function makeRoom(state: BrowserState): boolean {
  if (state.instances.size < MAX_PHONES) return true;
  for (const [key, instance] of state.instances) {
    if (instance.seen) continue;
    state.instances.delete(key);
    return true;
  }
  return false;
}

function hearInstance(
  state: BrowserState,
  instance: Instance,
  record: PhoneRecord & { type: 'SRV' | 'TXT' },
  link: string,
  now: number,
): void {
  const life = lifetime(record.ttl, now, state.random);
  instance.link = link;
  if (record.type === 'TXT') {
    const deviceId = textValue(record.texts, 'id')?.slice(0, MAX_DEVICE_ID_LENGTH);
    instance.text = { ...life, deviceId, ports: portsIn(record.texts) };
  } else if (record.ttl > 0) {
    instance.server = { ...life, host: record.host, port: record.port };
    const host = foldName(record.host);
    if (!state.hosts.has(host)) state.hosts.set(host, new Map());
  } else if (instance.server?.host === record.host && instance.server.port === record.port) {
    // A rival that loses a name conflict takes back its own record, not the winner's.
    Object.assign(instance.server, life);
  }
}

function expire(state: BrowserState, now: number): void {
  const wanted = new Set<string>();
  for (const instance of state.instances.values()) {
    const { pointer, server, text } = instance;
    if (server && isOver(server, now)) instance.server = undefined;
    if (text && isOver(text, now)) instance.text = undefined;
    if (instance.server && !isOver(pointer, now)) wanted.add(foldName(instance.server.host));
  }
  for (const [host, addresses] of state.hosts) {
    if (!wanted.has(host)) state.hosts.delete(host);
    forgetAddresses(addresses, now);
  }
}

function tellChanges(state: BrowserState, now: number): BrowserAction[] {
  const actions: BrowserAction[] = [];
  for (const [key, instance] of state.instances) {
    const before = instance.seen;
    const forgotten = isOver(instance.pointer, now);
    const phone = forgotten ? undefined : sighting(state, instance);
    instance.seen = phone;
    if (forgotten) state.instances.delete(key);
    if (phone && !before) actions.push({ kind: 'up', phone });
    else if (!phone && before) actions.push({ kind: 'down', phone: before });
    else if (phone && before && differ(phone, before)) actions.push({ kind: 'changed', phone });
  }
  return actions;
}

function sighting(state: BrowserState, instance: Instance): PhoneSighting | undefined {
  const { server, text, name, link } = instance;
  if (!server || server.port === 0) return undefined;
  const addresses = state.hosts.get(foldName(server.host))?.values() ?? [];
  const endpoints = reachableEndpoints([...addresses], server.port, state.addresses);
  if (endpoints.length === 0) return undefined;
  const { deviceId, ports = {} } = text ?? {};
  return { name, deviceId, endpoints, ports, host: server.host, interfaceName: link };
}

function portsIn(texts: readonly string[]): PhonePorts {
  const [TLS, WS, WSS] = [PORT_KEYS.TLS, PORT_KEYS.WS, PORT_KEYS.WSS].map(key =>
    portValue(texts, key),
  );
  return {
    ...(TLS !== undefined && { TLS }),
    ...(WS !== undefined && { WS }),
    ...(WSS !== undefined && { WSS }),
  };
}

function differ(a: PhoneSighting, b: PhoneSighting): boolean {
  const facts = ({ name, deviceId, endpoints, ports, host }: PhoneSighting) =>
    JSON.stringify([name, deviceId, endpoints, ports, host]);
  return facts(a) !== facts(b);
}

/** All that is due now, in one question packet. */
function query(state: BrowserState, now: number): BrowserAction[] {
  const questions = new Map<string, Question>();
  const ask = (type: Question['type'], name: string) => {
    if (questions.size < MAX_QUESTIONS) questions.set(`${type} ${name}`, { type, name });
  };
  if (state.queryAt <= now) {
    ask('PTR', SERVICE);
    state.queryAt = now + state.queryPauseMs;
    state.queryPauseMs = Math.min(2 * state.queryPauseMs, LONGEST_INTERVAL_MS);
  }
  for (const instance of state.instances.values()) askAbout(instance, ask, now);
  for (const [host, addresses] of state.hosts) {
    for (const address of addresses.values())
      if (takeRefresh(address, now)) ask(address.type, host);
  }
  if (questions.size === 0) return [];
  const browsing = questions.has(`PTR ${SERVICE}`);
  if (browsing) state.queriedAt = now;
  const known = browsing ? knownAnswers(state, now) : [];
  return [{ kind: 'query', questions: [...questions.values()], known }];
}

/** What is about to expire and, while the phone cannot be reached, what is missing. */
function askAbout(
  instance: Instance,
  ask: (type: Question['type'], name: string) => void,
  now: number,
): void {
  const { pointer, server, text, fullName } = instance;
  // The packet encoder ends a label at a dot: a phone called `Dr. No` is asked for with all others.
  const askFor = (type: 'SRV' | 'TXT') =>
    instance.name.includes('.') ? ask('PTR', SERVICE) : ask(type, fullName);
  if (takeRefresh(pointer, now)) ask('PTR', SERVICE);
  if (server && takeRefresh(server, now)) askFor('SRV');
  if (text && takeRefresh(text, now)) askFor('TXT');
  if (instance.seen) {
    instance.askAt = Number.POSITIVE_INFINITY;
    instance.askPauseMs = FIRST_INTERVAL_MS;
    return;
  }
  if (instance.askAt === Number.POSITIVE_INFINITY) instance.askAt = now;
  if (instance.askAt > now) return;
  if (!text) askFor('TXT');
  if (server) for (const type of ['A', 'AAAA'] as const) ask(type, server.host);
  else askFor('SRV');
  instance.askAt = now + instance.askPauseMs;
  instance.askPauseMs = Math.min(2 * instance.askPauseMs, LONGEST_INTERVAL_MS);
}

/** Phones that can be reached and whose pointer has more than half its life before it (RFC 6762 §7.1). */
function knownAnswers(state: BrowserState, now: number): KnownAnswer[] {
  const known: KnownAnswer[] = [];
  for (const { seen, name, fullName, pointer } of state.instances.values()) {
    const left = pointer.expiresAt - now;
    const fresh = left > (pointer.expiresAt - pointer.heardAt) / 2;
    if (seen && fresh && !name.includes('.'))
      known.push({ instance: fullName, ttl: Math.floor(left / 1000) });
    if (known.length === MAX_KNOWN_ANSWERS) break;
  }
  return known;
}
