/** All calls of a phone: it places them, and hands those that come in to whom they are for. */
import { EventEmitter } from 'node:events';
import type { Random } from '../core/random.js';
import { randomUint32 } from '../core/random.js';
import { isAcceptable } from '../sip/offer-answer.js';
import type { SipSession } from '../sip/session/session.js';
import { Call, type CallContext } from './call.js';
import { parseDialled } from './dialled.js';
import { localCrypto } from './encryption.js';
import { Joins } from './joins.js';
import { type Referral, requestOf } from './transfer.js';

/** Calls at once, all kinds together, unless told otherwise: what a Pi-class board carries with ease. */
export const DEFAULT_MAX_CALLS = 100;

/** Somebody or something at this phone that can be called. */
export interface Destination {
  /** What follows `sip:` and precedes `@` to reach it; compared without regard to case. */
  answersTo(user: string): boolean;
  /**
   * How others take part in its calls (RFC 3911): what is said there is mixed, or they are simply taken too;
   * undefined where nobody can.
   */
  readonly joinable?: 'by-mixing' | 'by-taking';
  /** Takes the call: `ring`, `answer` or `refuse`. */
  take(call: Call): void;
}

export interface CallsEvents {
  /** A call began; its own events tell the rest. */
  call: [call: Call];
}

export type CallsOptions = Omit<CallContext, 'newSessionId'> & {
  readonly random: Random;
  /** Asked in order; a user that none answers to is not found (404). */
  readonly destinations: readonly Destination[];
  /** Calls at once, all kinds together; beyond, callers hear that we are busy (486). */
  readonly maxCalls?: number;
};

export class Calls extends EventEmitter<CallsEvents> {
  readonly #options: CallsOptions;
  readonly #context: CallContext;
  readonly #maxCalls: number;
  readonly #current = new Set<Call>();
  readonly #joins: Joins;

  constructor(options: CallsOptions) {
    super();
    this.#options = options;
    this.#maxCalls = options.maxCalls ?? DEFAULT_MAX_CALLS;
    this.#context = { ...options, newSessionId: () => randomUint32(options.random) };
    this.#joins = new Joins(options.media, options.logger);
    options.userAgent.onSession = session => this.#onSession(session);
  }

  /** Whether there are as many calls as there may be. */
  get full(): boolean {
    return this.#current.size >= this.#maxCalls;
  }

  /** Calls that have not ended. */
  get current(): readonly Call[] {
    return [...this.#current];
  }

  /**
   * Calls somebody; the call has begun when this returns.
   *
   * @throws {CodedError} `BAD_TARGET`
   */
  dial(target: string): Call {
    return this.#begin(requestOf(parseDialled(target)), target);
  }

  /** Calls whom a REFER names; the call has begun when this returns. */
  follow(referral: Referral): Call {
    return this.#begin(referral, referral.uri.user ?? referral.uri.host);
  }

  /** Our addresses or links changed: calls go on where we are now. */
  networkChanged(): void {
    for (const call of this.#current) call.networkChanged();
  }

  /** Hangs up every call. */
  hangUpAll(): void {
    for (const call of this.#current) call.hangUp();
  }

  #begin({ uri, headers }: Referral, target: string): Call {
    const call = Call.outgoing(this.#context, uri, target, headers);
    this.#track(call);
    call.start();
    return call;
  }

  #onSession(session: SipSession): void {
    const { replaces } = session;
    const replaced = replaces && [...this.#current].find(call => call.holds(replaces));
    if (replaced) {
      replaced.replaceBy(session);
      return;
    }
    if (session.joins) {
      this.#onJoin(session, session.joins);
      return;
    }
    const user = session.calledUser;
    const destination = this.#options.destinations.find(entry => entry.answersTo(user));
    if (!destination) {
      session.reject(404);
    } else if (this.full) {
      this.#options.logger.warn(
        { calls: this.#maxCalls },
        'a call was refused: too many at once (limits.calls)',
      );
      session.reject(486);
    } else if (!this.#canAnswer(session)) {
      // Nobody is to be called to a phone for what it cannot take, such as WebRTC.
      session.reject(488);
    } else {
      const call = Call.incoming(this.#context, session);
      this.#track(call);
      destination.take(call);
    }
  }

  /** Somebody wants to take part in a call there is (RFC 3911 §4). */
  #onJoin(session: SipSession, joined: SipSession): void {
    const call = [...this.#current].find(entry => entry.holds(joined));
    const destination = call && this.#destinationOf(call);
    const joinable = destination === undefined || destination.joinable !== undefined;
    if (!call || !joinable || !this.#canAnswer(session)) {
      session.reject(488);
    } else if (this.full || !this.#joins.admits(call)) {
      session.reject(486);
    } else {
      const guest = Call.incoming(this.#context, session);
      this.#track(guest);
      if (destination?.joinable === 'by-taking') destination.take(guest);
      else this.#joins.join(call, guest);
    }
  }

  /** Undefined for a call of ours, and for one whose destination is no more. */
  #destinationOf({ direction, calledUser }: Call): Destination | undefined {
    if (direction === 'outgoing') return undefined;
    return this.#options.destinations.find(entry => entry.answersTo(calledUser));
  }

  /** Who leaves the offer to us will have to take it. */
  #canAnswer({ offer, secure }: SipSession): boolean {
    if (offer === undefined) return true;
    const { formats, encryption, random } = this.#options;
    const crypto = localCrypto(encryption, secure, random);
    const endpoint = { address: '0.0.0.0', port: 0 };
    return isAcceptable(offer, {
      endpoint,
      formats,
      sessionId: 0,
      version: 0,
      ...(crypto && { crypto }),
    });
  }

  #track(call: Call): void {
    this.#current.add(call);
    call.once('ended', () => this.#current.delete(call));
    this.emit('call', call);
  }
}
