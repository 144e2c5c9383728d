/** The part of the configuration that says where super-nodes are looked for, and how this one is made known. */
import { type Bootstrap, parseBootstrap } from '../discovery/candidates/fixed-source.js';
import { DNS_PORT, type DynamicDnsSettings } from '../discovery/dns-update/dynamic-dns.js';
import { readTsigSecret } from '../discovery/dns-update/tsig.js';
import { nameOctets } from '../discovery/dns-update/wire.js';

export interface OverlaySearch {
  readonly bootstrap?: readonly Bootstrap[];
  readonly domain?: string;
  /** True by default, as `flood` is. */
  readonly slp?: boolean;
  readonly flood?: boolean;
  readonly dynamicDns?: DynamicDnsSettings;
}

/** As the file has it. */
export interface RawOverlaySearch {
  readonly bootstrap?: readonly string[];
  readonly domain?: string;
  readonly slp?: boolean;
  readonly flood?: boolean;
  readonly dynamicDns?: {
    readonly zone: string;
    readonly server: string;
    readonly host?: string;
    readonly key: { readonly name: string; readonly secret: string };
  };
}

/** @throws {CodedError} for what the checks below do not let through */
export function readOverlaySearch(raw: RawOverlaySearch): OverlaySearch {
  const { bootstrap, domain, slp, flood, dynamicDns } = raw;
  return {
    ...(bootstrap && { bootstrap: bootstrap.map(parseBootstrap) }),
    ...(domain !== undefined && { domain }),
    ...(slp !== undefined && { slp }),
    ...(flood !== undefined && { flood }),
    ...(dynamicDns && { dynamicDns: readDynamicDns(dynamicDns) }),
  };
}

function readDynamicDns({ zone, server, host, key }: NonNullable<RawOverlaySearch['dynamicDns']>) {
  const place = serverIn(server);
  return {
    zone,
    server: place.host,
    port: place.port,
    ...(host !== undefined && { host }),
    key: { name: key.name, secret: readTsigSecret(key.secret) },
  };
}

export function isBootstrap(text: string): boolean {
  return succeeds(() => parseBootstrap(text));
}

export function isDnsServer(text: string): boolean {
  return !text.includes(';') && isBootstrap(text);
}

export function isDomain(text: string): boolean {
  return !/[\s\\]/.test(text) && text !== '' && succeeds(() => nameOctets(text));
}

export function isTsigSecret(text: string): boolean {
  return succeeds(() => readTsigSecret(text));
}

/** Written as a bootstrap is, with another usual port. */
function serverIn(text: string): { readonly host: string; readonly port: number } {
  const isNumbered = /(?:^\[[^\]]*\]|^[^:]*):\d+$/.test(text);
  const { host, port } = parseBootstrap(text);
  return { host, port: isNumbered ? port : DNS_PORT };
}

function succeeds(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
