/** Bindings as they are kept over a restart. */
import { Contact, Path, SipSyntaxError } from '@sip-stack/parser';
import type { Binding, Flow } from './binding.js';

/**
 * What a device would tell again when it registers anew. Nothing of it changes when a registration is
 * merely refreshed, so that nothing has to be written then.
 */
export interface KeptBinding {
  readonly aor: string;
  /** `<uri>;params` */
  readonly contact: string;
  readonly instance?: string;
  readonly regId: number;
  readonly q: number;
  readonly path: readonly string[];
  /** Of datagrams only: connections do not outlive a restart. */
  readonly flow?: Flow;
  /** As granted. */
  readonly seconds: number;
}

/** @returns undefined for a device that nobody can reach after a restart: a browser (RFC 7118 §5.2) */
export function keep(aor: string, binding: Binding): KeptBinding | undefined {
  const { contact, instance, regId, q, path, flow, refreshedAt, expiresAt } = binding;
  if (flow?.protocol === 'WS' || flow?.protocol === 'WSS') return undefined;
  const seconds = Math.round((expiresAt - refreshedAt) / 1000);
  return {
    aor,
    contact,
    ...(instance !== undefined && { instance }),
    regId,
    q,
    path,
    ...(flow?.protocol === 'UDP' && { flow }),
    seconds,
  };
}

/**
 * The binding with its whole lifetime anew: nobody knows how long the restart took.
 *
 * @returns undefined for what cannot be read
 */
export function revive(kept: KeptBinding, now: number): Binding | undefined {
  const { contact, instance, regId, q, path, flow, seconds } = kept;
  try {
    Contact.parse(contact);
    for (const value of path) Path.parse(value);
  } catch (error) {
    if (error instanceof SipSyntaxError) return undefined;
    throw error;
  }
  return {
    contact,
    instance,
    regId,
    q,
    path,
    flow,
    // Of no series: whatever the device sends next is later.
    callId: '',
    sequence: 0,
    refreshedAt: now,
    expiresAt: now + 1000 * seconds,
  };
}
