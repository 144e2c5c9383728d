/** What a service agent or directory agent says to a request (RFC 2608 §8.1, §8.5, §8.6, §10). Pure. */
import {
  type Attributes,
  formatAttributes,
  mergeAttributes,
  parseAttributes,
  selectAttributes,
} from './attributes.js';
import { DIRECTORY_AGENT_TYPE, ErrorCode, SERVICE_AGENT_TYPE } from './constants.js';
import { SlpError } from './errors.js';
import { filterMatches, parseFilter } from './filter.js';
import {
  type AttrRqst,
  type DAAdvert,
  type MessageKind,
  mandatoryExtension,
  type QueryMessage,
  type SlpMessage,
  type SrvRqst,
  type SrvTypeRqst,
  type UrlEntry,
} from './message.js';
import { living, type Registration, type Registry } from './registry.js';
import { isUrl, parseServiceType, parseServiceUrl, typeMatches } from './service-type.js';
import { fold, intersects } from './strings.js';

export interface Answerer {
  readonly role: 'DA' | 'SA';
  readonly scopes: readonly string[];
  /** Of the agent itself: an attribute list. */
  readonly attributes: string;
  /** DA: seconds since 1970; 0 while it goes down. */
  readonly bootTimestamp: number;
  readonly registry: Registry;
}

export interface AskedBy {
  readonly now: number;
  /** Every address of this host. */
  readonly own: readonly string[];
  /** The one the answer leaves from. */
  readonly local: string;
}

/** A request of another kind gets an error; undefined: nothing is said. */
export function answerQuery(
  answerer: Answerer,
  request: QueryMessage,
  by: AskedBy,
): SlpMessage | undefined {
  if (request.previousResponders.some(address => by.own.includes(address))) return undefined;
  let reply: SlpMessage | undefined;
  try {
    reply = mandatoryExtension(request)
      ? failure(request, ErrorCode.OPTION_NOT_UNDERSTOOD)
      : answer(answerer, request, by);
  } catch (error) {
    if (!(error instanceof SlpError)) throw error;
    reply = failure(request, error.status);
  }
  // §7, §8.2: to a multicast request nobody says that there is nothing, or that something is wrong.
  return request.multicast && reply && saysNothing(reply) ? undefined : reply;
}

/** The reply to a request of this kind that says nothing but what is wrong. */
export function failure(
  request: { readonly kind: MessageKind; readonly xid: number; readonly language: string },
  error: number,
): SlpMessage | undefined {
  const { xid, language } = request;
  switch (request.kind) {
    case 'SrvRqst':
      return { kind: 'SrvRply', xid, language, error, urls: [] };
    case 'AttrRqst':
      return { kind: 'AttrRply', xid, language, error, attributes: '' };
    case 'SrvTypeRqst':
      return { kind: 'SrvTypeRply', xid, language, error, serviceTypes: [] };
    case 'SrvReg':
    case 'SrvDeReg':
      return { kind: 'SrvAck', xid, language, error };
    case 'SrvRply':
    case 'SrvAck':
    case 'AttrRply':
    case 'SrvTypeRply':
    case 'DAAdvert':
    case 'SAAdvert':
      return undefined;
  }
}

export function directoryAdvert(
  { scopes, attributes, bootTimestamp }: Answerer,
  local: string,
  { xid, language }: { readonly xid: number; readonly language: string },
): DAAdvert {
  const url = `${DIRECTORY_AGENT_TYPE}://${local}`;
  return {
    kind: 'DAAdvert',
    xid,
    language,
    error: 0,
    bootTimestamp,
    url,
    scopes,
    attributes,
    spis: [],
  };
}

function saysNothing(reply: SlpMessage): boolean {
  switch (reply.kind) {
    case 'SrvRply':
      return reply.error !== 0 || reply.urls.length === 0;
    case 'AttrRply':
      return reply.error !== 0 || reply.attributes === '';
    case 'SrvTypeRply':
      return reply.error !== 0 || reply.serviceTypes.length === 0;
    case 'DAAdvert':
      return reply.error !== 0;
    default:
      return false;
  }
}

function answer(answerer: Answerer, request: QueryMessage, by: AskedBy): SlpMessage | undefined {
  switch (request.kind) {
    case 'SrvRqst':
      return answerServices(answerer, request, by);
    case 'AttrRqst':
      return answerAttributes(answerer, request, by);
    case 'SrvTypeRqst':
      return answerTypes(answerer, request, by);
  }
}

function answerServices(answerer: Answerer, request: SrvRqst, by: AskedBy): SlpMessage | undefined {
  const { xid, language } = request;
  const wanted = parseServiceType(request.serviceType);
  const filter = parseFilter(request.predicate);
  if (wanted.text === DIRECTORY_AGENT_TYPE || wanted.text === SERVICE_AGENT_TYPE) {
    return answerAgents(answerer, request, wanted.text, by);
  }
  // §6.1: of what is multicast, a directory agent answers only who asks for directory agents.
  if (answerer.role === 'DA' && request.multicast) return undefined;
  if (request.spi !== '') return failure(request, ErrorCode.AUTHENTICATION_UNKNOWN);
  if (!intersects(answerer.scopes, request.scopes)) {
    return failure(request, ErrorCode.SCOPE_NOT_SUPPORTED);
  }
  const urls = new Map<string, UrlEntry>();
  let otherLanguage = false;
  for (const entry of inScope(answerer, request.scopes, by.now)) {
    if (!typeMatches(wanted, entry.type)) continue;
    if (filter && !sameLanguage(entry, request)) {
      otherLanguage = true;
      continue;
    }
    if (!filterMatches(filter, entry.attributes)) continue;
    const left = Math.floor((entry.expiresAt - by.now) / 1000);
    const lifetime = Math.max(1, Math.min(left, entry.lifetime));
    const known = urls.get(entry.url)?.lifetime ?? 0;
    urls.set(entry.url, { url: entry.url, lifetime: Math.max(lifetime, known) });
  }
  if (urls.size === 0 && otherLanguage) return failure(request, ErrorCode.LANGUAGE_NOT_SUPPORTED);
  return { kind: 'SrvRply', xid, language, error: 0, urls: [...urls.values()] };
}

function answerAgents(
  answerer: Answerer,
  request: SrvRqst,
  wanted: string,
  by: AskedBy,
): SlpMessage | undefined {
  const { xid, language, scopes } = request;
  const own = answerer.role === 'DA' ? DIRECTORY_AGENT_TYPE : SERVICE_AGENT_TYPE;
  if (wanted !== own) {
    return request.multicast ? undefined : { kind: 'SrvRply', xid, language, error: 0, urls: [] };
  }
  const satisfied =
    (scopes.length === 0 || intersects(scopes, answerer.scopes)) &&
    filterMatches(parseFilter(request.predicate), parseAttributes(answerer.attributes));
  if (answerer.role === 'SA') {
    if (!satisfied) return undefined; // §8.6
    const url = `${SERVICE_AGENT_TYPE}://${by.local}`;
    const { attributes } = answerer;
    return { kind: 'SAAdvert', xid, language, url, scopes: answerer.scopes, attributes };
  }
  const advert = directoryAdvert(answerer, by.local, request);
  if (satisfied) return advert;
  return request.multicast ? undefined : { ...advert, error: ErrorCode.SCOPE_NOT_SUPPORTED };
}

function answerAttributes(
  answerer: Answerer,
  request: AttrRqst,
  by: AskedBy,
): SlpMessage | undefined {
  const { xid, language, url, tags } = request;
  if (answerer.role === 'DA' && request.multicast) return undefined;
  const byUrl = isUrl(url);
  if (request.spi !== '') {
    const isBroken = tags.length > 0 || !byUrl; // §10.3
    const { AUTHENTICATION_FAILED, AUTHENTICATION_UNKNOWN } = ErrorCode;
    return failure(request, isBroken ? AUTHENTICATION_FAILED : AUTHENTICATION_UNKNOWN);
  }
  if (!intersects(answerer.scopes, request.scopes)) {
    return failure(request, ErrorCode.SCOPE_NOT_SUPPORTED);
  }
  const wanted = byUrl ? parseServiceUrl(url).type : parseServiceType(url);
  const found: Registration[] = [];
  let otherLanguage = false;
  for (const entry of inScope(answerer, request.scopes, by.now)) {
    if (byUrl ? entry.url !== url : !typeMatches(wanted, entry.type)) continue;
    if (sameLanguage(entry, request)) found.push(entry);
    else otherLanguage = true;
  }
  if (found.length === 0 && otherLanguage) {
    return failure(request, ErrorCode.LANGUAGE_NOT_SUPPORTED);
  }
  return { kind: 'AttrRply', xid, language, error: 0, attributes: attributeText(found, tags) };
}

function attributeText(found: readonly Registration[], tags: readonly string[]): string {
  const [only] = found;
  if (only && found.length === 1 && tags.length === 0) return only.attributeText;
  const lists: Attributes[] = found.map(({ attributes }) => attributes);
  return formatAttributes(selectAttributes(mergeAttributes(lists), tags));
}

function answerTypes(
  answerer: Answerer,
  request: SrvTypeRqst,
  by: AskedBy,
): SlpMessage | undefined {
  const { xid, language, namingAuthority } = request;
  if (answerer.role === 'DA' && request.multicast) return undefined;
  if (!intersects(answerer.scopes, request.scopes)) {
    return failure(request, ErrorCode.SCOPE_NOT_SUPPORTED);
  }
  const types = new Set<string>();
  const authority = namingAuthority === undefined ? undefined : fold(namingAuthority);
  for (const { type } of inScope(answerer, request.scopes, by.now)) {
    if (authority === undefined || type.namingAuthority === authority) types.add(type.text);
  }
  return { kind: 'SrvTypeRply', xid, language, error: 0, serviceTypes: [...types] };
}

function* inScope(
  { registry }: Answerer,
  scopes: readonly string[],
  now: number,
): Generator<Registration> {
  for (const entry of living(registry, now)) if (intersects(entry.scopes, scopes)) yield entry;
}

/** Without the dialect (§8.1). */
function sameLanguage(a: { readonly language: string }, b: { readonly language: string }): boolean {
  const primary = (tag: string) => fold(tag).split('-', 1)[0];
  return primary(a.language) === primary(b.language);
}
