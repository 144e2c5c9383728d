/** From octets to messages (RFC 2608 §8, §10). */
import { ByteReader } from './byte-reader.js';
import { ErrorCode, SLP_VERSION } from './constants.js';
import { SlpError } from './errors.js';
import { DEFAULT_LIMITS, type SlpLimits } from './limits.js';
import {
  type AuthenticationBlock,
  type Extension,
  FUNCTION_ID,
  type MessageHeader,
  type MessageKind,
  type SlpMessage,
  type UrlEntry,
} from './message.js';
import { splitList, unescapeText } from './strings.js';

/** Octets up to the language tag. */
export const HEADER_OCTETS = 14;
const EXTENSION_HEADER_OCTETS = 5; // §9.1
const AUTHENTICATION_HEADER_OCTETS = 10; // §9.2
export const ALL_AUTHORITIES = 0xffff; // §10.1
const LANGUAGE_TAG = /^[a-z]{1,8}(-[a-z0-9]{1,8})*$/i; // §8

const KINDS = new Map(
  Object.entries(FUNCTION_ID).map(([kind, id]) => [id, kind as MessageKind] as const),
);

export interface DecodedHeader extends MessageHeader {
  readonly kind: MessageKind;
  /** Of the whole message. */
  readonly length: number;
  readonly overflow: boolean;
  readonly fresh: boolean;
  readonly multicast: boolean;
}

/** What the first octets of a stream say of the length of the message they begin; undefined: not enough of them. */
export function messageLength(data: Uint8Array): number | undefined {
  return data.length < 5 ? undefined : new ByteReader(data, 2).number(3, 'Length');
}

/**
 * The header alone: enough to tell the sender what is wrong with the rest.
 *
 * @throws {SlpError}
 */
export function decodeHeader(data: Uint8Array): DecodedHeader {
  return readHeader(new ByteReader(data), DEFAULT_LIMITS).header;
}

/**
 * One message: a whole datagram, or what `messageLength` says of a stream. Of a message with the flag OVERFLOW,
 * what is there of its URL entries. The octets may be used again afterwards.
 *
 * @throws {SlpError}
 */
export function decode(data: Uint8Array, limits: SlpLimits = DEFAULT_LIMITS): SlpMessage {
  const reader = new ByteReader(data);
  const { header, firstExtension } = readHeader(reader, limits);
  const { kind, length, ...shared } = header;
  if (length > data.length && !header.overflow) {
    const message = `expected ${length} octets, found ${data.length}`;
    throw new SlpError('TRUNCATED', 'Length', 2, message);
  }
  const end = Math.min(length, data.length);
  const bodyEnd = firstExtension === 0 ? end : Math.min(firstExtension, end);
  const body = new Body(new ByteReader(data, reader.offset, bodyEnd), limits, header.overflow);
  const extensions = readExtensions(data, firstExtension, reader.offset, end, limits);
  return { ...shared, extensions, ...readBody(kind, body) } as SlpMessage;
}

function readHeader(
  reader: ByteReader,
  limits: SlpLimits,
): { header: DecodedHeader; firstExtension: number } {
  const version = reader.number(1, 'Version');
  if (version !== SLP_VERSION) {
    const message = `expected ${SLP_VERSION}, found ${version}`;
    throw new SlpError('BAD_VERSION', 'Version', 0, message, ErrorCode.VER_NOT_SUPPORTED);
  }
  const functionId = reader.number(1, 'Function-ID');
  const kind = KINDS.get(functionId);
  if (kind === undefined) {
    const message = `expected 1 to 11, found ${functionId}`;
    const status = ErrorCode.MSG_NOT_SUPPORTED;
    throw new SlpError('UNKNOWN_FUNCTION', 'Function-ID', 1, message, status);
  }
  const length = reader.number(3, 'Length');
  if (length < HEADER_OCTETS) {
    const message = `expected at least ${HEADER_OCTETS} octets, found ${length}`;
    throw new SlpError('BAD_LENGTH', 'Length', 2, message);
  }
  if (length > limits.messageBytes) {
    const message = `expected up to ${limits.messageBytes} octets, found ${length}`;
    throw new SlpError('TOO_LARGE', 'Length', 2, message);
  }
  const flags = reader.number(2, 'flags');
  const firstExtension = reader.number(3, 'Next Extension Offset');
  const xid = reader.number(2, 'XID');
  const languageAt = reader.offset + 2;
  const language = reader.text('Language Tag');
  if (!LANGUAGE_TAG.test(language)) {
    const message = `expected a language tag, found "${language}"`;
    throw new SlpError('BAD_VALUE', 'Language Tag', languageAt, message);
  }
  const header: DecodedHeader = {
    kind,
    length,
    xid,
    language,
    overflow: (flags & 0x8000) !== 0,
    fresh: (flags & 0x4000) !== 0,
    multicast: (flags & 0x2000) !== 0,
  };
  return { header, firstExtension };
}

function readExtensions(
  data: Uint8Array,
  first: number,
  bodyAt: number,
  end: number,
  limits: SlpLimits,
): Extension[] {
  const extensions: Extension[] = [];
  let at = first;
  let earliest = bodyAt;
  while (at !== 0) {
    const field = 'Next Extension Offset';
    // Strictly onward, so that no chain is a circle.
    if (at < earliest || at + EXTENSION_HEADER_OCTETS > end) {
      const message = `expected an offset from ${earliest} to ${end - EXTENSION_HEADER_OCTETS}, found ${at}`;
      throw new SlpError('BAD_EXTENSION', field, at, message);
    }
    if (extensions.length === limits.extensions) {
      const message = `expected up to ${limits.extensions} extensions, found more`;
      throw new SlpError('TOO_LARGE', field, at, message);
    }
    const reader = new ByteReader(data, at, end);
    const id = reader.number(2, 'Extension ID');
    const next = reader.number(3, field);
    earliest = reader.offset;
    if (next !== 0 && (next < earliest || next > end)) {
      const message = `expected an offset from ${earliest} to ${end}, found ${next}`;
      throw new SlpError('BAD_EXTENSION', field, at + 2, message);
    }
    const octets = (next === 0 ? end : next) - reader.offset;
    extensions.push({ id, data: reader.copy(octets, 'Extension Data') });
    at = next;
  }
  return extensions;
}

/** The pieces bodies are made of. */
class Body {
  readonly #reader: ByteReader;
  readonly #limits: SlpLimits;
  readonly #overflow: boolean;

  constructor(reader: ByteReader, limits: SlpLimits, overflow: boolean) {
    this.#reader = reader;
    this.#limits = limits;
    this.#overflow = overflow;
  }

  number(octets: 1 | 2 | 4, field: string): number {
    return this.#reader.number(octets, field);
  }

  text(field: string): string {
    return this.#reader.text(field);
  }

  required(field: string): string {
    const text = this.text(field);
    if (text !== '') return text;
    throw new SlpError('BAD_VALUE', field, this.#reader.offset, 'expected a value, found none');
  }

  /** A list whose items are escaped. */
  list(field: string): string[] {
    const at = this.#reader.offset + 2;
    return this.rawList(field).map(item => unescapeText(item, field, at));
  }

  /** A list whose items keep their escapes, since `*` and `\2a` differ in them. */
  rawList(field: string): string[] {
    return splitList(this.text(field), field, this.#limits.listItems);
  }

  namingAuthority(): string | undefined {
    const field = 'Naming Authority';
    const octets = this.number(2, `length of ${field}`);
    return octets === ALL_AUTHORITIES ? undefined : this.#reader.textOf(octets, field);
  }

  urlEntry(field: string): UrlEntry {
    this.number(1, `Reserved of ${field}`);
    const lifetime = this.number(2, `Lifetime of ${field}`);
    const url = this.required(`URL of ${field}`);
    return { lifetime, url, authentication: this.authentication(`URL auths of ${field}`) };
  }

  urlEntries(): UrlEntry[] {
    const at = this.#reader.offset;
    const count = this.number(2, 'URL Entry count');
    if (count > this.#limits.urlEntries) {
      const message = `expected up to ${this.#limits.urlEntries}, found ${count}`;
      throw new SlpError('TOO_LARGE', 'URL Entry count', at, message);
    }
    const entries: UrlEntry[] = [];
    try {
      for (let i = 1; i <= count; i++) entries.push(this.urlEntry(`URL Entry ${i}`));
    } catch (error) {
      if (!(this.#overflow && error instanceof SlpError && error.code === 'TRUNCATED')) throw error;
    }
    return entries;
  }

  authentication(field: string): AuthenticationBlock[] {
    const at = this.#reader.offset;
    const count = this.number(1, `# of ${field}`);
    if (count > this.#limits.authenticationBlocks) {
      const message = `expected up to ${this.#limits.authenticationBlocks}, found ${count}`;
      throw new SlpError('TOO_LARGE', `# of ${field}`, at, message);
    }
    const blocks: AuthenticationBlock[] = [];
    for (let i = 0; i < count; i++) blocks.push(this.#authenticationBlock(field));
    return blocks;
  }

  /** What follows a non-zero error code may be missing (§7). */
  unlessFailed<T>(error: number, read: () => T, otherwise: T): T {
    return error !== ErrorCode.NONE && this.#reader.left === 0 ? otherwise : read();
  }

  #authenticationBlock(field: string): AuthenticationBlock {
    const descriptor = this.number(2, `Block Structure Descriptor in ${field}`);
    const lengthAt = this.#reader.offset;
    const length = this.number(2, `Authentication Block Length in ${field}`);
    const timestamp = this.number(4, `Timestamp in ${field}`);
    const spi = this.text(`SPI in ${field}`);
    const octets = length - (this.#reader.offset - lengthAt + 2);
    if (octets < 0) {
      const message = `expected at least ${AUTHENTICATION_HEADER_OCTETS} octets and the SPI, found ${length}`;
      throw new SlpError(
        'BAD_LENGTH',
        `Authentication Block Length in ${field}`,
        lengthAt,
        message,
      );
    }
    const data = this.#reader.copy(octets, `Structured Authentication Block in ${field}`);
    return { descriptor, timestamp, spi, data };
  }
}

type BodyOf<M> = M extends SlpMessage ? Omit<M, keyof MessageHeader> : never;

function readBody(kind: MessageKind, body: Body): BodyOf<SlpMessage> {
  switch (kind) {
    case 'SrvRqst':
      return {
        kind,
        previousResponders: body.list('PRList'),
        serviceType: body.required('service-type'),
        scopes: body.list('scope-list'),
        predicate: body.text('predicate'),
        spi: body.text('SLP SPI'),
      };
    case 'SrvRply': {
      const error = body.number(2, 'Error Code');
      return { kind, error, urls: body.unlessFailed(error, () => body.urlEntries(), []) };
    }
    case 'SrvReg':
      return {
        kind,
        url: body.urlEntry('URL-Entry'),
        serviceType: body.required('service-type'),
        scopes: body.list('scope-list'),
        attributes: body.text('attr-list'),
        authentication: body.authentication('AttrAuths'),
      };
    case 'SrvDeReg':
      return {
        kind,
        scopes: body.list('scope-list'),
        url: body.urlEntry('URL Entry'),
        tags: body.rawList('tag-list'),
      };
    case 'SrvAck':
      return { kind, error: body.number(2, 'Error Code') };
    case 'AttrRqst':
      return {
        kind,
        previousResponders: body.list('PRList'),
        url: body.required('URL'),
        scopes: body.list('scope-list'),
        tags: body.rawList('tag-list'),
        spi: body.text('SLP SPI'),
      };
    case 'AttrRply': {
      const error = body.number(2, 'Error Code');
      const attributes = body.unlessFailed(error, () => body.text('attr-list'), '');
      const read = () => body.authentication('AttrAuths');
      return { kind, error, attributes, authentication: body.unlessFailed(error, read, []) };
    }
    case 'DAAdvert': {
      const error = body.number(2, 'Error Code');
      const missing = {
        kind,
        error,
        ...{ bootTimestamp: 0, url: '', scopes: [], attributes: '', spis: [], authentication: [] },
      } as const;
      return body.unlessFailed<BodyOf<SlpMessage>>(
        error,
        () => ({
          kind,
          error,
          bootTimestamp: body.number(4, 'DA Stateless Boot Timestamp'),
          url: body.text('URL'),
          scopes: body.list('scope-list'),
          attributes: body.text('attr-list'),
          spis: body.list('SLP SPI List'),
          authentication: body.authentication('Auth Blocks'),
        }),
        missing,
      );
    }
    case 'SrvTypeRqst':
      return {
        kind,
        previousResponders: body.list('PRList'),
        namingAuthority: body.namingAuthority(),
        scopes: body.list('scope-list'),
      };
    case 'SrvTypeRply': {
      const error = body.number(2, 'Error Code');
      return {
        kind,
        error,
        serviceTypes: body.unlessFailed(error, () => body.list('srvtype-list'), []),
      };
    }
    case 'SAAdvert':
      return {
        kind,
        url: body.required('URL'),
        scopes: body.list('scope-list'),
        attributes: body.text('attr-list'),
        authentication: body.authentication('auth blocks'),
      };
  }
}
