/** Reads `ringline.yaml`, and says of every error where it is, what was expected and what was found. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isSipUri, parseUri, SipSyntaxError, type SipUri } from '@sip-stack/parser';
import { Ajv, type ErrorObject } from 'ajv';
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import type { AccountSettings } from '../calling/accounts.js';
import type { CodecName } from '../calling/audio-codecs.js';
import type { Country } from '../calling/country-tones.js';
import type { EncryptionPolicy } from '../calling/encryption.js';
import type { SilencePolicy } from '../calling/silence.js';
import { parseEndpoint } from '../core/endpoint.js';
import { asError, CodedError, errorCode } from '../core/errors.js';
import { isPhoneName } from '../discovery/phone-name.js';
import type { UserSettings } from '../sip/server/users.js';
import schema from './config.schema.json' with { type: 'json' };
import type { PortChoice, PortChoices } from './config-listen.js';
import { nearest } from './config-nearest.js';
import {
  isBootstrap,
  isDnsServer,
  isDomain,
  isTsigSecret,
  type RawOverlaySearch,
  readOverlaySearch,
} from './config-overlay.js';
import {
  type Config,
  DEFAULT_LISTEN,
  type LogLevel,
  type OverlayRoleSetting,
} from './config-settings.js';
import { type RawTls, readTlsChoices, TlsMistake } from './config-tls.js';
import type { Watchers } from './telephone.js';
import type { TlsChoices } from './tls-policy.js';

/** What the schema lets through. */
interface RawConfig {
  readonly name?: string;
  readonly listen?: string;
  readonly tls?: RawTls;
  readonly websocket?: RawWebSocket;
  readonly data?: string;
  readonly log?: LogLevel;
  readonly codecs?: readonly CodecName[];
  readonly country?: Country;
  readonly srtp?: EncryptionPolicy;
  readonly silence?: SilencePolicy;
  readonly mediaThreads?: number;
  readonly accounts?: readonly RawAccount[];
  readonly users?: readonly UserSettings[];
  readonly watchers?: Watchers;
  readonly clickToDial?: boolean;
  readonly overlay?: RawOverlaySearch & { readonly role?: OverlayRoleSetting };
  readonly limits?: { readonly calls?: number };
}

interface RawWebSocket {
  readonly ws?: PortChoice;
  readonly wss?: PortChoice;
  readonly origins?: readonly string[];
}

interface RawAccount {
  readonly address: string;
  readonly password: string;
  readonly user?: string;
  readonly server?: string;
  readonly expires?: number;
  readonly presence?: boolean;
}

/** A file that was read, to tell places in it. */
interface ConfigSource {
  readonly path: string;
  readonly lines: LineCounter;
  readonly document: Document;
}

interface Mistake {
  /** Where in the text, in characters from its start. */
  readonly offset: number;
  readonly message: string;
}

/** @throws {CodedError} `BAD_CONFIG` */
export async function readConfigFile(path: string): Promise<Config> {
  const source = parseConfig(await readText(path), path);
  const { listen, tls, websocket, data, accounts, overlay, limits, ...rest } = source.value;
  const directory = dirname(path);
  return {
    ...rest,
    ...(accounts !== undefined && { accounts: accounts.map(readAccount) }),
    ...(listen !== undefined && { listen: parseEndpoint(listen, DEFAULT_LISTEN) }),
    ...(tls && { tls: await readTls(source, tls, directory) }),
    ...((tls || websocket) && { ports: portsOf(tls, websocket) }),
    ...(websocket?.origins && { origins: websocket.origins }),
    ...(overlay?.role !== undefined && { overlayRole: overlay.role }),
    ...(overlay && searchOf(overlay)),
    ...(limits?.calls !== undefined && { maxCalls: limits.calls }),
    ...(data !== undefined && { data: resolve(directory, data) }),
  };
}

async function readTls(source: ConfigSource, tls: RawTls, directory: string): Promise<TlsChoices> {
  try {
    return await readTlsChoices(tls, directory);
  } catch (error) {
    if (!(error instanceof TlsMistake)) throw error;
    const at = ['tls', error.key];
    const offset = valueOffset(source.document, at);
    throw badConfig(
      source,
      [{ offset, message: `${at.join('.')}: ${error.message}` }],
      error.remedy,
    );
  }
}

function searchOf(overlay: RawOverlaySearch): Config {
  const overlaySearch = readOverlaySearch(overlay);
  return Object.keys(overlaySearch).length > 0 ? { overlaySearch } : {};
}

function portsOf({ port }: RawTls = {}, { ws, wss }: RawWebSocket = {}): PortChoices {
  return {
    ...(port !== undefined && { TLS: port }),
    ...(ws !== undefined && { WS: ws }),
    ...(wss !== undefined && { WSS: wss }),
  };
}

function readAccount(account: RawAccount): AccountSettings {
  const { address, password, user, server, expires, presence } = account;
  const aor = readSipUri(address);
  return {
    aor,
    password,
    user: user ?? aor.user ?? '',
    ...(server !== undefined && { server: readSipUri(server) }),
    ...(expires !== undefined && { expires }),
    ...(presence !== undefined && { presence }),
  };
}

/** With or without the `sip:` before it. Throws SipSyntaxError. */
function readSipUri(text: string): SipUri {
  const uri = parseUri(/^sips?:/i.test(text) ? text : `sip:${text}`);
  if (!isSipUri(uri)) throw new SipSyntaxError('BAD_URI', 'expected a SIP address');
  return uri;
}

function isSipUriText(text: string, wantsUser: boolean): boolean {
  try {
    return (readSipUri(text).user !== undefined) === wantsUser;
  } catch {
    return false;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = errorCode(error) === 'ENOENT' ? 'there is no such file' : asError(error).message;
    throw new CodedError('BAD_CONFIG', `${path}: ${reason}`, { cause: error });
  }
}

function parseConfig(text: string, path: string): ConfigSource & { readonly value: RawConfig } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const source = { path, lines, document };
  const syntax = document.errors.map(({ pos, message }) => ({ offset: pos[0], message }));
  // What follows a slip of the pen would be reported too, and mislead.
  if (syntax.length > 0) throw badConfig(source, syntax);

  const value: unknown = document.toJS() ?? {};
  const validate = newValidator();
  const valid = validate(value);
  const mistakes = valid
    ? repeatedUsers(document, value)
    : (validate.errors ?? []).map(error => mistakeOf(document, error));
  if (valid && mistakes.length === 0) return { ...source, value };
  throw badConfig(
    source,
    mistakes.sort((a, b) => a.offset - b.offset),
  );
}

function newValidator() {
  const ajv = new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true });
  ajv.addFormat('phone-name', isPhoneName);
  ajv.addFormat('endpoint', isEndpoint);
  ajv.addFormat('sip-address', text => isSipUriText(text, true));
  ajv.addFormat('sip-host', text => isSipUriText(text, false));
  ajv.addFormat('bootstrap', isBootstrap);
  ajv.addFormat('domain', isDomain);
  ajv.addFormat('dns-server', isDnsServer);
  ajv.addFormat('tsig-secret', isTsigSecret);
  return ajv.compile<RawConfig>(schema);
}

function isEndpoint(text: string): boolean {
  try {
    parseEndpoint(text, DEFAULT_LISTEN);
    return true;
  } catch {
    return false;
  }
}

function mistakeOf(document: Document, error: ErrorObject): Mistake {
  const path = error.instancePath.split('/').slice(1);
  if (error.keyword === 'additionalProperties') {
    const key: string = error.params.additionalProperty;
    const known = Object.keys(error.parentSchema?.properties);
    const near = nearest(key, known);
    const hint = near ? `did you mean "${near}"?` : `expected one of ${known.join(', ')}`;
    const message = `${[...path, key].join('.')}: unknown setting; ${hint}`;
    return { offset: keyOffset(document, path, key), message };
  }
  if (error.keyword === 'dependencies') {
    const { property, missingProperty } = error.params;
    const message = `${[...path, property].join('.')}: expected ${missingProperty} beside it, found none`;
    return { offset: keyOffset(document, path, property), message };
  }
  const found = ['password', 'secret'].includes(path.at(-1) ?? '')
    ? describeSecret(error.data)
    : describe(error.data);
  const expected = error.parentSchema?.title ?? `one of ${error.parentSchema?.enum?.join(', ')}`;
  const message = `expected ${expected}, found ${found}`;
  return {
    offset: valueOffset(document, path),
    message: path.length === 0 ? message : `${path.join('.')}: ${message}`,
  };
}

/** Two users of one name could not be told apart: case does not matter in them. */
function repeatedUsers(document: Document, { users = [] }: RawConfig): Mistake[] {
  const names = users.map(({ name }) => name.toLowerCase());
  return names.flatMap((name, index) => {
    if (names.indexOf(name) === index) return [];
    const path = ['users', String(index), 'name'];
    const message = `${path.join('.')}: expected a name of its own, found "${name}" twice`;
    return [{ offset: valueOffset(document, path), message }];
  });
}

function keyOffset(document: Document, path: readonly string[], key: string): number {
  const map = document.getIn(path, true);
  const pair = isMap(map)
    ? map.items.find(item => isScalar(item.key) && String(item.key.value) === key)
    : undefined;
  return isPair(pair) && isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0;
}

function valueOffset(document: Document, path: readonly string[]): number {
  const node = document.getIn(path, true);
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a group of settings';
  return typeof value === 'string' ? JSON.stringify(value) : `the ${typeof value} ${value}`;
}

/** Errors end up in logs, and passwords must not. */
function describeSecret(value: unknown): string {
  if (typeof value === 'string') return `one of ${value.length}`;
  return typeof value === 'number' ? 'a number (put it in quotes)' : `a ${typeof value}`;
}

function badConfig(
  { path, lines }: ConfigSource,
  mistakes: readonly Mistake[],
  remedy?: string,
): CodedError {
  const told = mistakes.map(({ offset, message }) => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}: ${message}`;
  });
  return new CodedError('BAD_CONFIG', told.join('\n'), remedy === undefined ? {} : { remedy });
}
