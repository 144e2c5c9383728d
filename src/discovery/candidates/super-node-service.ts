/**
 * How a super-node is called on the network: by DNS-SD (RFC 6763), by SRV records of a domain (RFC 2782) and by SLP
 * (RFC 2608; the template is in src/slp/README.md).
 */

/** The port of its SRV record is that of SIP over TLS, unless `transport` in the TXT record says otherwise. */
export const SUPER_NODE_SERVICE = '_ringline._tcp';
/** An abstract type: who asks for it finds them whatever they speak. */
export const SUPER_NODE_SLP_TYPE = 'service:supernode.ringline';

/** Keys of its TXT record. */
export const SUPER_NODE_KEYS = {
  overlay: 'overlay',
  nodeId: 'node',
  transport: 'transport',
  /** `node`: it may become a super-node, and is none now. Left out: it is one. */
  role: 'role',
} as const;

export const NODE_ROLE = 'node';

/** Of nodes and overlays as they are announced by strangers; anything else is left out. */
const NODE_ID = /^[0-9a-f]{40}$/;
const OVERLAY_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function nodeIdIn(text: string | undefined): string | undefined {
  const folded = text?.toLowerCase() ?? '';
  return NODE_ID.test(folded) ? folded : undefined;
}

export function overlayIn(text: string | undefined): string | undefined {
  const folded = text?.toLowerCase() ?? '';
  return OVERLAY_NAME.test(folded) ? folded : undefined;
}
