/** Via: the way a request came and its responses go (RFC 3261 §20.42). */

import { SPACE_CODE } from '../chars.js';
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
  const transport = readTransport(cursor);
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

/** In upper case, as nearly all are written. */
function readTransport(cursor: Cursor): string {
  const { text, pos } = cursor;
  if (
    text.charCodeAt(pos + 3) === SPACE_CODE &&
    text.charCodeAt(pos) === 0x55 &&
    text.charCodeAt(pos + 1) === 0x44 &&
    text.charCodeAt(pos + 2) === 0x50
  ) {
    cursor.pos = pos + 3;
    return 'UDP';
  }
  const transport = cursor.takeToken('a transport');
  const usual = transport === 'UDP' || transport === 'TCP' || transport === 'TLS';
  return usual ? transport : transport.toUpperCase();
}

/** Name and version, with the slash after them; undefined for `SIP/2.0`. */
function readProtocol(cursor: Cursor): string | undefined {
  if (startsWithUsual(cursor.text, cursor.pos)) {
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

/** Unit by unit: a call of `startsWith` costs several times as much. */
function startsWithUsual(text: string, start: number): boolean {
  return (
    text.charCodeAt(start) === 0x53 &&
    text.charCodeAt(start + 1) === 0x49 &&
    text.charCodeAt(start + 2) === 0x50 &&
    text.charCodeAt(start + 3) === SLASH &&
    text.charCodeAt(start + 4) === 0x32 &&
    text.charCodeAt(start + 5) === 0x2e &&
    text.charCodeAt(start + 6) === 0x30 &&
    text.charCodeAt(start + 7) === SLASH
  );
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
