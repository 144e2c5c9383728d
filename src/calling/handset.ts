/**
 * What the keys of a desk phone do to the calls of the person there: keep somebody waiting, ask somebody
 * else meanwhile, pass a call on.
 */
import type { SipUri } from '@sip-stack/parser';
import type { Clock } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { Locator } from '../discovery/locator.js';
import type { Call } from './call.js';
import { type CallEnd, endOfStatus } from './call-end.js';
import type { Calls } from './calls.js';
import { parseDialled } from './dialled.js';
import type { HandsetKey } from './handset-key.js';
import type { Person } from './person.js';
import { SUBSCRIPTION_S } from './transfer.js';

export interface HandsetOptions {
  readonly calls: Calls;
  readonly person: Person;
  readonly locator: Locator;
  readonly clock: Clock;
}

export class Handset {
  readonly #options: HandsetOptions;

  constructor(options: HandsetOptions) {
    this.#options = options;
  }

  /** The person's calls, the newest first: services of the phone have their own. */
  get current(): readonly Call[] {
    const { calls, person } = this.#options;
    return calls.current
      .filter(call => call.direction === 'outgoing' || person.answersTo(call.calledUser))
      .reverse();
  }

  /**
   * Resolves when it is done, with the call it was about.
   *
   * @throws {CodedError} `NO_CALL` where no call is in a state for it, `HOLD_REFUSED`, `BAD_TARGET`, or the
   *   code of a `CallEnd`: why somebody could not be reached
   */
  async press(pressed: HandsetKey): Promise<Call> {
    switch (pressed.key) {
      case 'hold':
        return setHeld(this.#talking(), true);
      case 'resume':
        return this.#resume();
      case 'consult':
        return this.#consult(pressed.who);
      case 'transfer':
        return this.#transfer(pressed.who);
      case 'digits': {
        const call = this.#talking();
        await call.sendDigits(pressed.digits);
        return call;
      }
      case 'hangup': {
        const call = this.current.find(({ held }) => !held) ?? this.current[0];
        if (!call) throw noCall('a call');
        call.hangUp();
        return call;
      }
    }
  }

  #talking(): Call {
    const call = this.current.find(({ phase, held }) => phase === 'connected' && !held);
    if (!call) throw noCall('somebody to talk to');
    return call;
  }

  async #resume(): Promise<Call> {
    const waiting = this.current.find(({ held }) => held);
    if (!waiting) throw noCall('somebody who waits');
    const talking = this.current.find(({ phase, held }) => phase === 'connected' && !held);
    if (talking) await setHeld(talking, true);
    return setHeld(waiting, false);
  }

  async #consult(who: string): Promise<Call> {
    const { calls, person } = this.#options;
    await setHeld(this.#talking(), true);
    const call = calls.dial(who);
    person.join(call);
    await new Promise<void>((resolve, reject) => {
      call.on('phase', phase => {
        if (phase === 'connected') resolve();
      });
      call.once('ended', end => reject(failure(end)));
    });
    return call;
  }

  async #transfer(who: string | undefined): Promise<Call> {
    const [newest, before] = this.current.filter(({ phase }) => phase === 'connected');
    if (!newest) throw noCall('somebody to talk to');
    if (who !== undefined) {
      const to = await this.#reachable(parseDialled(who));
      return passOn(newest, to, who, this.#options.clock);
    }
    if (!before) throw noCall('two calls to join, one after `consult`');
    await passOn(before, newest, newest.target, this.#options.clock);
    // A phone that knows no Replaces has two calls now, and leaves the old one to us (RFC 5589 §7.3).
    newest.hangUp();
    return before;
  }

  /** What only phones of this network understand is told by address. */
  async #reachable(uri: SipUri): Promise<SipUri> {
    if (uri.host !== 'local' && !uri.host.endsWith('.local')) return uri;
    const { locator } = this.#options;
    const [location] = await locator.locate(uri, new AbortController().signal);
    return location?.uri ?? uri;
  }
}

function setHeld(call: Call, held: boolean): Promise<Call> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      call.off('held', onHeld);
      call.off('holdRefused', onRefused);
      call.off('ended', onEnded);
      outcome();
    };
    const onHeld = (now: boolean) => {
      if (now === held) settle(() => resolve(call));
    };
    const onRefused = (status: number) =>
      settle(() =>
        reject(new CodedError('HOLD_REFUSED', `${call.target} did not take that (${status})`)),
      );
    const onEnded = (end: CallEnd) => settle(() => reject(failure(end)));
    call.on('held', onHeld).on('holdRefused', onRefused).on('ended', onEnded);
    call.hold(held);
  });
}

/** Resolves when the other side talks to whom it was sent to, and has left this call. */
function passOn(call: Call, to: SipUri | Call, who: string, clock: Clock): Promise<Call> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      limit.cancel();
      call.off('transferFailed', onFailed);
      call.off('ended', onEnded);
      outcome();
    };
    const onFailed = (status: number) =>
      settle(() => reject(failure(endOfStatus(who, 'remote', status, 'not reached', false))));
    const onEnded = () => settle(() => resolve(call));
    // A peer that never tells has had its time: RFC 3515 §2.4.4.
    const limit = clock.after(SUBSCRIPTION_S * 1000, () => onFailed(408));
    call.on('transferFailed', onFailed).on('ended', onEnded);
    call.transfer(to);
  });
}

function noCall(wanted: string): CodedError {
  return new CodedError('NO_CALL', `expected ${wanted}, found no such call`, {
    remedy: '`ringline status` shows the calls of the phone that runs here.',
  });
}

function failure(end: CallEnd): CodedError {
  return new CodedError(end.code, end.message, end);
}
