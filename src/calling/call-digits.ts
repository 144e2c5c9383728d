/** Sends and hears the digits of a call: the driver of its digits machine. */
import type { SipRequest } from '@sip-stack/parser';
import { parseDigits } from '../media/dtmf/digits.js';
import type { DigitWay, HeardDigit } from '../media/engine.js';
import type { DialogMessage } from '../sip/session/state.js';
import { readInfo, writeInfo } from './digit-info.js';
import {
  type DigitRoute,
  type DigitsAction,
  type DigitsEvent,
  newDigits,
  stepDigits,
} from './digits-machine.js';

export interface CallDigitsHost {
  now(): number;
  /** Whether both sides have telephone-event (RFC 4733). */
  hasEvents(): boolean;
  /** Resolves when they are sent, or cannot be any more. */
  play(digits: string, by: DigitWay): Promise<void>;
  /** A request within the call; its final status goes to `answered`. */
  send(message: DialogMessage): void;
  onDigit(digit: string, by: DigitRoute): void;
}

export class CallDigits {
  readonly #host: CallDigitsHost;
  readonly #state = newDigits();
  readonly #done: (() => void)[] = [];

  constructor(host: CallDigitsHost) {
    this.#host = host;
  }

  /**
   * Resolves when they are sent, or the call has ended.
   *
   * @throws {CodedError} `BAD_DIGITS`
   */
  send(text: string): Promise<void> {
    const digits = parseDigits(text);
    return new Promise(resolve => {
      this.#done.push(resolve);
      this.#step({ type: 'send', digits, events: this.#host.hasEvents() });
    });
  }

  /** From the voice. */
  heard({ digit, by, ms }: HeardDigit): void {
    if (ms === undefined) this.#hear(digit, by);
  }

  /** An INFO of the other side's: what it is answered with. */
  received(info: SipRequest): { status: number; headers: Readonly<Record<string, string>> } {
    const read = readInfo(info);
    if (read.type === 'refused') return read;
    if (read.type === 'digit') this.#hear(read.digit, 'info');
    return { status: 200, headers: {} };
  }

  /** What became of an INFO of ours. */
  answered(status: number): void {
    this.#step({ type: 'info-answered', status, events: this.#host.hasEvents() });
  }

  /** The call is over: nobody waits any more. */
  close(): void {
    for (const done of this.#done.splice(0)) done();
  }

  #hear(digit: string, by: DigitRoute): void {
    this.#step({ type: 'heard', digit, by, nowMs: this.#host.now() });
  }

  #step(event: DigitsEvent): void {
    for (const action of stepDigits(this.#state, event)) this.#perform(action);
  }

  #perform(action: DigitsAction): void {
    switch (action.type) {
      case 'play': {
        const sent = () => this.#step({ type: 'sent', events: this.#host.hasEvents() });
        // What became of them does not matter here: a leg that failed is told of by the engine.
        this.#host.play(action.digits, action.by).then(sent, sent);
        return;
      }
      case 'info':
        this.#host.send(writeInfo(action.digit));
        return;
      case 'done':
        this.close();
        return;
      case 'tell':
        this.#host.onDigit(action.digit, action.by);
        return;
    }
  }
}
