/** A command's end of the control socket. */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CodedError, errorCode } from '../core/errors.js';
import { type ControlEvent, type ControlRequest, controlSocketPath } from './control-protocol.js';
import type { PhoneStatus } from './phone-status.js';

export interface ControlSession {
  /** The phone's events in order; ends when the phone closes or `close` is called. */
  readonly events: AsyncIterable<ControlEvent>;
  close(): void;
}

/**
 * Asks the phone that runs with this data directory.
 *
 * @returns undefined where none runs.
 */
export async function askPhone(
  dataDirectory: string,
  request: ControlRequest,
): Promise<ControlSession | undefined> {
  const socket = await connected(controlSocketPath(dataDirectory));
  if (!socket) return undefined;
  socket.write(`${JSON.stringify(request)}\n`);
  return { events: eventsOf(socket), close: () => socket.destroy() };
}

/** The status of the phone that runs with this data directory; undefined where none does. */
export async function phoneStatus(dataDirectory: string): Promise<PhoneStatus | undefined> {
  const session = await askPhone(dataDirectory, { method: 'status' });
  if (!session) return undefined;
  for await (const event of session.events) {
    if (event.event === 'error') throw new CodedError(event.code, event.message, event);
    if (event.event === 'status') {
      session.close();
      return event.status;
    }
  }
  throw new CodedError('PHONE_GONE', 'the phone stopped before it answered');
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', error => {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ECONNREFUSED') resolve(undefined);
      else if (code === 'EACCES') reject(foreign(path));
      else reject(error);
    });
  });
}

function foreign(path: string): CodedError {
  return new CodedError('NOT_YOURS', `another user's phone runs here (${path})`, {
    remedy: 'Run the command as that user, or choose a data directory of your own with --data.',
  });
}

async function* eventsOf(socket: Socket): AsyncGenerator<ControlEvent, void> {
  const lines = createInterface({ input: socket });
  socket.on('error', () => socket.destroy());
  // A socket that is destroyed never ends, so its lines would not either.
  socket.on('close', () => lines.close());
  for await (const line of lines) yield JSON.parse(line);
}
