/** Header fields of tokens: lists, possibly empty and written on one line, and tokens with parameters. */
import type { Cursor } from '../cursor.js';
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';

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
export const ContentEncoding = tokenList('Content-Encoding');
export const ContentLanguage = tokenList('Content-Language');
/** RFC 6665 §8.2.2 */
export const AllowEvents = tokenList('Allow-Events');
/** `proxy`, `no-fork`, `parallel`, … (RFC 3841 §9.1) */
export const RequestDisposition = tokenList('Request-Disposition');

const SEMICOLON = 0x3b;

/** `id;critical`: one value of several tokens (RFC 3323 §4.2). */
export const Privacy = headerField<readonly string[]>({
  name: 'Privacy',
  read(cursor) {
    const values = [cursor.takeToken()];
    while (cursor.skipSeparator(SEMICOLON)) values.push(cursor.takeToken());
    return values;
  },
  format: values => values.join(';'),
});

export interface TokenWithParams {
  readonly token: string;
  readonly params: Params;
}

export function tokenWithParams(name: string, options: { list?: boolean; inline?: boolean } = {}) {
  return headerField<TokenWithParams>({
    name,
    ...options,
    read: (cursor: Cursor) => ({ token: cursor.takeToken(), params: readFieldParams(cursor) }),
    format: ({ token, params }) => token + writeFieldParams(params),
  });
}

/** An event package, perhaps with templates, and its `id` (RFC 6665 §8.2.1). */
export const Event = tokenWithParams('Event');
/** `active`, `pending` or `terminated`, with `expires`, `reason`, `retry-after` (RFC 6665 §8.2.3). */
export const SubscriptionState = tokenWithParams('Subscription-State');
