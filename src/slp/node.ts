/** The network, clock and chance of Node.js, for who has none of their own to hand in: `slp-js/node`. */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect, createServer, type Socket as NetSocket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type {
  Clock,
  DatagramSocket,
  Endpoint,
  InterfaceAddress,
  Network,
  Random,
  StreamConnection,
} from './network.js';

const MULTICAST_HOPS = 255; // RFC 2608 §6.1

export const nodeClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const nodeRandom: Random = { bytes: size => randomBytes(size) };

export const nodeNetwork: Network = {
  async bindDatagram({ address, port }) {
    const socket = createSocket({ type: 'udp4' });
    await bound(socket, { address, port });
    return wrapDatagrams(socket);
  },

  async joinMulticast({ group, on }) {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    await bound(socket, group);
    try {
      socket.addMembership(group.address, on.address);
      socket.setMulticastInterface(on.address);
      socket.setMulticastTTL(MULTICAST_HOPS);
    } catch (error) {
      socket.close();
      throw error;
    }
    return wrapDatagrams(socket);
  },

  connectStream({ to, signal }) {
    return new Promise<StreamConnection>((resolve, reject) => {
      const socket = connect({ host: to.address, port: to.port });
      const abort = () => socket.destroy(new Error('given up'));
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        signal?.removeEventListener('abort', abort);
        resolve(wrapStream(socket));
      });
      if (signal?.aborted) abort();
      signal?.addEventListener('abort', abort, { once: true });
    });
  },

  listenStream({ address, port, onConnection }) {
    const server = createServer(socket => onConnection(wrapStream(socket)));
    return new Promise((resolve, reject) => {
      server.once('error', error => reject(explained(error)));
      server.listen({ host: address, port, exclusive: true }, () => {
        resolve({ close: () => void server.close() });
      });
    });
  },

  addresses() {
    const found: InterfaceAddress[] = [];
    for (const [name, addresses] of Object.entries(networkInterfaces())) {
      for (const { address, family, cidr, internal } of addresses ?? []) {
        const prefix = Number(cidr?.split('/')[1] ?? (family === 'IPv6' ? 128 : 32));
        found.push({ name, address, family, prefix, internal });
      }
    }
    return found;
  },
};

function bound(socket: Socket, { address, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      socket.close();
      reject(explained(error));
    };
    socket.once('error', fail);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', fail);
      resolve();
    });
  });
}

/** With the codes `network.ts` promises. */
function explained(error: Error): Error {
  const codes: Readonly<Record<string, string>> = {
    EACCES: 'PORT_FORBIDDEN',
    EADDRINUSE: 'ADDRESS_IN_USE',
  };
  const code = codes[(error as { code?: string }).code ?? ''];
  return code === undefined ? error : Object.assign(error, { code });
}

function wrapDatagrams(socket: Socket): DatagramSocket {
  const { address, port } = socket.address();
  let open = true;
  const wrapped: DatagramSocket = {
    local: { address, port },
    onMessage: () => undefined,
    onError: () => undefined,
    send(data, to) {
      if (!open) return;
      socket.send(data, to.port, to.address, error => {
        if (error) wrapped.onError(error);
      });
    },
    close() {
      if (!open) return;
      open = false;
      socket.close();
    },
  };
  socket.on('message', (data, from) => wrapped.onMessage(data, from));
  socket.on('error', error => wrapped.onError(error));
  return wrapped;
}

function wrapStream(socket: NetSocket): StreamConnection {
  let failure: Error | undefined;
  const wrapped: StreamConnection = {
    local: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
    remote: { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
    onData: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
    write: data => socket.write(data),
    end: () => void socket.end(),
    destroy: error => void socket.destroy(error),
  };
  socket.on('data', data => wrapped.onData(data));
  socket.on('drain', () => wrapped.onDrain());
  socket.on('error', error => {
    failure = error;
  });
  socket.on('close', () => wrapped.onClose(failure));
  return wrapped;
}
