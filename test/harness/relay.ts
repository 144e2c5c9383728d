/**
 * A relay of octet streams between a peer and a phone: it knows nothing of SIP, but cuts and joins what it
 * carries to the phone as a network may, and speaks TLS to the phone for a peer that cannot.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { Endpoint, TlsIdentity } from '../../src/core/network.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import type { Cleanup } from './program.js';

/** What happens to the stream on its way to the phone. */
export type Manner =
  | 'as it comes'
  /** In pieces of any length, from a single octet on. */
  | 'cut'
  /** What follows within a moment goes in one piece. */
  | 'joined'
  /** Joined, then cut: no piece begins or ends where a message does. */
  | 'joined and cut';

export interface RelayOptions {
  readonly cleanup: Cleanup;
  /** Address to listen at; the port is any. */
  readonly address: string;
  readonly to: Endpoint;
  /** Which end the phone is at: it calls the relay, or is called by it. */
  readonly phone: 'caller' | 'called';
  readonly manner?: Manner;
  /** The phone's end speaks TLS; as the called one the relay shows this. */
  readonly tls?: TlsIdentity;
}

/** Longer than a peer takes between two messages that it sends without waiting, shorter than it waits. */
const JOIN_MS = 20;
const LONGEST_PIECE_OCTETS = 40;
/** The peer may still be starting. */
const CONNECT_WITHIN_MS = 20_000;
const CONNECT_EVERY_MS = 50;

/** Relays until the cleanup; answers the port it listens at. */
export async function startRelay(options: RelayOptions): Promise<number> {
  const { cleanup, address, phone, tls } = options;
  const open = new Set<Socket>();
  const accept = (near: Socket) => void relay(near, options, open);
  const server: Server =
    tls && phone === 'caller' ? createTlsServer(tls, accept) : createServer(accept);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, resolve);
  });
  cleanup.add(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server has a port');
  return bound.port;
}

async function relay(near: Socket, options: RelayOptions, open: Set<Socket>): Promise<void> {
  near.pause();
  keep(near, open);
  const far = await reach(options);
  if (!far) {
    near.destroy();
    return;
  }
  keep(far, open);
  const { phone, manner = 'as it comes' } = options;
  const [peer, toPhone] = phone === 'caller' ? [far, near] : [near, far];
  toPhone.setNoDelay(true);
  carry(peer, toPhone, manner);
  toPhone.pipe(peer);
  near.resume();
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
}

function keep(socket: Socket, open: Set<Socket>): void {
  open.add(socket);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => open.delete(socket));
}

async function reach({ to, phone, tls }: RelayOptions): Promise<Socket | undefined> {
  const target = { host: to.address, port: to.port };
  const until = performance.now() + CONNECT_WITHIN_MS;
  while (performance.now() < until) {
    const secure = tls !== undefined && phone === 'called';
    // The phone's certificate is its own: by address nobody can prove anything.
    const socket = secure ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
    const connected = await new Promise<boolean>(resolve => {
      socket.once(secure ? 'secureConnect' : 'connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (connected) return socket;
    await new Promise(resolve => setTimeout(resolve, CONNECT_EVERY_MS));
  }
  return undefined;
}

function carry(from: Socket, to: Socket, manner: Manner): void {
  const pieces = manner.endsWith('cut') ? cutter(to) : (octets: Buffer) => void to.write(octets);
  if (manner === 'as it comes' || manner === 'cut') {
    from.on('data', pieces);
    from.on('end', () => pieces(Buffer.alloc(0)));
    return;
  }
  let waiting: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  from.on('data', octets => {
    waiting.push(octets);
    clearTimeout(timer);
    timer = setTimeout(() => {
      pieces(Buffer.concat(waiting));
      waiting = [];
    }, JOIN_MS);
  });
}

/** Writes what it is given piece by piece, each in a segment of its own. */
function cutter(to: Socket): (octets: Buffer) => void {
  // The same cuts in every run.
  const random = new SeededRandom(1);
  let left = Buffer.alloc(0);
  let running = false;
  const next = () => {
    running = left.length > 0 && to.writable;
    if (!running) return;
    const length = 1 + Math.floor(random.unit() * LONGEST_PIECE_OCTETS);
    to.write(left.subarray(0, length));
    left = left.subarray(length);
    setImmediate(next);
  };
  return octets => {
    left = Buffer.concat([left, octets]);
    if (!running) next();
  };
}
