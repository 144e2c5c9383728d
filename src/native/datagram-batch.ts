/**
 * Voice sockets that are read and sent in batches, through the addon: one call a tick each way in place of one a packet.
 * What has come waits in the kernel, with the time at which it came, until `receive`; what is sent waits until `flush`.
 */
import { getSystemErrorName } from 'node:util';
import {
  type DatagramOptions,
  type DatagramSocket,
  DSCP,
  type Endpoint,
  type Network,
} from '../core/network.js';
import { bindFailure } from '../core/system-network.js';
import type { Native } from './index.js';

/** The layout of an entry, as in datagrams.c. */
const ENTRY_OCTETS = 2048;
const SLOT = 0;
const OCTETS = 1;
const FAMILIAR = 2;
const PORT = 3;
const AGE_MS_AT = 16;
const ADDRESS_AT = 24;
const DATA_AT = 96;
const DATA_MAX = ENTRY_OCTETS - DATA_AT;

const INBOX_ENTRIES = 64;
const OUTBOX_ENTRIES = 1024;
/** Views of packets up to this length are kept, so that the usual ones cost nothing. */
const KEPT_VIEW_OCTETS = 320;

/** Entries in one array, seen as numbers and octets. */
class Entries {
  readonly buffer: ArrayBuffer;
  readonly numbers: Int32Array;
  readonly times: Float64Array;
  readonly octets: Uint8Array;

  constructor(entries: number) {
    this.buffer = new ArrayBuffer(entries * ENTRY_OCTETS);
    this.numbers = new Int32Array(this.buffer);
    this.times = new Float64Array(this.buffer);
    this.octets = new Uint8Array(this.buffer);
  }
}

export class DatagramBatch implements Pick<Network, 'bindDatagram'> {
  readonly #native: Native;
  readonly #batch: object;
  readonly #inbox = new Entries(INBOX_ENTRIES);
  readonly #outbox = new Entries(OUTBOX_ENTRIES);
  readonly #views: (Uint8Array | undefined)[][] = Array.from({ length: INBOX_ENTRIES }, () => []);
  readonly #sockets: (BatchSocket | undefined)[] = [];
  #queued = 0;

  /** @throws {Error} with the system's `code` where no batch can be had */
  constructor(native: Native) {
    this.#native = native;
    const made = native.datagrams.createBatch(this.#inbox.buffer, this.#outbox.buffer);
    if (typeof made === 'number') throw new Error(getSystemErrorName(made));
    this.#batch = made;
  }

  /** Throws as `SystemNetwork.bindDatagram`. The port must be named. */
  async bindDatagram(options: DatagramOptions): Promise<DatagramSocket> {
    const { address, port, trafficClass } = options;
    let slot: number;
    try {
      const fd = this.#native.openMarkedUdpSocket(address, port, DSCP[trafficClass]);
      slot = this.#native.datagrams.add(this.#batch, fd);
      if (slot < 0) throw systemError(slot);
    } catch (error) {
      throw bindFailure(error, 'UDP', options);
    }
    const socket = new BatchSocket({ address, port }, slot, this);
    this.#sockets[slot] = socket;
    return socket;
  }

  /** Hands everything that has come to its socket; of one that is flooded a share (32) each time. */
  receive(): void {
    const { datagrams } = this.#native;
    for (let begin = true; ; begin = false) {
      const count = datagrams.receive(this.#batch, begin);
      for (let i = 0; i < count; i++) this.#hand(i);
      if (count < INBOX_ENTRIES) return;
    }
  }

  /** Sends what was queued. */
  flush(): void {
    const count = this.#queued;
    this.#queued = 0;
    if (count === 0 || this.#native.datagrams.send(this.#batch, count) === 0) return;
    const { numbers } = this.#outbox;
    for (let i = 0; i < count; i++) {
      const at = (i * ENTRY_OCTETS) / 4;
      const errno = numbers[at + OCTETS]!;
      if (errno < 0) this.#sockets[numbers[at + SLOT]!]?.onError(systemError(errno));
    }
  }

  /** For a socket: queues one datagram for its remote. */
  queue(slot: number, data: Uint8Array): void {
    const { numbers, octets } = this.#outbox;
    const at = this.#queued * ENTRY_OCTETS;
    numbers[at / 4 + SLOT] = slot;
    numbers[at / 4 + OCTETS] = data.length;
    octets.set(data, at + DATA_AT);
    if (++this.#queued === OUTBOX_ENTRIES) this.flush();
  }

  /** For a socket: answers 0 or -errno. */
  setRemote(slot: number, { address, port }: Endpoint): number {
    // What was queued goes where it was meant to go.
    this.flush();
    return this.#native.datagrams.setRemote(this.#batch, slot, address, port);
  }

  /** For a socket: sends what it has queued, and closes it. */
  remove(slot: number): void {
    this.flush();
    this.#sockets[slot] = undefined;
    this.#native.datagrams.remove(this.#batch, slot);
  }

  #hand(entry: number): void {
    const { numbers, times } = this.#inbox;
    const at = (entry * ENTRY_OCTETS) / 4;
    const socket = this.#sockets[numbers[at + SLOT]!];
    const octets = numbers[at + OCTETS]!;
    if (!socket) return;
    if (octets < 0) {
      socket.onError(systemError(octets));
      return;
    }
    const from = numbers[at + FAMILIAR] ? socket.remote : this.#source(entry);
    const ageUs = (times[(entry * ENTRY_OCTETS + AGE_MS_AT) / 8]! * 1000) | 0;
    if (from) socket.onMessage(this.#data(entry, octets), from, ageUs);
  }

  #data(entry: number, octets: number): Uint8Array {
    const views = this.#views[entry]!;
    const kept = views[octets];
    if (kept) return kept;
    const from = entry * ENTRY_OCTETS + DATA_AT;
    const view = this.#inbox.octets.subarray(from, from + octets);
    if (octets <= KEPT_VIEW_OCTETS) views[octets] = view;
    return view;
  }

  #source(entry: number): Endpoint {
    const { numbers, octets } = this.#inbox;
    let address = '';
    for (let at = entry * ENTRY_OCTETS + ADDRESS_AT; octets[at] !== 0; at++) {
      address += String.fromCharCode(octets[at]!);
    }
    return { address, port: numbers[(entry * ENTRY_OCTETS) / 4 + PORT]! };
  }
}

class BatchSocket implements DatagramSocket {
  readonly local: Endpoint;
  onMessage: DatagramSocket['onMessage'] = () => undefined;
  onError: (error: Error) => void = () => undefined;
  /** Where the last datagram went. */
  remote: Endpoint | undefined;
  readonly #slot: number;
  readonly #batch: DatagramBatch;
  #open = true;

  constructor(local: Endpoint, slot: number, batch: DatagramBatch) {
    this.local = local;
    this.#slot = slot;
    this.#batch = batch;
  }

  send(data: Uint8Array, to: Endpoint, onFailure?: (error: Error) => void): void {
    if (!this.#open) return;
    const errno = data.length > DATA_MAX ? -EMSGSIZE : this.#turnTo(to);
    if (errno < 0) (onFailure ?? this.onError)(systemError(errno));
    else this.#batch.queue(this.#slot, data);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#batch.remove(this.#slot);
  }

  /** Voice goes to one place for most of its life. */
  #turnTo(to: Endpoint): number {
    if (to === this.remote) return 0;
    const errno = this.#batch.setRemote(this.#slot, to);
    this.remote = errno < 0 ? undefined : to;
    return errno;
  }
}

const EMSGSIZE = 90;

function systemError(errno: number): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(code), { errno, code });
}
