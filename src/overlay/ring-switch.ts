/** The ring this device has now, if it has one: as a member, attached to one, or not yet. */
import { EventEmitter } from 'node:events';
import { CodedError } from '../core/errors.js';
import type { Id } from './ids.js';
import type { RingRecord } from './records.js';
import type { RingAccess } from './ring-access.js';

export interface RingSwitchEvents {
  /** It has another, or none any more. */
  changed: [present: boolean];
}

export class RingSwitch extends EventEmitter<RingSwitchEvents> implements RingAccess {
  #access: RingAccess | undefined;

  get present(): boolean {
    return this.#access !== undefined;
  }

  use(access: RingAccess | undefined): void {
    if (access === this.#access) return;
    this.#access = access;
    this.emit('changed', this.present);
  }

  async get(key: Id, signal?: AbortSignal): Promise<readonly RingRecord[]> {
    return this.#needed().get(key, signal);
  }

  async put(record: RingRecord): Promise<number> {
    return this.#needed().put(record);
  }

  #needed(): RingAccess {
    if (this.#access) return this.#access;
    throw new CodedError('NO_RING', 'expected a ring to ask, found none so far', {
      remedy: 'It is looked for all the time; `ringline status` says when there is one.',
    });
  }
}
