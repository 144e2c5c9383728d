/** Stands in for `src/overlay/overlay.ts` in a phone of a later version (`later-phone.ts`). */
import type { OverlayOptions } from '../../src/overlay/overlay.js';
import { LaterOverlay } from '../overlay/later-overlay.js';

export class Overlay extends LaterOverlay {
  constructor(options: OverlayOptions) {
    super(options, event => process.stdout.write(`${JSON.stringify(event)}\n`));
  }
}
