/** The little of STUN (RFC 8489) that keeps a flow of datagrams alive: Binding, without attributes of trust. */
import { isIPv4 } from 'node:net';
import { withoutZone } from '../../core/endpoint.js';
import type { Endpoint } from '../../core/network.js';

const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const MAGIC_COOKIE = 0x2112a442; // RFC 8489 §5
const HEADER_OCTETS = 20;
export const TRANSACTION_ID_OCTETS = 12;
const XOR_MAPPED_ADDRESS = 0x0020;
const FAMILY_IPV4 = 0x01;
const FAMILY_IPV6 = 0x02;

export type StunMessage =
  | { readonly type: 'request'; readonly id: Uint8Array }
  /** `mapped`: where the request came from, as the other side saw it. */
  | { readonly type: 'response'; readonly id: Uint8Array; readonly mapped: Endpoint };

/** Whether a datagram cannot be SIP, which begins with a letter (RFC 5764 §5.1.2). */
export function isStun(data: Uint8Array): boolean {
  return data.length >= HEADER_OCTETS && data[0] !== undefined && data[0] <= 3;
}

/** Undefined for what is no Binding, and for a response that does not say where we are. */
export function readStun(data: Uint8Array): StunMessage | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint32(4) !== MAGIC_COOKIE) return undefined;
  if (view.getUint16(2) !== data.length - HEADER_OCTETS) return undefined;
  const id = data.slice(8, HEADER_OCTETS);
  const type = view.getUint16(0);
  if (type === BINDING_REQUEST) return { type: 'request', id };
  if (type !== BINDING_SUCCESS) return undefined;
  for (let at = HEADER_OCTETS; at + 4 <= data.length; ) {
    const octets = view.getUint16(at + 2);
    if (at + 4 + octets > data.length) return undefined;
    if (view.getUint16(at) === XOR_MAPPED_ADDRESS) {
      const mapped = readAddress(data.subarray(at + 4, at + 4 + octets), data);
      return mapped && { type: 'response', id, mapped };
    }
    at += 4 + octets + (-octets & 3);
  }
  return undefined;
}

export function bindingRequest(id: Uint8Array): Uint8Array {
  return message(BINDING_REQUEST, id, new Uint8Array(0));
}

export function bindingResponse(id: Uint8Array, { address, port }: Endpoint): Uint8Array {
  const octets = octetsOf(withoutZone(address));
  const attribute = new Uint8Array(8 + octets.length);
  const view = new DataView(attribute.buffer);
  view.setUint16(0, XOR_MAPPED_ADDRESS);
  view.setUint16(2, 4 + octets.length);
  view.setUint8(5, octets.length === 4 ? FAMILY_IPV4 : FAMILY_IPV6);
  view.setUint16(6, port ^ (MAGIC_COOKIE >>> 16));
  const response = message(BINDING_SUCCESS, id, attribute);
  response.set(masked(octets, response), HEADER_OCTETS + 8);
  return response;
}

function message(type: number, id: Uint8Array, attributes: Uint8Array): Uint8Array {
  const octets = new Uint8Array(HEADER_OCTETS + attributes.length);
  const view = new DataView(octets.buffer);
  view.setUint16(0, type);
  view.setUint16(2, attributes.length);
  view.setUint32(4, MAGIC_COOKIE);
  octets.set(id, 8);
  octets.set(attributes, HEADER_OCTETS);
  return octets;
}

/** RFC 8489 §14.2: address and port are hidden from NATs that change what looks like an address. */
function readAddress(value: Uint8Array, whole: Uint8Array): Endpoint | undefined {
  const wanted = value[1] === FAMILY_IPV4 ? 4 : value[1] === FAMILY_IPV6 ? 16 : 0;
  if (wanted === 0 || value.length !== 4 + wanted) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const port = view.getUint16(2) ^ (MAGIC_COOKIE >>> 16);
  return { address: textOf(masked(value.subarray(4), whole)), port };
}

/** With cookie and transaction ID, which stand in the header. */
function masked(octets: Uint8Array, whole: Uint8Array): Uint8Array {
  return octets.map((octet, index) => octet ^ (whole[4 + index] ?? 0));
}

function octetsOf(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number);
  const embedded = /(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = (high: string | undefined, low: string | undefined) =>
    (Number(high) * 256 + Number(low)).toString(16);
  const text = embedded
    ? `${embedded[1]}${hex(embedded[2], embedded[3])}:${hex(embedded[4], embedded[5])}`
    : address;
  const [head = '', tail] = text.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return Uint8Array.from(
    [...first, ...zeros, ...last].flatMap(group => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}

/** As `node:net` writes addresses, but without shortening zeros. */
function textOf(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  const groups: string[] = [];
  for (let at = 0; at < octets.length; at += 2) {
    groups.push((((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16));
  }
  return groups.join(':');
}
