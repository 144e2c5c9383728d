/** The echo test: whoever calls `*43` hears themselves. */
import type { Call } from '../calling/call.js';
import type { Destination } from '../calling/calls.js';
import type { MediaEngine } from '../media/engine.js';

/** The feature code people know from their PBX. */
export const ECHO_TEST = '*43';

export class EchoTest implements Destination {
  readonly #media: MediaEngine;

  constructor(media: MediaEngine) {
    this.#media = media;
  }

  answersTo(user: string): boolean {
    return user === ECHO_TEST;
  }

  take(call: Call): void {
    call.on('phase', phase => {
      if (phase === 'connected' && call.leg) this.#media.connect(call.leg, call.leg);
    });
    call.answer();
  }
}
