/** From messages to octets (RFC 2608 §8, §10). */
import { ByteWriter } from './byte-writer.js';
import { SLP_MTU, SLP_VERSION } from './constants.js';
import { ALL_AUTHORITIES } from './decode.js';
import { SlpError } from './errors.js';
import {
  type AuthenticationBlock,
  FUNCTION_ID,
  type MessageHeader,
  type SlpMessage,
  type UrlEntry,
} from './message.js';
import { escapeText } from './strings.js';

const LENGTH_AT = 2;
const EXTENSION_AT = 7;
const LONGEST_MESSAGE = 0xffffff; // §8: three octets of length

/** @throws {SlpError} where a field does not fit into its octets */
export function encode(message: SlpMessage): Uint8Array {
  const writer = new ByteWriter();
  writer.number(1, SLP_VERSION, 'Version');
  writer.number(1, FUNCTION_ID[message.kind], 'Function-ID');
  writer.number(3, 0, 'Length');
  writer.number(2, flags(message), 'flags');
  writer.number(3, 0, 'Next Extension Offset');
  writer.number(2, message.xid, 'XID');
  writer.text(message.language, 'Language Tag');
  writeBody(writer, message);
  writeExtensions(writer, message);
  if (writer.length > LONGEST_MESSAGE) {
    const text = `expected up to ${LONGEST_MESSAGE} octets, found ${writer.length}`;
    throw new SlpError('TOO_LARGE', 'Length', LENGTH_AT, text);
  }
  writer.patch(3, writer.length, LENGTH_AT);
  return writer.done();
}

/**
 * A reply for UDP: where it is longer than a datagram may be, as much of it as fits, with the flag OVERFLOW (§6.1).
 * URL entries are left out whole (§8.2); of other lists nothing is sent.
 */
export function encodeForDatagram(message: SlpMessage, mtu: number = SLP_MTU): Uint8Array {
  const whole = encode(message);
  if (whole.length <= mtu) return whole;
  const cut = { ...message, overflow: true, extensions: [] };
  switch (cut.kind) {
    case 'SrvRply':
      return largestFitting(cut.urls.length, mtu, count =>
        encode({ ...cut, urls: cut.urls.slice(0, count) }),
      );
    case 'AttrRply':
      return encode({ ...cut, attributes: '', authentication: [] });
    case 'SrvTypeRply':
      return largestFitting(cut.serviceTypes.length, mtu, count =>
        encode({ ...cut, serviceTypes: cut.serviceTypes.slice(0, count) }),
      );
    case 'DAAdvert':
    case 'SAAdvert':
      return encode({ ...cut, attributes: '' });
    case 'SrvAck':
    case 'SrvRqst':
    case 'SrvReg':
    case 'SrvDeReg':
    case 'AttrRqst':
    case 'SrvTypeRqst':
      return whole;
  }
}

/** The most items whose message is no longer than `mtu`. */
function largestFitting(
  items: number,
  mtu: number,
  encodeItems: (count: number) => Uint8Array,
): Uint8Array {
  let [fits, tooMany] = [0, items];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (encodeItems(middle).length <= mtu) fits = middle;
    else tooMany = middle;
  }
  return encodeItems(fits);
}

function flags({ overflow, fresh, multicast }: MessageHeader): number {
  return (overflow ? 0x8000 : 0) | (fresh ? 0x4000 : 0) | (multicast ? 0x2000 : 0);
}

function writeExtensions(writer: ByteWriter, { extensions = [] }: MessageHeader): void {
  let pointer = EXTENSION_AT;
  for (const { id, data } of extensions) {
    writer.patch(3, writer.length, pointer);
    writer.number(2, id, 'Extension ID');
    pointer = writer.length;
    writer.number(3, 0, 'Next Extension Offset');
    writer.bytes(data);
  }
}

function writeList(writer: ByteWriter, items: readonly string[], field: string): void {
  writer.text(items.map(item => escapeText(item, 'scope')).join(','), field);
}

function writeUrlEntry(writer: ByteWriter, { lifetime, url, authentication = [] }: UrlEntry): void {
  writer.number(1, 0, 'Reserved');
  writer.number(2, lifetime, 'Lifetime');
  writer.text(url, 'URL');
  writeAuthentication(writer, authentication);
}

function writeAuthentication(
  writer: ByteWriter,
  blocks: readonly AuthenticationBlock[] = [],
): void {
  writer.number(1, blocks.length, '# of auths');
  for (const { descriptor, timestamp, spi, data } of blocks) {
    const start = writer.length;
    writer.number(2, descriptor, 'Block Structure Descriptor');
    writer.number(2, 0, 'Authentication Block Length');
    writer.number(4, timestamp, 'Timestamp');
    writer.text(spi, 'SPI');
    writer.bytes(data);
    writer.patch(2, writer.length - start, start + 2);
  }
}

function writeBody(writer: ByteWriter, message: SlpMessage): void {
  switch (message.kind) {
    case 'SrvRqst':
      writeList(writer, message.previousResponders, 'PRList');
      writer.text(message.serviceType, 'service-type');
      writeList(writer, message.scopes, 'scope-list');
      writer.text(message.predicate, 'predicate');
      writer.text(message.spi, 'SLP SPI');
      return;
    case 'SrvRply':
      writer.number(2, message.error, 'Error Code');
      writer.number(2, message.urls.length, 'URL Entry count');
      for (const entry of message.urls) writeUrlEntry(writer, entry);
      return;
    case 'SrvReg':
      writeUrlEntry(writer, message.url);
      writer.text(message.serviceType, 'service-type');
      writeList(writer, message.scopes, 'scope-list');
      writer.text(message.attributes, 'attr-list');
      writeAuthentication(writer, message.authentication);
      return;
    case 'SrvDeReg':
      writeList(writer, message.scopes, 'scope-list');
      writeUrlEntry(writer, message.url);
      writer.text(message.tags.join(','), 'tag-list');
      return;
    case 'SrvAck':
      writer.number(2, message.error, 'Error Code');
      return;
    case 'AttrRqst':
      writeList(writer, message.previousResponders, 'PRList');
      writer.text(message.url, 'URL');
      writeList(writer, message.scopes, 'scope-list');
      writer.text(message.tags.join(','), 'tag-list');
      writer.text(message.spi, 'SLP SPI');
      return;
    case 'AttrRply':
      writer.number(2, message.error, 'Error Code');
      writer.text(message.attributes, 'attr-list');
      writeAuthentication(writer, message.authentication);
      return;
    case 'DAAdvert':
      writer.number(2, message.error, 'Error Code');
      writer.number(4, message.bootTimestamp, 'DA Stateless Boot Timestamp');
      writer.text(message.url, 'URL');
      writeList(writer, message.scopes, 'scope-list');
      writer.text(message.attributes, 'attr-list');
      writeList(writer, message.spis, 'SLP SPI List');
      writeAuthentication(writer, message.authentication);
      return;
    case 'SrvTypeRqst':
      writeList(writer, message.previousResponders, 'PRList');
      if (message.namingAuthority === undefined) {
        writer.number(2, ALL_AUTHORITIES, 'length of Naming Authority');
      } else writer.text(message.namingAuthority, 'Naming Authority');
      writeList(writer, message.scopes, 'scope-list');
      return;
    case 'SrvTypeRply':
      writer.number(2, message.error, 'Error Code');
      writeList(writer, message.serviceTypes, 'srvtype-list');
      return;
    case 'SAAdvert':
      writer.text(message.url, 'URL');
      writeList(writer, message.scopes, 'scope-list');
      writer.text(message.attributes, 'attr-list');
      writeAuthentication(writer, message.authentication);
      return;
  }
}
