/**
 * What the browser hears and tells, as a state machine: records and time in, questions and sightings out
 * (RFC 6762 §5.2 continuous querying, §10 resource record lifetimes). Only what leads to a phone is kept,
 * and no more than the limits below, whatever the network sends.
 */
import type { InterfaceAddress } from '../../core/network.js';
import type { PhonePorts, PhoneSighting } from '../discovery.js';
import { reachableEndpoints } from '../endpoint-order.js';
import { foldName } from '../phone-name.js';
import { query } from './browser-questions.js';
import {
  type BrowserAction,
  type BrowserEvent,
  type BrowserState,
  FIRST_INTERVAL_MS,
  type Instance,
} from './browser-state.js';
import { instanceName } from './dns-name.js';
import { type PhoneRecord, PORT_KEYS, phoneNameOf, portValue, textValue } from './dns-records.js';
import { addressKey, forgetAddresses, hearAddress } from './host-addresses.js';
import { isOver, lifetime, nextEvent, ttlOf } from './record-lifetime.js';

export const MAX_PHONES = 1000;
/** RFC 6762 §5.2: the first question waits this long at random, lest a building that gets its power back asks at once. */
const FIRST_QUERY_DELAY_MS = { least: 20, spread: 100 };
/** RFC 6762 §10.5: questions without an answer within this time speak for the host being gone. */
const DOUBT = { questions: 2, withinMs: 10_000 };
const MAX_DEVICE_ID_LENGTH = 128;

export function step(state: BrowserState, event: BrowserEvent): BrowserAction[] {
  switch (event.kind) {
    case 'network':
      follow(state, event.addresses, event.now);
      askSoon(state, event.now);
      break;
    case 'ask':
      askSoon(state, event.now);
      break;
    case 'doubt':
      doubt(state, event.name, event.now);
      break;
    case 'heard':
      hear(state, event);
      break;
    case 'overheard':
      overhear(state, event);
      break;
    case 'due':
      break;
  }
  return settle(state, event.now);
}

/** A packet of one phone makes work for that phone alone: there may be a thousand. */
function settle(state: BrowserState, now: number): BrowserAction[] {
  for (const key of state.touched) {
    const instance = state.instances.get(key);
    if (instance) state.dueAt = Math.min(state.dueAt, nextOf(state, instance));
  }
  const isDue = Math.min(state.dueAt, state.queryAt) <= now;
  if (isDue) expire(state, now);
  const actions = tellChanges(state, now);
  if (isDue) {
    actions.push(...query(state, now));
    state.dueAt = Number.POSITIVE_INFINITY;
    for (const instance of state.instances.values())
      state.dueAt = Math.min(state.dueAt, nextOf(state, instance));
  }
  return actions;
}

/** When the next `due` event is wanted; Infinity if never. */
export function wakeAt({ queryAt, dueAt }: BrowserState): number {
  return Math.min(queryAt, dueAt);
}

/** When something is to be asked about an instance and its host, or forgotten of them. */
function nextOf({ hosts }: BrowserState, instance: Instance): number {
  const { pointer, server, text, askAt, doubt: doubted } = instance;
  let at = Math.min(askAt, nextEvent(pointer));
  if (doubted) at = Math.min(at, doubted.since + DOUBT.withinMs);
  if (text) at = Math.min(at, nextEvent(text));
  if (!server) return at;
  at = Math.min(at, nextEvent(server));
  for (const address of hosts.get(foldName(server.host))?.values() ?? [])
    at = Math.min(at, nextEvent(address));
  return at;
}

function askSoon(state: BrowserState, now: number): void {
  const soon = now + shortDelay(state);
  // RFC 6762 §5.2: the same question at most once a second.
  state.queryAt = Math.min(state.queryAt, Math.max(soon, state.queriedAt + FIRST_INTERVAL_MS));
  state.queryPauseMs = FIRST_INTERVAL_MS;
}

function shortDelay({ random }: BrowserState): number {
  const { least, spread } = FIRST_QUERY_DELAY_MS;
  return least + spread * random();
}

/** What is missing, all others miss too: one of them asks first. */
function askMissingAt(state: BrowserState, now: number): number {
  if (state.newcomersAt <= now) state.newcomersAt = now + shortDelay(state);
  return state.newcomersAt;
}

/**
 * A pulled cable is no goodbye; but where it comes back, things may have changed: who was heard there before and
 * does not answer now is forgotten (RFC 6762 §10.3).
 */
function follow(state: BrowserState, addresses: readonly InterfaceAddress[], now: number): void {
  const before = new Set(state.addresses.map(({ name }) => name));
  const returned = new Set(addresses.map(({ name }) => name).filter(name => !before.has(name)));
  state.addresses = addresses;
  for (const [key, instance] of state.instances) {
    state.touched.add(key);
    if (instance.seen && returned.has(instance.link))
      instance.doubt = { since: now, questions: DOUBT.questions, ours: false };
  }
}

/** RFC 6762 §10.4: what fails is asked for again, and forgotten unless it answers. */
function doubt(state: BrowserState, name: string, now: number): void {
  const key = foldName(instanceName(name, state.service));
  const instance = state.instances.get(key);
  if (!instance?.seen || instance.doubt?.ours) return;
  state.touched.add(key);
  instance.doubt = { since: now, questions: DOUBT.questions, ours: true };
  instance.askAt = now;
  instance.askPauseMs = FIRST_INTERVAL_MS;
}

function overhear(
  state: BrowserState,
  { linkId, questions, known, now }: BrowserEvent & { kind: 'overheard' },
): void {
  for (const { type, name } of questions) {
    const folded = foldName(name);
    if (type === 'PTR') {
      // RFC 6762 §7.3: unless it knows, and so will not be told, what we do not.
      const isOurs =
        folded === state.service && known.every(each => state.instances.has(foldName(each)));
      if (isOurs) state.overheardAt.set(linkId, now);
      continue;
    }
    for (const key of [folded, ...(state.onHost.get(folded) ?? [])]) {
      const instance = state.instances.get(key);
      if (!instance) continue;
      state.touched.add(key);
      if (!instance.seen) {
        instance.askAt = Math.max(instance.askAt, now + instance.askPauseMs);
        continue;
      }
      instance.doubt ??= { since: now, questions: 0, ours: false };
      instance.doubt.questions++;
    }
  }
}

/** Pointers first, then what hangs on them: a packet may list its records in any order. */
function hear(state: BrowserState, event: BrowserEvent & { kind: 'heard' }): void {
  const { records, now } = event;
  for (const record of records) {
    if (record.type === 'PTR') hearPointer(state, record, event);
  }
  for (const record of records) {
    const instance = state.instances.get(record.name);
    if (!instance || (record.type !== 'SRV' && record.type !== 'TXT')) continue;
    state.touched.add(record.name);
    hearInstance(state, instance, record, event);
  }
  for (const record of records) {
    const addresses = state.hosts.get(record.name);
    if (!addresses || (record.type !== 'A' && record.type !== 'AAAA')) continue;
    const { link, direct = false } = event;
    const ttl = direct
      ? ttlOf(addresses.get(addressKey(link, record.address)), record.ttl)
      : record.ttl;
    hearAddress(addresses, record, link, lifetime(ttl, now, state.random));
    for (const key of state.onHost.get(record.name) ?? []) {
      const instance = state.instances.get(key);
      if (instance) instance.doubt = undefined;
      state.touched.add(key);
    }
  }
}

function hearPointer(
  state: BrowserState,
  record: PhoneRecord & { type: 'PTR' },
  { link, source, now, direct }: BrowserEvent & { kind: 'heard' },
): void {
  const name = phoneNameOf(record.instance, state.service);
  if (name === undefined) return;
  const key = foldName(record.instance);
  const instance = state.instances.get(key);
  const ttl = direct ? ttlOf(instance?.pointer, record.ttl) : record.ttl;
  const pointer = lifetime(ttl, now, state.random);
  state.touched.add(key);
  if (instance) {
    instance.pointer = pointer;
    instance.link = link;
    instance.doubt = undefined;
  } else if (record.ttl > 0 && makeRoom(state, source, now)) {
    state.instances.set(key, {
      fullName: record.instance,
      name,
      pointer,
      server: undefined,
      text: undefined,
      link,
      source,
      askAt: askMissingAt(state, now),
      askPauseMs: FIRST_INTERVAL_MS,
      doubt: undefined,
      seen: undefined,
    });
  }
}

/**
 * A flood of names nobody stands behind gives way to phones that can be reached; and where all can, one of whoever has told
 * of most gives way to what another tells of.
 */
function makeRoom(state: BrowserState, source: string, now: number): boolean {
  if (state.instances.size < MAX_PHONES) return true;
  for (const [key, instance] of state.instances) {
    if (instance.seen) continue;
    state.instances.delete(key);
    return true;
  }
  const bySource = new Map<string, string[]>();
  for (const [key, instance] of state.instances) {
    const told = bySource.get(instance.source) ?? [];
    told.push(key);
    bySource.set(instance.source, told);
  }
  let crowd: readonly string[] = [];
  for (const told of bySource.values()) if (told.length > crowd.length) crowd = told;
  const first = crowd[0] ?? '';
  const instance = state.instances.get(first);
  if (!instance || crowd.length <= (bySource.get(source)?.length ?? 0) + 1) return false;
  instance.pointer.expiresAt = now;
  instance.pointer.refreshAt = [];
  state.touched.add(first);
  return true;
}

function hearInstance(
  state: BrowserState,
  instance: Instance,
  record: PhoneRecord & { type: 'SRV' | 'TXT' },
  { link, now, direct }: BrowserEvent & { kind: 'heard' },
): void {
  const before = record.type === 'SRV' ? instance.server : instance.text;
  const ttl = direct ? ttlOf(before, record.ttl) : record.ttl;
  const life = lifetime(ttl, now, state.random);
  instance.link = link;
  instance.doubt = undefined;
  if (record.type === 'TXT') {
    const deviceId = textValue(record.texts, 'id')?.slice(0, MAX_DEVICE_ID_LENGTH);
    const texts = wantedIn(record.texts, state.keys);
    instance.text = { ...life, deviceId, ports: portsIn(record.texts), texts };
  } else if (record.ttl > 0) {
    instance.server = { ...life, host: record.host, port: record.port };
    const host = foldName(record.host);
    if (!state.hosts.has(host)) {
      state.hosts.set(host, new Map());
      // What is not needed any more makes room.
      if (state.hosts.size > MAX_PHONES) state.dueAt = now;
    }
    const there = state.onHost.get(host) ?? new Set();
    state.onHost.set(host, there.add(record.name));
  } else if (instance.server?.host === record.host && instance.server.port === record.port) {
    // A rival that loses a name conflict takes back its own record, not the winner's.
    Object.assign(instance.server, life);
  }
}

function expire(state: BrowserState, now: number): void {
  state.onHost.clear();
  for (const [key, instance] of state.instances) {
    if (nextOf(state, instance) <= now) state.touched.add(key);
    const { pointer, server, text } = instance;
    if (instance.doubt && instance.doubt.since + DOUBT.withinMs <= now) {
      if (instance.doubt.questions >= DOUBT.questions) pointer.expiresAt = now;
      instance.doubt = undefined;
    }
    if (server && isOver(server, now)) instance.server = undefined;
    if (text && isOver(text, now)) instance.text = undefined;
    if (!instance.server || isOver(pointer, now)) continue;
    const host = foldName(instance.server.host);
    const there = state.onHost.get(host) ?? new Set();
    state.onHost.set(host, there.add(key));
  }
  for (const [host, addresses] of state.hosts) {
    if (!state.onHost.has(host)) state.hosts.delete(host);
    forgetAddresses(addresses, now);
  }
}

function tellChanges(state: BrowserState, now: number): BrowserAction[] {
  const actions: BrowserAction[] = [];
  for (const key of state.touched) {
    const instance = state.instances.get(key);
    if (!instance) continue;
    const before = instance.seen;
    const forgotten = isOver(instance.pointer, now);
    const phone = forgotten ? undefined : sighting(state, instance);
    instance.seen = phone;
    if (forgotten) state.instances.delete(key);
    if (phone && !before) actions.push({ kind: 'up', phone });
    else if (!phone && before) {
      actions.push({ kind: 'down', phone: before });
      instance.askAt = askMissingAt(state, now);
      state.dueAt = Math.min(state.dueAt, instance.askAt);
    } else if (phone && before && differ(phone, before)) actions.push({ kind: 'changed', phone });
  }
  state.touched.clear();
  return actions;
}

function sighting(state: BrowserState, instance: Instance): PhoneSighting | undefined {
  const { server, text, name, link } = instance;
  if (!server || server.port === 0) return undefined;
  const addresses = state.hosts.get(foldName(server.host))?.values() ?? [];
  const endpoints = reachableEndpoints([...addresses], server.port, state.addresses);
  if (endpoints.length === 0) return undefined;
  const { deviceId, ports = {}, texts } = text ?? {};
  const { host } = server;
  return { name, deviceId, endpoints, ports, host, interfaceName: link, ...(texts && { texts }) };
}

function wantedIn(texts: readonly string[], keys: readonly string[]): PhoneSighting['texts'] {
  if (keys.length === 0) return undefined;
  return Object.fromEntries(
    keys.flatMap(key => {
      const value = textValue(texts, key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
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
  const facts = ({ name, deviceId, endpoints, ports, host, texts }: PhoneSighting) =>
    JSON.stringify([name, deviceId, endpoints, ports, host, texts]);
  return facts(a) !== facts(b);
}
