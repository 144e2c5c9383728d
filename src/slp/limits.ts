/** How much a peer may make us hold. */

export interface SlpLimits {
  /** Octets of one message; the format itself allows 16 MiB. */
  readonly messageBytes: number;
  readonly urlEntries: number;
  /** In one list: scopes, previous responders, tags, attributes. */
  readonly listItems: number;
  readonly authenticationBlocks: number;
  readonly extensions: number;
  /** Of a search filter, one in the other. */
  readonly filterDepth: number;
}

export const DEFAULT_LIMITS: SlpLimits = {
  messageBytes: 262_144,
  urlEntries: 4096,
  listItems: 1024,
  authenticationBlocks: 16,
  extensions: 16,
  filterDepth: 32,
};
