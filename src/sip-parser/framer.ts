/** A stream of octets into whole messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1). */
import { SipSyntaxError } from './errors.js';
import { contentLengthOf, decodeOctets, endOfLine, readHeaderLines } from './head.js';
import { DEFAULT_LIMITS, type ParseLimits, tooLarge } from './limits.js';

export type FramerEvent =
  /** One message, for `parseMessage`; a copy that stays valid. */
  | { readonly type: 'message'; readonly data: Uint8Array }
  /** CRLF CRLF between messages: answer with one CRLF. */
  | { readonly type: 'ping' }
  /** CRLF between messages, where pongs are expected. */
  | { readonly type: 'pong' }
  /** The stream cannot be followed any further: close the connection. Nothing comes after it. */
  | { readonly type: 'error'; readonly error: SipSyntaxError };

export interface StreamFramerOptions extends Partial<ParseLimits> {
  /** `pong` at the end that opened the connection and sends pings; by default `ping`. */
  readonly keepAlive?: 'ping' | 'pong';
}

const CR = 0x0d;
const LF = 0x0a;
const LINE_END_OCTETS = 2;
const SMALLEST_BUFFER_OCTETS = 4096;
/** A buffer in which nothing waits is kept up to here. */
const LARGEST_IDLE_OCTETS = 65_536;

export class StreamFramer {
  readonly #limits: ParseLimits;
  readonly #keepAlive: 'ping' | 'pong';
  #buffer = new Uint8Array(SMALLEST_BUFFER_OCTETS);
  /** What has arrived and not been handed on stands in [start, end) of the buffer. */
  #start = 0;
  #end = 0;
  /** Octets after `start` in which no end of a head was found. */
  #searched = 0;
  /** Octets of the message at `start`, once its head is known. */
  #messageSize: number | undefined;
  #broken = false;

  constructor({ keepAlive = 'ping', ...limits }: StreamFramerOptions = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#keepAlive = keepAlive;
  }

  /** Takes the next octets of the stream, copying them; answers what became whole. Never throws. */
  push(chunk: Uint8Array): FramerEvent[] {
    const events: FramerEvent[] = [];
    if (this.#broken) return events;
    this.#append(chunk);
    try {
      for (let event = this.#next(); event !== undefined; event = this.#next()) events.push(event);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      this.#broken = true;
      this.#buffer = new Uint8Array(0);
      events.push({ type: 'error', error });
    }
    return events;
  }

  #next(): FramerEvent | undefined {
    if (this.#messageSize === undefined) {
      const keepAlive = this.#takeLineEnds();
      if (keepAlive) return keepAlive;
      this.#messageSize = this.#findMessageSize();
    }
    const size = this.#messageSize;
    if (size === undefined || this.#end - this.#start < size) return undefined;
    const data = this.#buffer.slice(this.#start, this.#start + size);
    this.#consume(size);
    this.#messageSize = undefined;
    return { type: 'message', data };
  }

  /** Consumes line ends before a start line (§7.5) up to the first keep-alive among them. */
  #takeLineEnds(): FramerEvent | undefined {
    if (this.#keepAlive === 'pong') {
      if (!this.#hasLineEnds(1)) return undefined;
      this.#consume(LINE_END_OCTETS);
      return { type: 'pong' };
    }
    if (this.#hasLineEnds(2)) {
      this.#consume(2 * LINE_END_OCTETS);
      return { type: 'ping' };
    }
    // A single line end counts as one only when something else than the rest of a ping follows.
    const next = this.#buffer[this.#start + LINE_END_OCTETS];
    const follows = this.#end - this.#start > LINE_END_OCTETS && next !== CR;
    if (follows && this.#hasLineEnds(1)) this.#consume(LINE_END_OCTETS);
    return undefined;
  }

  #hasLineEnds(count: number): boolean {
    if (this.#end - this.#start < count * LINE_END_OCTETS) return false;
    for (let index = 0; index < count * LINE_END_OCTETS; index++) {
      if (this.#buffer[this.#start + index] !== (index % 2 === 0 ? CR : LF)) return false;
    }
    return true;
  }

  #findMessageSize(): number | undefined {
    const { headerBytes, bodyBytes, headerCount } = this.#limits;
    const headSize = this.#findHeadSize();
    if ((headSize ?? this.#end - this.#start) > headerBytes) {
      throw tooLarge('head', headerBytes);
    }
    if (headSize === undefined) return undefined;
    const octets = this.#buffer.subarray(this.#start, this.#start + headSize - LINE_END_OCTETS);
    const head = decodeOctets(octets);
    const linesStart = endOfLine(head, 0) + LINE_END_OCTETS;
    const lines = readHeaderLines(head, linesStart, head.length, headerCount);
    const bodySize = contentLengthOf(lines);
    if (bodySize === undefined) {
      throw new SipSyntaxError(
        'MISSING_FIELD',
        'expected this header field on a stream, found none',
        {
          field: 'Content-Length',
        },
      );
    }
    if (bodySize > bodyBytes) throw tooLarge('body', bodyBytes);
    return headSize + bodySize;
  }

  /** Octets up to and with the first empty line; looks at each octet once. */
  #findHeadSize(): number | undefined {
    const arrived = this.#buffer.subarray(this.#start, this.#end);
    for (;;) {
      const lineFeed = arrived.indexOf(LF, this.#searched);
      if (lineFeed < 0) {
        this.#searched = arrived.length;
        return undefined;
      }
      this.#searched = lineFeed + 1;
      const ended = arrived[lineFeed - 1] === CR && arrived[lineFeed - 2] === LF;
      if (ended && arrived[lineFeed - 3] === CR) return lineFeed + 1;
    }
  }

  #consume(octets: number): void {
    this.#start += octets;
    this.#searched = 0;
    if (this.#start < this.#end) return;
    this.#start = 0;
    this.#end = 0;
    // Connections live long and are many: none keeps the room of its largest message.
    if (this.#buffer.length > LARGEST_IDLE_OCTETS) {
      this.#buffer = new Uint8Array(SMALLEST_BUFFER_OCTETS);
    }
  }

  #append(chunk: Uint8Array): void {
    const waiting = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const needed = waiting + chunk.length;
      // Doubling keeps the copying linear; a buffer much too large is given back.
      const roomy = this.#buffer.length >= needed * 2 && this.#buffer.length <= needed * 8;
      const target = roomy
        ? this.#buffer
        : new Uint8Array(Math.max(needed * 2, SMALLEST_BUFFER_OCTETS));
      target.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = target;
      this.#start = 0;
      this.#end = waiting;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }
}
