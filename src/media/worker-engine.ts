/**
 * The media engine in a thread of its own, with its own sockets: voice does not wait for the main
 * thread. `start` returns at once; the thread starts beside it, and after a crash again with the
 * next command.
 */
import { Worker } from 'node:worker_threads';
import { asError, CodedError } from '../core/errors.js';
import type { CommandOf, CommandType, MediaCommand, MediaResults } from './commands.js';
import { EngineClient, type EngineOptions } from './engine-client.js';
import { engineStopped } from './media-core.js';
import {
  errorFrom,
  type FromWorker,
  NO_REQUEST,
  type Numbered,
  type Told,
  type ToWorker,
} from './worker-messages.js';

/** After this the thread is ended, whatever it still does. */
const STOP_MS = 900;
/** The thread allocates next to nothing: a small nursery keeps the process small. */
const YOUNG_GENERATION_MB = 2;

export interface WorkerEngineOptions extends EngineOptions {
  /** The module the thread runs; by default `worker.js`. */
  readonly entry?: URL;
}

interface PendingRequest {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerMediaEngine extends EngineClient {
  readonly #entry: URL;
  readonly #pending = new Map<number, PendingRequest>();
  #worker: Worker | undefined;
  /** Commands of this turn of the event loop. */
  #waiting: Numbered[] = [];
  #lastRequest = NO_REQUEST;
  #running = false;

  constructor(options: WorkerEngineOptions = {}) {
    super(options);
    this.#entry = options.entry ?? new URL('./worker.js', import.meta.url);
  }

  async start(): Promise<void> {
    this.#running = true;
    this.#thread();
  }

  /** Within a second. A call in progress ends with a goodbye to its far end. */
  async stop(): Promise<void> {
    this.#running = false;
    const worker = this.#worker;
    if (!worker) return;
    this.#flush();
    await stopWorker(worker);
    this.#lost(worker, engineStopped());
  }

  protected request<T extends CommandType>(command: CommandOf<T>): Promise<MediaResults[T]> {
    if (!this.#running) return Promise.reject(engineStopped());
    const request = ++this.#lastRequest;
    this.#send({ request, command });
    return new Promise<MediaResults[T]>((resolve, reject) => {
      // The thread answers each command with its own entry of MediaResults.
      this.#pending.set(request, { resolve: result => resolve(result as MediaResults[T]), reject });
    });
  }

  protected override order(command: MediaCommand): void {
    if (this.#running) this.#send({ request: NO_REQUEST, command });
  }

  #send(command: Numbered): void {
    if (this.#waiting.push(command) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const commands = this.#waiting;
    if (commands.length === 0) return;
    this.#waiting = [];
    const message: ToWorker = { type: 'commands', commands };
    this.#thread().postMessage(message);
  }

  #thread(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(this.#entry, {
      name: 'media',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', cause => this.#crashed(worker, asError(cause)));
    worker.on('exit', code => this.#crashed(worker, new Error(`the thread ended with ${code}`)));
    return worker;
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'told':
        for (const told of message.messages) this.#hear(told);
        break;
      case 'stopped':
        break;
    }
  }

  #hear(message: Told): void {
    switch (message.type) {
      case 'done':
        this.#settle(message.request)?.resolve(message.result);
        break;
      case 'refused':
        this.#refused(message.request, errorFrom(message.error));
        break;
      case 'ended':
      case 'digit':
      case 'voice':
        this.handleEvent(message);
        break;
      case 'failed':
        this.handleEvent({ ...message, error: errorFrom(message.error) });
        break;
    }
  }

  #refused(request: number, error: CodedError): void {
    if (request !== NO_REQUEST) this.#settle(request)?.reject(error);
    // A stopped engine has closed its nodes: nothing is left to be done to them.
    else if (this.#running) this.reportError(error);
  }

  #settle(request: number): PendingRequest | undefined {
    const pending = this.#pending.get(request);
    this.#pending.delete(request);
    return pending;
  }

  #crashed(worker: Worker, cause: Error): void {
    if (!this.#running || worker !== this.#worker) return;
    const message = `expected the media thread to run, found it ended: ${cause.message}`;
    const error = new CodedError('MEDIA_THREAD_DIED', message, {
      cause,
      remedy: 'Calls in progress lost their voice; the next call starts the thread again.',
    });
    this.#lost(worker, error);
    this.reportError(error);
  }

  #lost(worker: Worker, error: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#waiting = [];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
    this.endPlayers();
  }
}

async function stopWorker(worker: Worker): Promise<void> {
  const message: ToWorker = { type: 'stop' };
  const exited = new Promise<void>(resolve => worker.once('exit', () => resolve()));
  worker.postMessage(message);
  const overdue = setTimeout(() => void worker.terminate(), STOP_MS);
  await exited;
  clearTimeout(overdue);
}
