/** The phone's meeting room: whoever calls `room` hears the others there. */
import type { Call } from '../calling/call.js';
import type { Destination } from '../calling/calls.js';
import { asError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { MediaEngine, MediaNode } from '../media/engine.js';

export const MEETING_ROOM = 'room';

/** 32 voices are a meeting; more belong on a phone built as a mixer. */
const MAX_MEMBERS = 32;

export class MeetingRoom implements Destination {
  readonly joinable = 'by-taking';
  readonly #media: MediaEngine;
  readonly #logger: Logger;
  readonly #members = new Set<Call>();
  /** Open while there is anyone in the room. */
  #mix: Promise<MediaNode> | undefined;

  constructor(media: MediaEngine, logger: Logger) {
    this.#media = media;
    this.#logger = logger;
  }

  get members(): readonly Call[] {
    return [...this.#members];
  }

  answersTo(user: string): boolean {
    return user.toLowerCase() === MEETING_ROOM;
  }

  take(call: Call): void {
    if (this.#members.size >= MAX_MEMBERS) {
      call.refuse(486);
      return;
    }
    this.#members.add(call);
    call.on('phase', phase => {
      if (phase === 'connected') void this.#join(call);
    });
    call.once('ended', () => this.#leave(call));
    call.answer();
  }

  async #join(call: Call): Promise<void> {
    try {
      this.#mix ??= this.#media.openMix();
      const mix = await this.#mix;
      // The caller may have hung up meanwhile, and the room closed behind them.
      if (!call.leg || !this.#members.has(call)) return;
      this.#media.connect(call.leg, mix);
      this.#media.connect(mix, call.leg);
    } catch (error) {
      this.#logger.error({ reason: asError(error).message }, 'could not open the meeting room');
      call.hangUp();
    }
  }

  #leave(call: Call): void {
    this.#members.delete(call);
    if (this.#members.size > 0) return;
    const mix = this.#mix;
    this.#mix = undefined;
    void mix?.then(node => node.close()).catch(() => undefined);
  }
}
