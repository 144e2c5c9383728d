/** Whether the pauses of a call's voice are sent. */

/**
 * `send`: as they are. `suppress`: as comfort noise (RFC 3389) to who takes it, and Opus leaves them out (DTX) where the
 * other side asks for that; it is asked for too.
 */
export const SILENCE_POLICIES = ['send', 'suppress'] as const;
export type SilencePolicy = (typeof SILENCE_POLICIES)[number];
