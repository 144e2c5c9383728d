/** Messages out of a TCP stream (RFC 2608 §6.2): each says its own length. */
import { messageLength } from './decode.js';
import { SlpError } from './errors.js';
import { DEFAULT_LIMITS } from './limits.js';

export class MessageFramer {
  readonly #most: number;
  #held = new Uint8Array(0);

  constructor(mostOctets: number = DEFAULT_LIMITS.messageBytes) {
    this.#most = mostOctets;
  }

  /**
   * The messages that are whole now.
   *
   * @throws {SlpError} where there is nothing to hope for from this stream any more
   */
  push(data: Uint8Array): Uint8Array[] {
    const joined = new Uint8Array(this.#held.length + data.length);
    joined.set(this.#held);
    joined.set(data, this.#held.length);
    this.#held = joined;
    const messages: Uint8Array[] = [];
    for (;;) {
      const length = messageLength(this.#held);
      if (length === undefined) return messages;
      if (length < 5 || length > this.#most) {
        const message = `expected 5 to ${this.#most} octets, found ${length}`;
        throw new SlpError('BAD_LENGTH', 'Length', 2, message);
      }
      if (this.#held.length < length) return messages;
      messages.push(this.#held.subarray(0, length));
      this.#held = this.#held.subarray(length);
    }
  }
}
