/** TCP connections of `node:net`, and TLS on them. Node cannot mark them: they leave with DSCP 0. */
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import { ANY, formatEndpoint, withoutMapping } from './endpoint.js';
import { asError, CodedError, errorCode } from './errors.js';
import type {
  ConnectOptions,
  Endpoint,
  ListenOptions,
  SecureOptions,
  StreamConnection,
  StreamListener,
  TlsPeer,
} from './network.js';

/** How long `end` waits for the other side to take what is queued. */
const LINGER_MS = 2000;

export function connectSystemStream({
  to,
  from,
  signal,
}: ConnectOptions): Promise<StreamConnection> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = connect({
      host: to.address,
      port: to.port,
      noDelay: true,
      ...(from !== undefined && { localAddress: from }),
    });
    const settle = () => {
      signal?.removeEventListener('abort', abort);
      socket.off('error', fail).off('connect', done);
    };
    const fail = (error: unknown) => {
      settle();
      socket.on('error', () => undefined).destroy();
      reject(error);
    };
    const abort = () => fail(signal?.reason);
    const done = () => {
      settle();
      resolve(new SystemStream(socket));
    };
    socket.once('connect', done).once('error', error => fail(connectFailure(error, to)));
    signal?.addEventListener('abort', abort, { once: true });
  });
}

export function listenSystemStream(options: ListenOptions): Promise<StreamListener> {
  const { address, port, onConnection } = options;
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, socket =>
      onConnection(new SystemStream(socket)),
    );
    server.once('error', reject);
    server.listen(
      { host: address, port, ipv6Only: isIPv6(address) && address !== ANY, exclusive: true },
      () => {
        server.off('error', reject);
        // Running out of descriptors fails one connection, never the phone.
        server.on('error', () => undefined);
        const bound = server.address();
        const local = bound && typeof bound === 'object' ? bound : options;
        resolve({
          local: { address: local.address, port: local.port },
          close: () => void server.close(),
        });
      },
    );
  });
}

/** `node:tls` is loaded when the first connection asks for it. */
export async function secureSystemStream(
  connection: StreamConnection,
  options: SecureOptions,
): Promise<StreamConnection> {
  if (!(connection instanceof SystemStream)) {
    throw new CodedError('TLS_FAILED', 'expected a connection of this network, found another');
  }
  const tls = await import('node:tls');
  const { role, identity, serverName, authorities, verify } = options;
  const common = {
    ...identity,
    ...(authorities && { ca: [...authorities] }),
    minVersion: 'TLSv1.2',
    // `verify` judges, knowing what OpenSSL says of the chain; names are matched by SIP's rules there.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  } as const;
  const socket = connection.release();
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      socket.destroy();
      reject(
        new CodedError('TLS_FAILED', `no TLS with ${formatEndpoint(connection.remote)}`, {
          cause: error,
          remedy: 'Check that the other side speaks TLS 1.2 or later at this port.',
        }),
      );
    };
    const judge = (secured: import('node:tls').TLSSocket) => {
      secured.off('error', fail);
      const certificate = secured.getPeerX509Certificate();
      const problem = secured.authorized ? undefined : secured.authorizationError;
      const peer: TlsPeer = { certificate, chainProblem: problem && String(problem) };
      try {
        verify(peer);
        resolve(new SystemStream(secured, peer.certificate));
      } catch (error) {
        secured.on('error', () => undefined).destroy();
        reject(error);
      }
    };
    const gone = () => fail(new Error('the connection closed during the handshake'));
    if (socket.destroyed) gone();
    socket.once('close', gone);
    if (role === 'client') {
      const secured = tls.connect({ ...common, socket, servername: serverName ?? '' });
      secured.once('error', fail).once('secureConnect', () => judge(secured));
    } else {
      // A server that listens nowhere: only it tells what OpenSSL says of a client's chain.
      const server = tls.createServer({ ...common, requestCert: true });
      server.once('secureConnection', judge).once('tlsClientError', fail);
      server.emit('connection', socket);
    }
  });
}

function connectFailure(error: unknown, to: Endpoint): Error {
  const where = formatEndpoint(to);
  switch (errorCode(error)) {
    case 'ECONNREFUSED':
      return new CodedError('CONNECTION_REFUSED', `nothing takes TCP connections at ${where}`, {
        cause: error,
        remedy: 'Check the port, and that the other phone speaks SIP over TCP.',
      });
    case 'ETIMEDOUT':
      return new CodedError('CONNECTION_TIMEOUT', `${where} did not answer in time`, {
        cause: error,
        remedy: 'Check that the other phone is switched on and that no firewall stops TCP to it.',
      });
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return new CodedError('NO_ROUTE', `no route from this machine to ${where}`, {
        cause: error,
        remedy: 'Check that this machine and the other are on the same network.',
      });
    default:
      return new CodedError('CONNECTION_FAILED', `no connection to ${where}`, { cause: error });
  }
}

class SystemStream implements StreamConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  onClose: (error?: Error) => void = () => undefined;
  onDrain: () => void = () => undefined;
  readonly #socket: Socket;
  #onData: ((data: Uint8Array) => void) | undefined;
  #error: Error | undefined;
  #released = false;

  constructor(
    socket: Socket,
    readonly certificate: StreamConnection['certificate'] = undefined,
  ) {
    this.#socket = socket;
    const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
    this.local = { address: withoutMapping(localAddress), port: localPort };
    this.remote = { address: withoutMapping(remoteAddress), port: remotePort };
    socket.on('error', this.#failed).on('close', this.#closed).on('drain', this.#drained);
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  get onData(): (data: Uint8Array) => void {
    return this.#onData ?? (() => undefined);
  }

  set onData(handler: (data: Uint8Array) => void) {
    if (!this.#onData) this.#socket.on('data', data => this.#onData?.(data));
    this.#onData = handler;
  }

  write(data: Uint8Array): boolean {
    return this.#socket.writable ? this.#socket.write(data) : false;
  }

  end(): void {
    if (this.#socket.destroyed) return;
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  destroy(error?: Error): void {
    if (this.#released) this.#socket.destroy();
    else this.#socket.destroy(error);
  }

  /** Hands the socket over to TLS; of this object only `destroy` works from then on. */
  release(): Socket {
    this.#released = true;
    this.#socket.off('error', this.#failed).off('close', this.#closed).off('drain', this.#drained);
    return this.#socket.on('error', () => undefined);
  }

  readonly #failed = (error: Error) => {
    this.#error = asError(error);
  };
  readonly #closed = () => this.onClose(this.#error);
  readonly #drained = () => this.onDrain();
}
