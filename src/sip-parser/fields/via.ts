/** Via: the way a request came and its responses go (RFC 3261 §20.42). */

import type { Cursor } from '../cursor.js';
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import { endOfHost, hostAt, writeHost } from '../host.js';
import type { Params } from '../params.js';

export interface ViaValue {
  /** Name and version; absent for `SIP/2.0`. */
  readonly protocol?: string | undefined;
  /** Upper case: `UDP`, `TCP`, … */
  readonly transport: string;
  /** The sent-by host; IPv6 without brackets. */
  readonly host: string;
  readonly port?: number | undefined;
  /** `branch`, `received`, `rport`, … */
  readonly params: Params;
}

const SLASH = 0x2f;
const COLON = 0x3a;
const HIGHEST_PORT = 65535;
const USUAL_PROTOCOL = 'SIP/2.0';

function readVia(cursor: Cursor): ViaValue {
  const protocol = readProtocol(cursor);
  const transport = upperCase(cursor.takeToken('a transport'));
  cursor.expectSpace();
  const start = cursor.pos;
  const end = endOfHost(cursor.text, start, cursor.end);
  if (end <= start) throw cursor.unexpected('a host');
  cursor.pos = end;
  const host = hostAt(cursor.text, start, end);
  const port = cursor.skipSeparator(COLON) ? cursor.takeNumber('a port', HIGHEST_PORT) : undefined;
  return {
    protocol,
    transport,
    host,
    port,
    params: readFieldParams(cursor),
  };
}

/** Nearly all are one of three, and in upper case already. */
function upperCase(transport: string): string {
  const usual = transport === 'UDP' || transport === 'TCP' || transport === 'TLS';
  return usual ? transport : transport.toUpperCase();
}

/** Name and version, with the slash after them; undefined for `SIP/2.0`. */
function readProtocol(cursor: Cursor): string | undefined {
  if (cursor.text.startsWith('SIP/2.0/', cursor.pos)) {
    cursor.pos += USUAL_PROTOCOL.length + 1;
    return undefined;
  }
  const name = cursor.takeToken('a protocol name');
  if (!cursor.skipSeparator(SLASH)) throw cursor.unexpected('"/"');
  const version = cursor.takeToken('a protocol version');
  if (!cursor.skipSeparator(SLASH)) throw cursor.unexpected('"/"');
  const protocol = `${name}/${version}`;
  return protocol.toUpperCase() === USUAL_PROTOCOL ? undefined : protocol;
}

export const Via = headerField<ViaValue>({
  name: 'Via',
  list: true,
  read: readVia,
  format({ protocol = USUAL_PROTOCOL, transport, host, port, params }) {
    const literal = writeHost(host);
    const sentBy = port === undefined ? literal : `${literal}:${port}`;
    return `${protocol}/${transport} ${sentBy}${writeFieldParams(params)}`;
  },
});
