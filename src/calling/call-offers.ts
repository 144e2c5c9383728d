/** Offers and answers within a call (RFC 3264): how its media is agreed on, held, and changed by either side. */
import { asError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { SipSession } from '../sip/session/session.js';
import { endOfError } from './call-end.js';
import type { CallEvent, CallPhase } from './call-machine.js';
import type { CallMedia } from './call-media.js';

export interface CallOffersHost {
  readonly logger: Logger;
  readonly phase: () => CallPhase;
  /** As it is now: a transfer puts another in its place. */
  readonly media: () => CallMedia;
  readonly step: (event: CallEvent) => void;
  /** The other side waits now, or is heard again, as we asked. */
  readonly onHeld: (held: boolean) => void;
  /** It goes on as before. */
  readonly onHoldRefused: (status: number) => void;
}

export class CallOffers {
  readonly #host: CallOffersHost;
  /** What our offer under way is about: hold or resume. */
  #asked: boolean | undefined;

  constructor(host: CallOffersHost) {
    this.#host = host;
  }

  /** Asks the other side to wait, or to go on: `onHeld` or `onHoldRefused` follows. */
  hold(session: SipSession, held: boolean): void {
    this.#asked = held;
    session.reoffer(this.#media.offerHold(held));
  }

  /** Takes a call that came in, whose media is open. Throws as `CallMedia.answer`; the session is rejected then. */
  accept(session: SipSession): void {
    if (session.offer === undefined) {
      // The caller leaves the offer to us; its answer comes with the ACK.
      session.accept(this.#media.offer());
      return;
    }
    let answer: string;
    try {
      answer = this.#media.answer(session.offer);
    } catch (error) {
      session.reject(488);
      throw error;
    }
    session.accept(answer);
    this.#host.step({ type: 'connected' });
  }

  /** The other side's answer to the offer of our INVITE. */
  answered(sdp: string | undefined): void {
    try {
      this.#media.agree(sdp);
      this.#host.step({ type: 'connected' });
    } catch (error) {
      this.#host.step({ type: 'failed', end: endOfError(error) });
    }
  }

  /** Our 2xx arrived; with the answer, where it carried our offer. */
  confirmed(sdp: string | undefined): void {
    if (this.#host.phase() === 'answering') this.answered(sdp);
    else this.reanswered(sdp);
  }

  /** Tones and announcements before the call is taken; what is wrong with them will show in the answer. */
  early(sdp: string): void {
    try {
      this.#media.agree(sdp);
    } catch (error) {
      this.#host.logger.debug({ reason: asError(error).message }, 'early media not understood');
    }
  }

  /** An answer within the call, to an offer that was not about waiting. */
  reanswered(sdp: string | undefined): void {
    try {
      if (sdp !== undefined) this.#media.agree(sdp);
    } catch (error) {
      this.#host.step({ type: 'failed', end: endOfError(error) });
    }
  }

  /** The answer to an offer that may have been about waiting. */
  holdAnswered(sdp: string | undefined): void {
    this.reanswered(sdp);
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked !== undefined && this.#host.phase() === 'connected') this.#host.onHeld(asked);
  }

  offerRefused(status: number): void {
    if (this.#asked === undefined) return;
    this.#asked = undefined;
    this.#media.revertHold();
    this.#host.onHoldRefused(status);
  }

  /** The other side offers other media, or asks for an offer. */
  reoffered(session: SipSession, offer: string | undefined): void {
    this.#media.renew();
    try {
      session.accept(offer === undefined ? this.#media.offer() : this.#media.answer(offer));
    } catch (error) {
      this.#host.logger.debug({ reason: asError(error).message }, 'refused other media');
      session.reject(488);
    }
  }

  get #media(): CallMedia {
    return this.#host.media();
  }
}
