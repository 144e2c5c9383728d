/**
 * What a phone is told: by the command line, else by its one config file, else by default.
 * The parts that read YAML are imported only where there is a file.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DEFAULT_CODECS } from '../calling/audio-codecs.js';
import { DEFAULT_COUNTRY } from '../calling/country-tones.js';
import { optionalListen } from './config-listen.js';
import {
  type Config,
  DEFAULT_LISTEN,
  defaultDataDirectory,
  defaultName,
  type Settings,
} from './config-settings.js';

/** Looked for in the data directory where no file is named. */
const CONFIG_FILE = 'ringline.yaml';

/**
 * Settings from the flags, else the file `path` (by default `ringline.yaml` in the data directory, if it is there),
 * else the defaults.
 *
 * @throws {CodedError} as `loadConfig`
 */
export async function loadSettings(flags: Config, path?: string): Promise<Settings> {
  const data = resolve(flags.data ?? defaultDataDirectory());
  const inData = join(data, CONFIG_FILE);
  const file = path ?? (existsSync(inData) ? inData : undefined);
  const config = file === undefined ? {} : await loadConfig(file);
  const listen = flags.listen ?? config.listen ?? DEFAULT_LISTEN;
  return {
    name: flags.name ?? config.name ?? defaultName(),
    listen,
    listenToo: optionalListen(listen, { ...config.ports, ...flags.ports }),
    tls: config.tls ?? {},
    ...(config.origins && { origins: config.origins }),
    data: resolve(flags.data ?? config.data ?? data),
    log: flags.log ?? config.log ?? 'warn',
    codecs: flags.codecs ?? config.codecs ?? DEFAULT_CODECS,
    country: flags.country ?? config.country ?? DEFAULT_COUNTRY,
    srtp: flags.srtp ?? config.srtp ?? 'auto',
    silence: flags.silence ?? config.silence ?? 'send',
    mediaThreads: config.mediaThreads ?? 1,
    accounts: config.accounts ?? [],
    users: config.users ?? [],
    overlayRole: flags.overlayRole ?? config.overlayRole ?? 'auto',
    overlaySearch: config.overlaySearch ?? {},
    watchers: config.watchers ?? 'anybody',
    ...(config.clickToDial !== undefined && { clickToDial: config.clickToDial }),
    ...(config.maxCalls !== undefined && { maxCalls: config.maxCalls }),
  };
}

/**
 * Reads a config file: YAML, checked against config.schema.json.
 *
 * @throws {CodedError} `BAD_CONFIG`: one line for each error, `FILE:LINE:COLUMN: KEY: expected …, found …`
 */
export async function loadConfig(path: string): Promise<Config> {
  const { readConfigFile } = await import('./config-file.js');
  return readConfigFile(path);
}
