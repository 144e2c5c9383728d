/**
 * Challenges and credentials (RFC 3261 §20.7, §20.44; RFC 7616 §3.3-3.5; RFC 8760). The commas in
 * them stand between parameters: each value has a line of its own, and a message may have several.
 */
import type { Cursor } from '../cursor.js';
import { headerField } from '../field.js';
import { readParam, receivedParams, writeParamValue } from '../field-params.js';
import { Params, type ParamsDialect } from '../params.js';

export interface AuthenticationValue {
  /** As written, nearly always `Digest`. */
  readonly scheme: string;
  /** What some schemes (`Bearer`, RFC 8898) carry instead of parameters. */
  readonly token?: string | undefined;
  /** Without quotes: `realm`, `nonce`, … */
  readonly params: Params;
}

const COMMA = 0x2c;
const TOKEN68 = /^[\w.~+/-]+=*[ \t]*$/; // RFC 9110 §11.2

/** What is not named here is written bare where the grammar allows it: `algorithm`, `stale`, `nc`, … */
const challengeParams = commaParams(['realm', 'domain', 'nonce', 'opaque', 'qop']);
const credentialParams = commaParams([
  'username',
  'realm',
  'nonce',
  'uri',
  'response',
  'cnonce',
  'opaque',
]);
const infoParams = commaParams(['nextnonce', 'rspauth', 'cnonce']);

function commaParams(quoted: readonly string[]): ParamsDialect {
  return {
    write(entries) {
      const written: string[] = [];
      for (let index = 0; index < entries.length; index += 2) {
        const name = entries[index]!;
        const value = writeParamValue(entries[index + 1]!, quoted.includes(name.toLowerCase()));
        written.push(`${name}=${value}`);
      }
      return written.join(', ');
    },
  };
}

/** `auth-param *( COMMA auth-param )` */
function readCommaParams(cursor: Cursor, dialect: ParamsDialect): Params {
  const start = cursor.pos;
  const spans: number[] = [];
  do {
    readParam(cursor, spans, true);
  } while (cursor.skipSeparator(COMMA));
  return receivedParams(cursor, start, dialect, spans);
}

function authenticationField(name: string, dialect: ParamsDialect) {
  return headerField<AuthenticationValue>({
    name,
    read(cursor) {
      const scheme = cursor.takeToken('an authentication scheme');
      cursor.expectSpace();
      const rest = cursor.text.slice(cursor.pos, cursor.end);
      if (scheme.toLowerCase() !== 'digest' && TOKEN68.test(rest)) {
        return { scheme, token: cursor.takeRest(), params: new Params() };
      }
      return { scheme, token: undefined, params: readCommaParams(cursor, dialect) };
    },
    format: ({ scheme, token, params }) => `${scheme} ${token ?? params.write(dialect)}`,
  });
}

export const WwwAuthenticate = authenticationField('WWW-Authenticate', challengeParams);
export const ProxyAuthenticate = authenticationField('Proxy-Authenticate', challengeParams);
export const Authorization = authenticationField('Authorization', credentialParams);
export const ProxyAuthorization = authenticationField('Proxy-Authorization', credentialParams);

function infoField(name: string) {
  return headerField<Params>({
    name,
    read: cursor => readCommaParams(cursor, infoParams),
    format: params => params.write(infoParams),
  });
}

/** `nextnonce`, `qop`, `rspauth`, `cnonce`, `nc` */
export const AuthenticationInfo = infoField('Authentication-Info');
export const ProxyAuthenticationInfo = infoField('Proxy-Authentication-Info');
