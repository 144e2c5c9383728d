/** Which directory agents there are (RFC 2608 §12.2): asked for, and heard of. Pure; part of a UA and of an SA. */
import { parseAttributes } from './attributes.js';
import { CONFIG_DA_FIND_MS, CONFIG_START_WAIT_MS, ErrorCode, SLP_PORT } from './constants.js';
import { SlpError } from './errors.js';
import type { DAAdvert } from './message.js';
import type { Endpoint } from './network.js';
import { parseServiceUrl } from './service-type.js';
import { intersects } from './strings.js';

export interface KnownDirectoryAgent {
  readonly url: string;
  readonly endpoint: Endpoint;
  readonly scopes: readonly string[];
  readonly bootTimestamp: number;
  /** No service is to be refreshed more often, in s (§8.5). */
  readonly minRefreshInterval: number;
}

export interface DaDirectory {
  /** Of others nothing is kept. */
  readonly scopes: readonly string[];
  /** By URL. */
  readonly known: Map<string, KnownDirectoryAgent>;
  readonly random: () => number;
  discovering: boolean;
  /** A link has come while others were asked. */
  askAgain: boolean;
  wakeAt: number | undefined;
}

export type DaDirectoryEvent =
  | { readonly kind: 'start'; readonly now: number }
  | { readonly kind: 'advert'; readonly now: number; readonly message: DAAdvert }
  /** The question `discover` asked for is over. */
  | { readonly kind: 'discovered'; readonly now: number }
  /** It has not answered: taken for down (§12.3). */
  | { readonly kind: 'unanswered'; readonly now: number; readonly url: string }
  /** There is a link that was not there before. */
  | { readonly kind: 'network'; readonly now: number }
  | { readonly kind: 'due'; readonly now: number };

export type DaDirectoryAction =
  /** Multicast for `service:directory-agent`, and hand in the adverts that come. */
  | { readonly kind: 'discover' }
  /** New, or it has forgotten everything. */
  | { readonly kind: 'up'; readonly da: KnownDirectoryAgent; readonly again: boolean }
  | { readonly kind: 'down'; readonly da: KnownDirectoryAgent };

const MOST_DIRECTORY_AGENTS = 64;
const MIN_REFRESH = 'min-refresh-interval'; // §8.5

export function newDaDirectory(scopes: readonly string[], random: () => number): DaDirectory {
  return {
    scopes,
    known: new Map(),
    random,
    discovering: false,
    askAgain: false,
    wakeAt: undefined,
  };
}

export function stepDaDirectory(
  directory: DaDirectory,
  event: DaDirectoryEvent,
): DaDirectoryAction[] {
  const { now } = event;
  switch (event.kind) {
    case 'start':
    case 'network':
      if (directory.discovering) directory.askAgain = true;
      else directory.wakeAt = soon(directory, now);
      return [];
    case 'advert':
      return hear(directory, event.message);
    case 'discovered':
      directory.discovering = false;
      directory.wakeAt = directory.askAgain ? soon(directory, now) : now + CONFIG_DA_FIND_MS;
      directory.askAgain = false;
      return [];
    case 'unanswered': {
      const da = directory.known.get(event.url);
      if (!da) return [];
      directory.known.delete(event.url);
      return [{ kind: 'down', da }];
    }
    case 'due':
      return due(directory, now);
  }
}

/** §12.2.1: not all hosts at one moment when the power comes back. */
function soon({ random }: DaDirectory, now: number): number {
  return now + random() * CONFIG_START_WAIT_MS;
}

function due(directory: DaDirectory, now: number): DaDirectoryAction[] {
  if (directory.wakeAt === undefined || now < directory.wakeAt) return [];
  directory.wakeAt = undefined;
  directory.discovering = true;
  return [{ kind: 'discover' }];
}

function hear(directory: DaDirectory, message: DAAdvert): DaDirectoryAction[] {
  if (message.error !== ErrorCode.NONE) return [];
  const before = directory.known.get(message.url);
  if (message.bootTimestamp === 0) {
    directory.known.delete(message.url);
    return before ? [{ kind: 'down', da: before }] : [];
  }
  const da = knownFrom(message);
  if (!da || !intersects(directory.scopes, da.scopes)) return [];
  if (!before && directory.known.size >= MOST_DIRECTORY_AGENTS) return [];
  directory.known.set(da.url, da);
  // Any other time will do: a DA whose clock was wrong before may have booted "earlier".
  if (before?.bootTimestamp === da.bootTimestamp) return [];
  return [{ kind: 'up', da, again: before !== undefined }];
}

function knownFrom({
  url,
  scopes,
  bootTimestamp,
  attributes,
}: DAAdvert): KnownDirectoryAgent | undefined {
  try {
    const { host, port = SLP_PORT } = parseServiceUrl(url);
    const [interval] = parseAttributes(attributes).get(MIN_REFRESH)?.values ?? [];
    const minRefreshInterval = typeof interval === 'number' && interval > 0 ? interval : 0;
    const endpoint = { address: host, port };
    return { url, endpoint, scopes, bootTimestamp, minRefreshInterval };
  } catch (error) {
    if (error instanceof SlpError) return undefined;
    throw error;
  }
}

/** A directory agent for any of these scopes, but none of those. */
export function directoryAgentFor(
  directory: DaDirectory,
  scopes: readonly string[],
  except: ReadonlySet<string> = new Set(),
): KnownDirectoryAgent | undefined {
  const known = [...directory.known.values()];
  return known.find(da => !except.has(da.url) && intersects(scopes, da.scopes));
}
