/**
 * Loaded into a phone before its own code (`node --import`): its overlay is the one of a later version
 * (`test/overlay/later-overlay.ts`). Nothing else of it is another, and what it tells goes to standard output.
 */
import { register } from 'node:module';

register('./later-hooks.js', import.meta.url);
