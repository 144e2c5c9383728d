/** The driver of promotion-machine.ts: has this device become a super-node where one is needed, and stop being one. */
import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { type Random, randomUnit } from '../core/random.js';
import {
  newPromotion,
  type Placement,
  type PromotionAction,
  type PromotionEvent,
  type PromotionState,
  type RoleSetting,
  stepPromotion,
} from './nodes/promotion-machine.js';
import type { Overlay } from './overlay.js';
import type { Untimed } from './untimed.js';

export interface PromotionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly overlay: Overlay;
  readonly setting: RoleSetting;
  readonly placement: () => Placement;
  /** Phones on this LAN, this one among them, as far as they are seen. */
  readonly phones: () => number;
}

/** How often the machine is told what it cannot notice: memory, uptime, nodes, phones. */
const LOOK_EVERY_MS = 10_000;

export class Promotion {
  readonly #options: PromotionOptions;
  readonly #state: PromotionState;
  #timer: Timer | undefined;
  #look: Timer | undefined;
  #stopped = false;
  /** Promotions and demotions, one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: PromotionOptions) {
    this.#options = options;
    const { overlay, setting, random } = options;
    this.#state = newPromotion(overlay.id, setting, () => randomUnit(random));
    overlay.on('attached', (_to, nodes) => this.#step({ type: 'attached', nodes }));
    overlay.on('lost', () => this.#step({ type: 'lost' }));
    overlay.on('nobody', reason => {
      this.#see();
      this.#step({ type: 'nobody', reason });
    });
    overlay.on('unseated', () => this.#step({ type: 'failed' }));
    overlay.on('others', () => this.#see());
  }

  start(): void {
    this.#tell();
    this.#step({ type: 'start' });
  }

  /** Resolves when what is under way has come to its end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#look?.cancel();
    await this.#work;
  }

  #tell(): void {
    const { clock, overlay } = this.#options;
    this.#see();
    if (overlay.role === 'super-node') {
      this.#step({ type: 'load', nodes: overlay.status.nodes });
    }
    if (!this.#stopped) this.#look = clock.after(LOOK_EVERY_MS, () => this.#tell());
  }

  #see(): void {
    const { overlay, phones, placement } = this.#options;
    this.#step({ type: 'placement', placement: placement() });
    const superNodes = overlay.serving.map(({ id }) => ({ id }));
    this.#step({ type: 'seen', superNodes, apart: overlay.apart, phones: phones() });
  }

  #step(event: Untimed<PromotionEvent>): void {
    if (this.#stopped) return;
    const now = this.#options.clock.now();
    for (const action of stepPromotion(this.#state, { ...event, now } as PromotionEvent)) {
      this.#act(action);
    }
  }

  #act(action: PromotionAction): void {
    const { overlay, clock, logger } = this.#options;
    switch (action.type) {
      case 'promote':
        logger.info({ overlay: overlay.name }, 'becoming a super-node');
        this.#work = this.#work.then(async () => {
          if (this.#stopped) return;
          try {
            await overlay.promote({ founds: action.found });
          } catch (error) {
            logger.info({ reason: asError(error).message }, 'this is no super-node after all');
            this.#step({ type: 'failed' });
          }
        });
        return;
      case 'demote':
        logger.info({ overlay: overlay.name }, 'being a super-node no longer');
        this.#work = this.#work.then(() => overlay.demote());
        return;
      case 'set-timer':
        this.#timer?.cancel();
        this.#timer = clock.after(action.ms, () => this.#step({ type: 'timer' }));
        return;
    }
  }
}
