/**
 * Buffers for packets that go out: a socket reads a packet only after the tick, in which a leg may send two. A packet
 * is a view of exact length; views are kept, so that nothing is allocated once each length has occurred.
 */
const BUFFERS = 2;

export class PacketBuffers {
  readonly #buffers: readonly Uint8Array[];
  readonly #views: (Uint8Array | undefined)[][];
  #last = 0;

  /** @param maxOctets of the longest packet */
  constructor(maxOctets: number) {
    this.#buffers = Array.from({ length: BUFFERS }, () => new Uint8Array(maxOctets));
    this.#views = this.#buffers.map(() => new Array<Uint8Array | undefined>(maxOctets + 1));
  }

  /** To be filled; its predecessor is left alone. */
  next(octets: number): Uint8Array {
    this.#last = (this.#last + 1) % BUFFERS;
    const views = this.#views[this.#last]!;
    let view = views[octets];
    if (!view) {
      view = this.#buffers[this.#last]!.subarray(0, octets);
      views[octets] = view;
    }
    return view;
  }
}
