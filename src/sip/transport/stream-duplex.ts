/** A connection of ours as a Node stream, for libraries that want one. */
import { Duplex } from 'node:stream';
import type { StreamConnection } from '../../core/network.js';

export class StreamDuplex extends Duplex {
  /** Told of each arrival before its octets are read. */
  onArrival: (octets: number) => void = () => undefined;
  readonly #stream: StreamConnection;
  /** To be called when the connection has taken what was written, or is closed. */
  #written: (() => void) | undefined;
  #ended: (() => void) | undefined;
  #open = true;

  constructor(stream: StreamConnection) {
    super({ allowHalfOpen: false });
    this.#stream = stream;
    stream.onDrain = () => this.#release();
    stream.onClose = error => this.#closed(error);
  }

  /** The reader gets what comes as it comes, and bounds it itself. */
  override _read(): void {
    this.#stream.onData = this.#receive;
  }

  override _write(data: Uint8Array, _encoding: string, done: () => void): void {
    if (!this.#open || this.#stream.write(data)) done();
    else this.#written = done;
  }

  /** Done when all is sent, so that nobody destroys a farewell under way. */
  override _final(done: () => void): void {
    if (!this.#open) {
      done();
      return;
    }
    this.#ended = done;
    this.#stream.end();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.destroy();
    this.#release();
    done(error);
  }

  readonly #receive = (data: Uint8Array) => {
    this.onArrival(data.length);
    this.push(Buffer.from(data));
  };

  #closed(error?: Error): void {
    this.#open = false;
    this.#release();
    if (error) this.destroy(error);
    else this.push(null);
  }

  #release(): void {
    const [written, ended] = [this.#written, this.#ended];
    this.#written = undefined;
    written?.();
    if (!this.writableEnded) return;
    this.#ended = undefined;
    ended?.();
  }
}
