/** Service types and service: URLs (RFC 2608 §4, RFC 2609 §2). */
import { SlpError } from './errors.js';
import { fold } from './strings.js';

export interface ServiceType {
  /** In lower case, as all comparisons want it: `service:printer:lpr`. */
  readonly text: string;
  /** Of `service:supernode.ringline:sip`, `supernode`; of `http`, `http`. */
  readonly name: string;
  /** `ringline`; empty: IANA's. */
  readonly namingAuthority: string;
  /** `sip`; undefined where the type is not abstract. */
  readonly concrete: string | undefined;
}

export interface ServiceUrl {
  readonly type: ServiceType;
  /** What follows `//`: host, port, path and all. */
  readonly rest: string;
  /** A name or literal address, without brackets; empty where the URL has none. */
  readonly host: string;
  readonly port: number | undefined;
}

const PART = /^[a-z][a-z0-9+-]*$/i;
const AUTHORITY = /^[a-z][a-z0-9+.-]*$/i;

/** @throws {SlpError} BAD_VALUE */
export function parseServiceType(text: string, field = 'service-type'): ServiceType {
  const folded = fold(text);
  const [first = '', ...others] = folded.split(':');
  const parts = first === 'service' ? others : [first, ...others];
  const isService = first === 'service';
  const [head = '', concrete] = parts;
  const dot = head.lastIndexOf('.');
  const name = dot < 0 ? head : head.slice(0, dot);
  const namingAuthority = dot < 0 ? '' : head.slice(dot + 1);
  const valid =
    parts.length <= (isService ? 2 : 1) &&
    PART.test(name) &&
    (dot < 0 || (AUTHORITY.test(namingAuthority) && namingAuthority !== 'iana')) &&
    (concrete === undefined || PART.test(concrete));
  if (!valid) {
    const message = `expected a service type such as service:printer:lpr, found "${text}"`;
    throw new SlpError('BAD_VALUE', field, 0, message);
  }
  return { text: folded, name, namingAuthority, concrete };
}

/**
 * `service:supernode.ringline:sip://192.0.2.7:5060`, `http://example.com/`.
 *
 * @throws {SlpError} BAD_VALUE
 */
export function parseServiceUrl(text: string, field = 'URL'): ServiceUrl {
  const end = text.indexOf(':/');
  if (end < 0) {
    const message = `expected a URL such as service:printer:lpr://host, found "${text}"`;
    throw new SlpError('BAD_VALUE', field, 0, message);
  }
  const type = parseServiceType(text.slice(0, end), field);
  const rest = text.slice(end + 1).replace(/^\/\//, '');
  const authority = /^(?:[^/;@]*@)?(?:\[([^\]]*)\]|([^:/;]*))(?::(\d{1,5}))?(?=[/;]|$)/.exec(rest);
  const port = authority?.[3] === undefined ? undefined : Number(authority[3]);
  if (!authority || (port !== undefined && port > 65_535)) {
    const message = `expected HOST or HOST:PORT, found "${rest}"`;
    throw new SlpError('BAD_VALUE', field, end + 3, message);
  }
  return { type, rest, host: authority[1] ?? authority[2] ?? '', port };
}

/** Whether an AttrRqst asks for one URL, not for a service type (§10.3). */
export function isUrl(text: string): boolean {
  return text.includes(':/');
}

/** Whether a service of type `offered` is one of those asked for: an abstract type stands for all its concrete ones. */
export function typeMatches(wanted: ServiceType, offered: ServiceType): boolean {
  return offered.text === wanted.text || offered.text.startsWith(`${wanted.text}:`);
}
