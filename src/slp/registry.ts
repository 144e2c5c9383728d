/** Registered services: what a DA holds for others, and an SA of its own. Bounded; whatever is in it expires. */
import {
  type Attributes,
  dropAttributes,
  formatAttributes,
  parseAttributes,
  updateAttributes,
} from './attributes.js';
import { ErrorCode } from './constants.js';
import { SlpError } from './errors.js';
import type { SrvDeReg, SrvReg } from './message.js';
import { parseServiceType, parseServiceUrl, type ServiceType } from './service-type.js';
import { fold, sameSet } from './strings.js';

export interface Registration {
  readonly url: string;
  readonly type: ServiceType;
  readonly scopes: readonly string[];
  readonly language: string;
  readonly attributes: Attributes;
  /** As they were written (§10.4: case and white space come back). */
  readonly attributeText: string;
  /** In s, as registered. */
  readonly lifetime: number;
  /** On the scale of `now`; an agent's own services have no end. */
  readonly expiresAt: number;
  /** When it was last registered or updated. */
  readonly changedAt: number;
  readonly octets: number;
}

export interface RegistryLimits {
  readonly registrations: number;
  /** Of URLs, attributes and scopes together. */
  readonly octets: number;
}

export const DEFAULT_REGISTRY_LIMITS: RegistryLimits = {
  registrations: 10_000,
  octets: 16 * 1024 * 1024,
};

export interface Registry {
  /** By URL and language. */
  readonly entries: Map<string, Registration>;
  readonly limits: RegistryLimits;
  octets: number;
}

export function newRegistry(limits: RegistryLimits = DEFAULT_REGISTRY_LIMITS): Registry {
  return { entries: new Map(), limits, octets: 0 };
}

export interface RegistrationRules {
  readonly scopes: readonly string[];
  /** Updates of one service that come sooner are refused (§8.5), in s. */
  readonly minRefreshInterval: number;
}

/** @returns the error code of the SrvAck (RFC 2608 §7, §8.3, §9.3) */
export function register(
  registry: Registry,
  message: SrvReg,
  rules: RegistrationRules,
  now: number,
): number {
  const { url, scopes, language, authentication = [] } = message;
  if (authentication.length > 0 || (url.authentication ?? []).length > 0) {
    return ErrorCode.AUTHENTICATION_UNKNOWN; // §8.5: none can be verified here
  }
  if (!allSupported(scopes, rules.scopes)) return ErrorCode.SCOPE_NOT_SUPPORTED;
  if (url.lifetime === 0) return ErrorCode.INVALID_REGISTRATION;
  let type: ServiceType;
  let attributes: Attributes;
  try {
    type = parseServiceType(message.serviceType);
    parseServiceUrl(url.url);
    attributes = parseAttributes(message.attributes);
  } catch (error) {
    if (error instanceof SlpError) return error.status;
    throw error;
  }
  const key = keyOf(url.url, language);
  const before = current(registry, key, now);
  if (!message.fresh) {
    if (!before || before.type.text !== type.text) return ErrorCode.INVALID_UPDATE;
    if (!sameSet(before.scopes, scopes)) return ErrorCode.SCOPE_NOT_SUPPORTED;
    if (now - before.changedAt < rules.minRefreshInterval * 1000) return ErrorCode.REFRESH_REJECTED;
    attributes = updateAttributes(before.attributes, attributes);
  }
  return put(registry, key, {
    ...{ url: url.url, type, scopes, language, attributes },
    attributeText: message.fresh ? message.attributes : formatAttributes(attributes),
    lifetime: url.lifetime,
    expiresAt: now + url.lifetime * 1000,
    changedAt: now,
  });
}

/** @returns the error code of the SrvAck (RFC 2608 §10.6) */
export function deregister(
  registry: Registry,
  { url, scopes, tags, language }: SrvDeReg,
  rules: RegistrationRules,
  now: number,
): number {
  if (!allSupported(scopes, rules.scopes)) return ErrorCode.SCOPE_NOT_SUPPORTED;
  const found = [...registry.entries].filter(([, entry]) => entry.url === url.url);
  if (found.some(([, entry]) => !sameSet(entry.scopes, scopes)))
    return ErrorCode.SCOPE_NOT_SUPPORTED;
  if (tags.length === 0) {
    for (const [key] of found) remove(registry, key);
    return ErrorCode.NONE;
  }
  const key = keyOf(url.url, language);
  const entry = current(registry, key, now);
  if (!entry) return ErrorCode.INVALID_UPDATE;
  if (now - entry.changedAt < rules.minRefreshInterval * 1000) return ErrorCode.REFRESH_REJECTED;
  try {
    const attributes = dropAttributes(entry.attributes, tags);
    const attributeText = formatAttributes(attributes);
    return put(registry, key, { ...entry, attributes, attributeText, changedAt: now });
  } catch (error) {
    if (error instanceof SlpError) return error.status;
    throw error;
  }
}

/** Those whose time has not run out. */
export function* living(registry: Registry, now: number): Generator<Registration> {
  for (const entry of registry.entries.values()) if (entry.expiresAt > now) yield entry;
}

/** Forgets those whose time has run out. */
export function sweep(registry: Registry, now: number): void {
  for (const [key, entry] of registry.entries) {
    if (entry.expiresAt <= now) remove(registry, key);
  }
}

export function remove(registry: Registry, key: string): void {
  registry.octets -= registry.entries.get(key)?.octets ?? 0;
  registry.entries.delete(key);
}

export function keyOf(url: string, language: string): string {
  return `${url}\n${fold(language)}`;
}

function current(registry: Registry, key: string, now: number): Registration | undefined {
  const entry = registry.entries.get(key);
  return entry && entry.expiresAt > now ? entry : undefined;
}

function put(registry: Registry, key: string, entry: Omit<Registration, 'octets'>): number {
  const { url, attributeText, scopes } = entry;
  const octets = url.length + attributeText.length + scopes.join().length;
  const before = registry.entries.get(key);
  const { limits } = registry;
  if (!before && registry.entries.size >= limits.registrations) sweep(registry, entry.changedAt);
  const isFull =
    (!before && registry.entries.size >= limits.registrations) ||
    registry.octets - (before?.octets ?? 0) + octets > limits.octets;
  if (isFull) return ErrorCode.DA_BUSY_NOW;
  remove(registry, key);
  registry.entries.set(key, { ...entry, octets });
  registry.octets += octets;
  return ErrorCode.NONE;
}

function allSupported(scopes: readonly string[], supported: readonly string[]): boolean {
  const known = new Set(supported.map(fold));
  return scopes.length > 0 && scopes.every(scope => known.has(fold(scope)));
}
