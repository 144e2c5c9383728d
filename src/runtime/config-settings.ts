/** The settings of a phone, and what they are where nobody says otherwise. */
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { AccountSettings } from '../calling/accounts.js';
import type { CodecName } from '../calling/audio-codecs.js';
import type { Country } from '../calling/country-tones.js';
import type { EncryptionPolicy } from '../calling/encryption.js';
import type { SilencePolicy } from '../calling/silence.js';
import { ANY } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';
import { isPhoneName } from '../discovery/phone-name.js';
import type { UserSettings } from '../sip/server/users.js';

import type { OptionalListen, PortChoices } from './config-listen.js';
import type { OverlaySearch } from './config-overlay.js';
import type { Watchers } from './telephone.js';
import type { TlsChoices } from './tls-policy.js';

export type OverlayRoleSetting = 'auto' | 'always' | 'never' | 'off';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What every setting means stands in config.schema.json. */
export interface Settings {
  readonly name: string;
  readonly listen: Endpoint;
  readonly listenToo: OptionalListen;
  readonly tls: TlsChoices;
  /** Of web pages that may connect by WebSocket; all by default. */
  readonly origins?: readonly string[];
  /** An absolute path. */
  readonly data: string;
  readonly log: LogLevel;
  /** Best first. */
  readonly codecs: readonly CodecName[];
  /** Whose tones are heard. */
  readonly country: Country;
  /** Whether voice is encrypted. */
  readonly srtp: EncryptionPolicy;
  /** Whether pauses of voices are sent. */
  readonly silence: SilencePolicy;
  /** Threads that voice is spread over. */
  readonly mediaThreads: number;
  readonly accounts: readonly AccountSettings[];
  readonly users: readonly UserSettings[];
  /** Whether this phone may be a super-node; `off`: it is in no overlay at all. */
  readonly overlayRole: OverlayRoleSetting;
  /** Where it looks for super-nodes, and is made known as one. */
  readonly overlaySearch: OverlaySearch;
  /** Who may watch whether this phone is busy, and its users are there. */
  readonly watchers: Watchers;
  readonly clickToDial?: boolean;
  /** Calls at once. */
  readonly maxCalls?: number;
}

/** What one source says: the file, or the command line. */
export type Config = Partial<Omit<Settings, 'listenToo'>> & { readonly ports?: PortChoices };

/** Port: RFC 3261 §18.1.1. */
export const DEFAULT_LISTEN: Endpoint = { address: ANY, port: 5060 };

const FALLBACK_NAME = 'phone';

/** `$RINGLINE_DATA`, else `ringline` in the user's state directory (XDG Base Directory Specification). */
export function defaultDataDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const { RINGLINE_DATA, XDG_STATE_HOME } = environment;
  if (RINGLINE_DATA) return resolve(RINGLINE_DATA);
  return join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'ringline');
}

/** The host's name without its domain, made such that it can be dialled. */
export function defaultName(host: string = hostname()): string {
  const label = host.split('.')[0] ?? '';
  const name = label.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '');
  return isPhoneName(name) ? name : FALLBACK_NAME;
}

/** @throws {CodedError} `BAD_LOG_LEVEL` */
export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find(level => level === text);
  if (level) return level;
  throw new CodedError(
    'BAD_LOG_LEVEL',
    `expected one of ${LOG_LEVELS.join(', ')}, found "${text}"`,
  );
}
