/** One connection from its first packet to its end: what waits for it, how long it may take, its pulse. */
import type { X509Certificate } from 'node:crypto';
import type { Clock, Timer } from '../../core/clock.js';
import { formatEndpoint } from '../../core/endpoint.js';
import { CodedError } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import { type Random, randomUnit } from '../../core/random.js';
import { type Due, type FlowLife, type FlowLimits, nextDue } from './flow-limits.js';
import type { Link, LinkEvents } from './link.js';
import type { SipProtocol } from './transport.js';

export interface FlowOptions {
  readonly id: string;
  readonly protocol: SipProtocol;
  readonly remote: Endpoint;
  readonly role: 'dialled' | 'accepted';
  /** The domain it was opened for. */
  readonly tlsName: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: FlowLimits;
  message(data: Uint8Array): void;
  /** Octets of unfinished messages came or went; answers whether there is room for them. */
  unfinished(change: number): boolean;
  /** Once, and last. `error` says why nothing can be sent on it any more. */
  closed(error: CodedError): void;
}

interface Waiting {
  readonly data: Uint8Array;
  readonly onFailure: (error: Error) => void;
}

export class Flow implements LinkEvents {
  readonly options: FlowOptions;
  /** Ends whatever opening is under way. */
  readonly opening = new AbortController();
  /** The address of ours it leads from; undefined while that is not known. */
  localAddress: string | undefined;
  readonly #life: FlowLife;
  #link: Link | undefined;
  #waiting: Waiting[] = [];
  #waitingOctets = 0;
  #unfinishedOctets = 0;
  #timer: { at: number; timer: Timer } | undefined;
  #keepAliveMs: number | undefined;
  /** Told when something comes in next. */
  #listening: (() => void)[] = [];
  #closed = false;

  constructor(options: FlowOptions) {
    this.options = options;
    const now = options.clock.now();
    this.#life = {
      openedAt: now,
      trafficAt: now,
      askedAt: undefined,
      established: false,
      partialSince: undefined,
      pingAt: undefined,
      pingedAt: undefined,
    };
    this.#watch();
  }

  get id(): string {
    return this.options.id;
  }

  get established(): boolean {
    return this.#life.established;
  }

  /** What the other side proved to own the key of. */
  get certificate(): X509Certificate | undefined {
    return this.#link?.certificate;
  }

  /** How long it has been without traffic, in ms; 0 while it is being opened or kept alive. */
  get idleMs(): number {
    const busy = !this.established || this.#keepAliveMs !== undefined;
    return busy ? 0 : this.options.clock.now() - this.#life.trafficAt;
  }

  /** Whether a request that went by it then, or before, still waits without anything having come in. */
  isSilentSince(since: number): boolean {
    return (this.#life.askedAt ?? Number.POSITIVE_INFINITY) <= since;
  }

  /** The connection stands: what waited for it goes out. */
  open(link: Link): void {
    if (this.#closed) {
      link.destroy();
      return;
    }
    this.#link = link;
    this.#life.established = true;
    this.#life.trafficAt = this.options.clock.now();
    this.#watch();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { data } of waiting) this.#transmit(link, data);
  }

  /** What is sent next is a request, which is to be answered. */
  asks(): void {
    this.#life.askedAt ??= this.options.clock.now();
  }

  /** @param onFailure called where the connection never comes to stand */
  send(data: Uint8Array, onFailure: (error: Error) => void): void {
    if (this.#link) {
      this.#transmit(this.#link, data);
    } else if (this.#waitingOctets + data.length > this.options.limits.backlogOctets) {
      queueMicrotask(() => onFailure(this.#error('BACKLOG_FULL', 'takes too long to open')));
    } else {
      this.#waitingOctets += data.length;
      this.#waiting.push({ data, onFailure });
    }
  }

  /**
   * Asks for signs of life, each after 80 to 100% of this time (RFC 5626 §4.4.1); a connection that
   * gives none is closed. Answers false where that cannot be: on a stream, who opened it asks.
   */
  keep(intervalMs: number): boolean {
    const { role, protocol } = this.options;
    if (role === 'accepted' && (protocol === 'TCP' || protocol === 'TLS')) return false;
    this.#keepAliveMs = intervalMs;
    this.#schedulePing(intervalMs);
    return true;
  }

  /**
   * Asks for a sign of life now, and tells when something comes in next. Answers false where that cannot be: before it
   * stands, and on a stream that the other side opened.
   */
  ping(heard: () => void): boolean {
    const { role, protocol, clock } = this.options;
    if (!this.#link || (role === 'accepted' && (protocol === 'TCP' || protocol === 'TLS'))) {
      return false;
    }
    this.#listening.push(heard);
    this.#life.pingedAt ??= clock.now();
    this.#link.ping();
    this.#watch();
    return true;
  }

  /** Sends what is queued, and closes in order. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#link?.end();
    this.#close(this.#error('CONNECTION_CLOSED', reason));
  }

  /** Nobody answers by it. */
  giveUp(): void {
    this.fail(this.#error('NO_ANSWER', 'has not answered for long'));
  }

  /** Closes at once. */
  fail(error: CodedError): void {
    if (this.#closed) return;
    this.#link?.destroy();
    this.#close(error);
  }

  // ---- what the link tells

  message(data: Uint8Array): void {
    this.#whole();
    if (!this.#closed) this.options.message(data);
  }

  keepAlive(): void {
    this.#whole();
    this.#life.pingedAt = undefined;
    if (this.#keepAliveMs !== undefined) this.#schedulePing(this.#keepAliveMs);
  }

  partial(octets: number): void {
    this.#life.askedAt = undefined;
    this.#life.partialSince ??= this.options.clock.now();
    this.#unfinishedOctets += octets;
    if (this.options.unfinished(octets)) this.#watch();
    else this.fail(this.#error('TOO_MUCH_UNFINISHED', 'sent a part of a message too large'));
  }

  closed(cause?: Error): void {
    if (this.#closed) return;
    this.#close(this.#error('CONNECTION_CLOSED', 'closed the connection', cause));
  }

  // ---- time

  #schedulePing(intervalMs: number): void {
    const { clock, random } = this.options;
    this.#life.pingAt = clock.now() + intervalMs * (0.8 + 0.2 * randomUnit(random));
    this.#watch();
  }

  /** Sets the timer for what is due next; one that is set too early finds nothing due and sets it anew. */
  #watch(): void {
    if (this.#closed) return;
    const { clock, limits } = this.options;
    const { at } = nextDue(this.#life, limits);
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    this.#timer = { at, timer: clock.after(at - clock.now(), () => this.#look()) };
  }

  #look(): void {
    this.#timer = undefined;
    const { clock, limits } = this.options;
    const due = nextDue(this.#life, limits);
    if (due.at <= clock.now()) this.#do(due.what);
    this.#watch();
  }

  #do(what: Due['what']): void {
    switch (what) {
      case 'handshake':
        this.fail(this.#error('CONNECTION_TIMEOUT', 'did not answer in time'));
        return;
      case 'idle':
        this.end('had nothing to say for long');
        return;
      case 'partial':
        this.fail(this.#error('MESSAGE_TIMEOUT', 'did not finish a message in time'));
        return;
      case 'ping':
        this.#life.pingedAt = this.options.clock.now();
        this.#link?.ping();
        return;
      case 'pong':
        this.fail(this.#error('NO_KEEP_ALIVE', 'gave no sign of life'));
        return;
    }
  }

  // ---- the rest

  #transmit(link: Link, data: Uint8Array): void {
    this.#life.trafficAt = this.options.clock.now();
    link.send(data);
    if (link.backlog > this.options.limits.backlogOctets) {
      this.fail(this.#error('BACKLOG_FULL', 'does not take what is sent to it'));
    }
  }

  /** A message or keep-alive came in whole. */
  #whole(): void {
    this.#life.trafficAt = this.options.clock.now();
    this.#life.askedAt = undefined;
    this.#life.partialSince = undefined;
    this.#forgetUnfinished();
    if (this.#listening.length === 0) return;
    const listening = this.#listening;
    this.#listening = [];
    for (const heard of listening) heard();
  }

  #forgetUnfinished(): void {
    if (this.#unfinishedOctets > 0) this.options.unfinished(-this.#unfinishedOctets);
    this.#unfinishedOctets = 0;
  }

  #close(error: CodedError): void {
    this.#closed = true;
    this.#timer?.timer.cancel();
    this.#forgetUnfinished();
    if (!this.established) this.opening.abort(error);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#listening = [];
    this.options.closed(error);
    for (const { onFailure } of waiting) queueMicrotask(() => onFailure(error));
  }

  #error(code: string, what: string, cause?: unknown): CodedError {
    const { protocol, remote } = this.options;
    const message = `${formatEndpoint(remote)} (${protocol}) ${what}`;
    return new CodedError(code, message, {
      cause,
      remedy: 'Check that the other phone runs and can be reached from here.',
    });
  }
}
