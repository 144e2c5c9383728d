/** A member: its place, and where it is reached. Never changed, so shared freely. */
import type { Id } from './ids.js';

export interface Peer {
  readonly id: Id;
  readonly address: string;
}
