/** Header fields that list tokens, each on one line, possibly none (RFC 3261 §20.5, §20.37, …). */
import { headerField } from '../field.js';

function tokenList(name: string) {
  return headerField<string>({
    name,
    list: true,
    inline: true,
    read: cursor => cursor.takeToken(),
    format: value => value,
  });
}

export const Allow = tokenList('Allow');
export const Supported = tokenList('Supported');
export const Require = tokenList('Require');
export const ProxyRequire = tokenList('Proxy-Require');
export const Unsupported = tokenList('Unsupported');
export const AllowEvents = tokenList('Allow-Events');
export const ContentEncoding = tokenList('Content-Encoding');
