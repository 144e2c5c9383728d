/** The running phone's end of the control socket. */
import { chmod, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type HandsetKey, parseHandsetKey } from '../calling/handset-key.js';
import { asError, CodedError, errorCode } from '../core/errors.js';
import type { ControlEvent, ControlRequest } from './control-protocol.js';

/** A request is one short line; whoever sends more is no client of ours. */
const MAX_REQUEST_OCTETS = 64 * 1024;
const MAX_CONNECTIONS = 16;

export interface ControlConnection {
  send(event: ControlEvent): void;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  /** No more events. */
  end(): void;
}

export type ControlHandler = (
  request: ControlRequest,
  connection: ControlConnection,
) => Promise<void>;

export class ControlServer {
  readonly #path: string;
  readonly #handle: ControlHandler;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string, handle: ControlHandler) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Throws `CodedError` `ALREADY_RUNNING` where a phone answers on the socket. */
  async start(): Promise<void> {
    try {
      await this.#listen();
    } catch (error) {
      if (errorCode(error) !== 'EADDRINUSE') throw error;
      if (await answers(this.#path)) {
        throw new CodedError('ALREADY_RUNNING', 'a phone with this data directory runs already', {
          remedy: '`ringline status` shows it; for a second phone give --data DIR and --listen.',
        });
      }
      // Left behind by a phone that lost power.
      await unlink(this.#path);
      await this.#listen();
    }
    await chmod(this.#path, 0o600);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.end();
    // A client that keeps its end open does not hold up the stop.
    setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, 200).unref();
    await new Promise(resolve => server.close(resolve));
  }

  #listen(): Promise<void> {
    const server = createServer(socket => this.#accept(socket));
    server.maxConnections = MAX_CONNECTIONS;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#path, () => {
        server.off('error', reject);
        this.#server = server;
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const gone = new AbortController();
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      gone.abort();
    });
    socket.on('data', () => {
      if (socket.bytesRead > MAX_REQUEST_OCTETS) socket.destroy();
    });
    const connection: ControlConnection = {
      send: event => {
        if (socket.writable) socket.write(`${JSON.stringify(event)}\n`);
      },
      gone: gone.signal,
      end: () => socket.end(),
    };
    createInterface({ input: socket }).once('line', line => {
      void this.#serve(line, connection);
    });
  }

  async #serve(line: string, connection: ControlConnection): Promise<void> {
    try {
      await this.#handle(parseRequest(line), connection);
    } catch (thrown) {
      const { message } = asError(thrown);
      const code = errorCode(thrown) ?? 'FAILED';
      const remedy = thrown instanceof CodedError ? thrown.remedy : undefined;
      connection.send({ event: 'error', code, message, ...(remedy !== undefined && { remedy }) });
      connection.end();
    }
  }
}

function parseRequest(line: string): ControlRequest {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    request = undefined;
  }
  if (typeof request === 'object' && request !== null && 'method' in request) {
    if (request.method === 'status') return { method: 'status' };
    if (request.method === 'tell-expelled' && 'overlay' in request) {
      return { method: 'tell-expelled', overlay: String(request.overlay) };
    }
    if (request.method === 'messages') {
      const all = 'all' in request && request.all === true;
      return { method: 'messages', all, follow: 'follow' in request && request.follow === true };
    }
    if (request.method === 'watch' && 'names' in request && Array.isArray(request.names)) {
      return { method: 'watch', names: request.names.map(String) };
    }
    if (request.method === 'press' && 'pressed' in request) {
      return { method: 'press', pressed: checkedKey(request.pressed) };
    }
    if (request.method === 'answer') {
      const audio = 'audio' in request && typeof request.audio === 'object' ? request.audio : null;
      return { method: 'answer', audio: audio ?? {} };
    }
  }
  throw new CodedError(
    'BAD_REQUEST',
    `expected a request for status, answer, press, messages, watch or tell-expelled, found ${line.slice(0, 80)}`,
    {
      remedy: 'The running phone may be of another version: restart it.',
    },
  );
}

function checkedKey(pressed: unknown): HandsetKey {
  if (typeof pressed !== 'object' || pressed === null || !('key' in pressed)) {
    return parseHandsetKey('');
  }
  const who = 'who' in pressed && typeof pressed.who === 'string' ? pressed.who : '';
  const digits = 'digits' in pressed && typeof pressed.digits === 'string' ? pressed.digits : '';
  return parseHandsetKey(`${pressed.key} ${who}${digits}`);
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
