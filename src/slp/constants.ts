/** Numbers of RFC 2608. Times are in ms. */

export const SLP_VERSION = 2; // §8
export const SLP_PORT = 427; // §6.1
export const SLP_GROUP = '239.255.255.253'; // §6.1
/** Octets of a datagram, without the headers below it. */
export const SLP_MTU = 1400; // §6.1
export const DEFAULT_SCOPE = 'DEFAULT'; // §6
export const DEFAULT_LANGUAGE = 'en';
/** The longest a URL entry can live, in s. */
export const LIFETIME_MAXIMUM_S = 0xffff; // §8.3

export const DIRECTORY_AGENT_TYPE = 'service:directory-agent'; // §8.1
export const SERVICE_AGENT_TYPE = 'service:service-agent'; // §8.1

// §13
export const CONFIG_MC_MAX_MS = 15_000;
export const CONFIG_START_WAIT_MS = 3000;
export const CONFIG_RETRY_MS = 2000;
export const CONFIG_RETRY_MAX_MS = 15_000;
export const CONFIG_DA_BEAT_MS = 3 * 3600 * 1000;
export const CONFIG_DA_FIND_MS = 900_000;
export const CONFIG_REG_MINIMUM_MS = 1000;
export const CONFIG_REG_MAXIMUM_MS = 3000;
export const CONFIG_CLOSE_CONN_MS = 300_000;

/** §7 */
export const ErrorCode = {
  NONE: 0,
  LANGUAGE_NOT_SUPPORTED: 1,
  PARSE_ERROR: 2,
  INVALID_REGISTRATION: 3,
  SCOPE_NOT_SUPPORTED: 4,
  AUTHENTICATION_UNKNOWN: 5,
  AUTHENTICATION_ABSENT: 6,
  AUTHENTICATION_FAILED: 7,
  VER_NOT_SUPPORTED: 9,
  INTERNAL_ERROR: 10,
  DA_BUSY_NOW: 11,
  OPTION_NOT_UNDERSTOOD: 12,
  INVALID_UPDATE: 13,
  MSG_NOT_SUPPORTED: 14,
  REFRESH_REJECTED: 15,
} as const;

/** `DA_BUSY_NOW (11)`; a number that has no name stays a number. */
export function errorName(code: number): string {
  const found = Object.entries(ErrorCode).find(([, value]) => value === code);
  return found ? `${found[0]} (${code})` : String(code);
}
