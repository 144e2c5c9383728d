/** Lets the person at this phone hear how a call of theirs goes: the driver of its tones. */
import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { MediaEngine, MediaNode, Player } from '../media/engine.js';
import { parseTones } from '../media/tone-notation.js';
import type { Call } from './call.js';
import {
  newTones,
  stepTones,
  type ToneAction,
  type ToneEvent,
  type ToneName,
} from './call-tones-machine.js';
import type { Calls } from './calls.js';
import type { CountryTones } from './country-tones.js';

/** How often it is looked whether something comes from the other side: less than a tone's shortest pause. */
const LOOK_MS = 100;
/** Of tones in Hz: a recorder has the rate of what it hears first, and voices may come that are as wide. */
const SAMPLE_RATE = 16_000;

export interface CallTonesOptions {
  readonly media: MediaEngine;
  readonly clock: Clock;
  readonly tones: CountryTones;
  /** An outgoing call that was not started yet, or has only just been. */
  readonly call: Call;
  /** What the person hears: a recorder, a loudspeaker. It hears the other side too. */
  readonly ear: MediaNode;
  /** The phone's, to tell of one that waits. */
  readonly calls: Calls;
  /** Told what could not be played; the call goes on. */
  readonly onError: (error: Error) => void;
}

export class CallTones {
  /** Resolves when nothing more is heard of it. */
  readonly over: Promise<void>;
  readonly #options: CallTonesOptions;
  readonly #state = newTones();
  #finish: () => void = () => undefined;
  #player: Promise<Player | undefined> = Promise.resolve(undefined);
  #timer: Timer | undefined;
  #look: Timer | undefined;

  constructor(options: CallTonesOptions) {
    this.#options = options;
    this.over = new Promise(resolve => {
      this.#finish = resolve;
    });
    const { call, calls } = options;
    call.on('phase', phase => {
      if (phase === 'trying' || phase === 'ringing' || phase === 'connected') {
        this.#step({ type: phase });
      }
      // With or without ringing: a gateway may speak at once (183).
      if (phase === 'trying') this.#lookForVoice();
    });
    call.once('ended', ({ code }) => this.#step({ type: 'ended', code }));
    const waits = (other: Call) => this.#onOther(other);
    calls.on('call', waits);
    void this.over.then(() => calls.off('call', waits));
  }

  /** The person does not listen any more. */
  hush(): void {
    this.#step({ type: 'enough' });
  }

  #onOther(other: Call): void {
    if (other.direction === 'outgoing') return;
    this.#step({ type: 'waiting', waits: true });
    other.on('phase', phase => this.#step({ type: 'waiting', waits: phase === 'ringing' }));
    other.once('ended', () => this.#step({ type: 'waiting', waits: false }));
  }

  #lookForVoice(): void {
    this.#look?.cancel();
    this.#look = this.#options.clock.after(LOOK_MS, () => void this.#lookOnce());
  }

  async #lookOnce(): Promise<void> {
    const { call } = this.#options;
    const statistics = await call.statistics().catch(() => undefined);
    if (call.phase !== 'trying' && call.phase !== 'ringing') return;
    if ((statistics?.packetsReceived ?? 0) > 0) this.#step({ type: 'voice' });
    else this.#lookForVoice();
  }

  #step(event: ToneEvent): void {
    for (const action of stepTones(this.#state, event)) this.#perform(action);
  }

  #perform(action: ToneAction): void {
    switch (action.type) {
      case 'play':
        this.#play(action.tone);
        return;
      case 'stop':
        this.#play(undefined);
        return;
      case 'set-timer':
        this.#timer = this.#options.clock.after(action.ms, () => this.#step({ type: 'enough' }));
        return;
      case 'listen': {
        const { media, call, ear } = this.#options;
        if (call.leg) media.connect(call.leg, ear);
        return;
      }
      case 'over':
        this.#timer?.cancel();
        this.#look?.cancel();
        void this.#player.then(() => this.#finish());
        return;
    }
  }

  /** One after the other: what was asked for last is heard. */
  #play(name: ToneName | undefined): void {
    this.#player = this.#player
      .then(before => this.#replace(before, name))
      .catch(error => {
        this.#options.onError(asError(error));
        return undefined;
      });
  }

  async #replace(before: Player | undefined, name: ToneName | undefined) {
    const { media, tones, ear } = this.#options;
    await before?.close();
    if (name === undefined) return undefined;
    const player = await media.openTone({
      tones: parseTones(tones[name], `${name} tone of ${tones.country}`),
      loop: true,
      sampleRate: SAMPLE_RATE,
    });
    media.connect(player, ear);
    return player;
  }
}
