/**
 * TCP between virtual hosts: ordered, and reliable while the link holds. What a cut link holds back is tried
 * again at ever longer intervals, as by real hosts, unless that takes too long. TLS is the judgement of both
 * ends, without ciphers, so that a run repeats octet for octet.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock, Timer } from '../core/clock.js';
import { formatEndpoint, parseEndpoint } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type {
  Endpoint,
  ListenOptions,
  SecureOptions,
  StreamConnection,
  StreamListener,
} from '../core/network.js';

/** What streams need of the network they are on. */
export interface StreamCarrier {
  readonly clock: Clock;
  /** Whether nothing comes from or goes to this address: its link is down, or it is nobody's. */
  isCut(address: string): boolean;
  /** One-way delay of the next segment in ms. */
  delay(): number;
  trace(from: Endpoint, to: Endpoint, data: Uint8Array | undefined, note: string): void;
}

/** Octets under way from which on a writer should wait. */
const SEND_BUFFER_OCTETS = 65_536;
/** A segment not delivered within this time ends its connection. */
const DELIVERY_TIMEOUT_MS = 60_000;
/** What was not acknowledged is sent again after so long, then after twice as long, … (Linux, near by). */
const RESEND_MS = 200;
/** The same of a SYN (RFC 6298 §2.1). */
const RESEND_SYN_MS = 1000;
/** As Linux: six SYNs without an answer. */
const CONNECT_TIMEOUT_MS = 127_000;

type Segment =
  | { readonly type: 'data'; readonly data: Uint8Array }
  /** TLS: the certificate, if there is one. */
  | { readonly type: 'hello'; readonly cert: string | undefined }
  | { readonly type: 'end' };

export class VirtualStreams {
  readonly #carrier: StreamCarrier;
  readonly #listeners = new Map<string, ListenOptions['onConnection']>();
  readonly #open = new Set<VirtualStream>();

  constructor(carrier: StreamCarrier) {
    this.#carrier = carrier;
  }

  /** Connections with at least one end open. */
  get size(): number {
    return this.#open.size;
  }

  listen(local: Endpoint, onConnection: ListenOptions['onConnection']): StreamListener {
    const key = formatEndpoint(local);
    if (this.#listeners.has(key)) {
      throw new CodedError('ADDRESS_IN_USE', `TCP ${key} is in use`);
    }
    this.#listeners.set(key, onConnection);
    return {
      local,
      close: () => {
        for (const [where, listener] of this.#listeners) {
          if (listener === onConnection) this.#listeners.delete(where);
        }
      },
    };
  }

  /** Who listens at one address does so at another from now on. */
  moveListeners(from: string, to: string): void {
    for (const [key, onConnection] of [...this.#listeners]) {
      const { address, port } = parseEndpoint(key, { address: '', port: 0 });
      if (address !== from) continue;
      this.#listeners.delete(key);
      this.#listeners.set(formatEndpoint({ address: to, port }), onConnection);
    }
  }

  connect(from: Endpoint, to: Endpoint, signal?: AbortSignal): Promise<StreamConnection> {
    const { clock } = this.#carrier;
    const where = formatEndpoint(to);
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.#carrier.trace(from, to, undefined, 'SYN');
      if (this.#carrier.isCut(from.address)) {
        reject(new CodedError('NO_ROUTE', `no route from ${from.address} to ${where}`));
        return;
      }
      let resend: Timer | undefined;
      const settle = () => {
        timeout.cancel();
        resend?.cancel();
        signal?.removeEventListener('abort', abort);
      };
      const fail = (error: unknown) => {
        settle();
        reject(error);
      };
      const abort = () => fail(signal?.reason);
      const timeout = clock.after(CONNECT_TIMEOUT_MS, () =>
        fail(new CodedError('CONNECTION_TIMEOUT', `${where} did not answer in time`)),
      );
      signal?.addEventListener('abort', abort, { once: true });
      const launch = (resendMs: number) => {
        resend = clock.after(resendMs, () => launch(2 * resendMs));
        clock.after(this.#carrier.delay(), arrive);
      };
      const arrive = () => {
        const isCut = this.#carrier.isCut(from.address) || this.#carrier.isCut(to.address);
        if (isCut || signal?.aborted) return;
        resend?.cancel();
        const accept = this.#listeners.get(where);
        if (!accept) {
          const refused = `nothing takes TCP connections at ${where}`;
          clock.after(this.#carrier.delay(), () =>
            fail(new CodedError('CONNECTION_REFUSED', refused)),
          );
          return;
        }
        const [near, far] = this.#pair(from, to);
        const answerMs = this.#carrier.delay();
        clock.after(answerMs, () => {
          settle();
          if (signal?.aborted) near.destroy();
          else resolve(near);
        });
        far.earliestArrival = clock.now() + answerMs;
        accept(far);
      };
      launch(RESEND_SYN_MS);
    });
  }

  secure(connection: StreamConnection, options: SecureOptions): Promise<StreamConnection> {
    if (connection instanceof VirtualStream) return connection.secure(options);
    throw new CodedError('TLS_FAILED', 'expected a connection of this network, found another');
  }

  #pair(from: Endpoint, to: Endpoint): [VirtualStream, VirtualStream] {
    const forget = (stream: VirtualStream) => this.#open.delete(stream);
    const near = new VirtualStream(this.#carrier, from, to, forget);
    const far = new VirtualStream(this.#carrier, to, from, forget);
    near.peer = far;
    far.peer = near;
    this.#open.add(near).add(far);
    return [near, far];
  }
}

class VirtualStream implements StreamConnection {
  certificate: X509Certificate | undefined;
  backlog = 0;
  onClose: (error?: Error) => void = () => undefined;
  onDrain: () => void = () => undefined;
  /** Set before anything is sent. */
  peer: VirtualStream | undefined;
  readonly #carrier: StreamCarrier;
  readonly #forget: (stream: VirtualStream) => void;
  #onData: ((data: Uint8Array) => void) | undefined;
  /** Sent and not delivered, in order. */
  #underWay: Segment[] = [];
  /** Nothing overtakes what was sent before. */
  earliestArrival = 0;
  /** Changes when a stalled stream starts again: what was scheduled before does not count. */
  #run = 0;
  /** While nothing arrives: until what is under way is tried again. */
  #stalled: Timer | undefined;
  #full = false;
  #ending = false;
  #closed = false;
  /** Come in before anybody listened. */
  readonly #early: Uint8Array[] = [];
  #hello: Extract<Segment, { type: 'hello' }> | undefined;
  #onHello: (() => void) | undefined;
  #rejectHello: ((error: Error) => void) | undefined;

  constructor(
    carrier: StreamCarrier,
    readonly local: Endpoint,
    readonly remote: Endpoint,
    forget: (stream: VirtualStream) => void,
  ) {
    this.#carrier = carrier;
    this.#forget = forget;
  }

  get onData(): (data: Uint8Array) => void {
    return this.#onData ?? (() => undefined);
  }

  set onData(handler: (data: Uint8Array) => void) {
    this.#onData = handler;
    for (const data of this.#early.splice(0)) handler(data);
  }

  write(data: Uint8Array): boolean {
    if (this.#closed || this.#ending) return false;
    this.backlog += data.length;
    this.#full = this.backlog >= SEND_BUFFER_OCTETS;
    this.#send({ type: 'data', data: data.slice() });
    return !this.#full;
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#send({ type: 'end' });
  }

  destroy(error?: Error): void {
    if (this.#closed) return;
    this.#underWay = [];
    this.#run++;
    this.#send({ type: 'end' });
    this.#close(error);
  }

  secure({ role, identity, authorities, verify }: SecureOptions): Promise<StreamConnection> {
    const greet = () => this.#send({ type: 'hello', cert: identity?.cert });
    if (role === 'client') greet();
    return new Promise((resolve, reject) => {
      this.#rejectHello = reject;
      this.#onHello = () => {
        if (!this.#hello) return;
        this.#onHello = undefined;
        this.#rejectHello = undefined;
        if (role === 'server') greet();
        const { cert } = this.#hello;
        const certificate = cert === undefined ? undefined : new X509Certificate(cert);
        try {
          verify({ certificate, chainProblem: chainProblem(certificate, authorities) });
          this.certificate = certificate;
          resolve(this);
        } catch (error) {
          this.destroy();
          reject(error);
        }
      };
      this.#onHello();
    });
  }

  /** The link is cut: what is under way waits until it is tried again. */
  #stall(): void {
    if (this.#closed) return;
    this.#run++;
    const { clock } = this.#carrier;
    const until = clock.now() + DELIVERY_TIMEOUT_MS;
    const again = (ms: number): void => {
      this.#stalled = clock.after(Math.min(ms, until - clock.now()), () => {
        if (clock.now() >= until) {
          this.#underWay = [];
          this.#close(systemError('ETIMEDOUT', 'the connection timed out'));
        } else if (this.#isCut) {
          again(2 * ms);
        } else {
          this.#stalled = undefined;
          for (const segment of this.#underWay) this.#launch(segment);
        }
      });
    };
    again(RESEND_MS);
  }

  get #isCut(): boolean {
    return this.#carrier.isCut(this.local.address) || this.#carrier.isCut(this.remote.address);
  }

  #send(segment: Segment): void {
    this.#underWay.push(segment);
    if (!this.#stalled) this.#launch(segment);
  }

  #launch(segment: Segment): void {
    const { clock } = this.#carrier;
    const data = segment.type === 'data' ? segment.data : undefined;
    const note = { data: 'TCP', hello: 'TLS', end: 'FIN' }[segment.type];
    this.#carrier.trace(this.local, this.remote, data, note);
    this.earliestArrival = Math.max(this.earliestArrival, clock.now() + this.#carrier.delay());
    const run = this.#run;
    clock.after(this.earliestArrival - clock.now(), () => {
      if (run === this.#run) this.#arrive();
    });
  }

  #arrive(): void {
    if (this.#isCut) {
      this.#stall();
      return;
    }
    const segment = this.#underWay.shift();
    if (!segment) return;
    const taken = this.peer?.receive(segment);
    if (segment.type === 'end') this.#close();
    else if (!taken) this.#close(systemError('ECONNRESET', 'the other side reset the connection'));
    if (segment.type !== 'data') return;
    this.backlog -= segment.data.length;
    if (this.backlog > 0 || !this.#full) return;
    this.#full = false;
    this.onDrain();
  }

  /** Takes a segment of the other end; answers false where this end is closed. */
  receive(segment: Segment): boolean {
    if (this.#closed) return false;
    switch (segment.type) {
      case 'data':
        if (this.#onData) this.#onData(segment.data);
        else this.#early.push(segment.data);
        return true;
      case 'hello':
        this.#hello = segment;
        this.#onHello?.();
        return true;
      case 'end':
        this.#underWay = [];
        this.#run++;
        this.#close();
        return true;
    }
  }

  #close(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stalled?.cancel();
    this.#rejectHello?.(new CodedError('TLS_FAILED', 'the connection closed during the handshake'));
    this.#forget(this);
    // As a real socket does: never before the call that caused it has returned.
    queueMicrotask(() => this.onClose(error));
  }
}

function chainProblem(
  certificate: X509Certificate | undefined,
  authorities: readonly string[] = [],
): string | undefined {
  if (!certificate) return 'it showed no certificate';
  const known = authorities.map(pem => new X509Certificate(pem));
  return known.some(authority => certificate.verify(authority.publicKey))
    ? undefined
    : 'no known authority has signed its certificate';
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
