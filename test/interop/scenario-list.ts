/** The scenarios of SIPp: which file, who calls whom, and what should become of it. */
import type { WayName } from './ways.js';

export const PHONE = 'interop';
const ECHO_TEST = '*43';
const MEETING_ROOM = 'room';

interface Played {
  readonly file: string;
  /** Played once more by each of these; by UDP all are. */
  readonly over?: readonly WayName[];
  /** The scenario deals with messages that come again; in others SIPp passes over them. */
  readonly seesRepeated?: boolean;
}

/** We call the peer with `ringline call`. */
export interface Placed extends Played {
  /** Exit status of the command; 0 by default. */
  readonly exit?: number;
  /** Of talk before we hang up. Without it the peer is the one who ends the call. */
  readonly seconds?: number;
  /** Keys of the handset, pressed one after the other while we talk. */
  readonly keys?: readonly string[];
  /** With an account at the peer, by its address. */
  readonly account?: boolean;
  /** ^C when the peer has the INVITE, or when it rings here. */
  readonly interruptAt?: 'invited' | 'ringing';
  /** The peer sends the call on to another one that plays this. */
  readonly elsewhere?: string;
}

/** The peer calls, or asks, the phone that runs. */
export interface Taken extends Played {
  readonly user: string;
  readonly keys?: Readonly<Record<string, string>>;
  /** The peer has the call go on to another one that plays this. */
  readonly elsewhere?: string;
}

/** The longest first. */
export const PLACED: readonly Placed[] = [
  { file: 'call-slow-ring', seconds: 0.2 },
  { file: 'call-crossing-offers', over: ['TLS'], seconds: 7 },
  { file: 'call-crossing-updates', seconds: 7 },
  { file: 'call-update-meets-offer', seconds: 3 },
  { file: 'call-refresh-by-update', seconds: 3 },
  { file: 'call-login-for-refresh', seconds: 3, account: true },
  { file: 'call-peer-vanishes', exit: 4 },
  { file: 'call-early-media', over: ['TLS', 'TCP, joined'], seconds: 0.2 },
  { file: 'call-ringing', over: ['TCP, cut', 'TCP over IPv6', 'UDP over IPv6'], seconds: 0.2 },
  { file: 'call-two-answers', over: ['TCP, joined'], seconds: 0.5 },
  { file: 'call-two-ringing', seconds: 0.2 },
  { file: 'call-reliable-183', over: ['TCP, joined and cut', 'TLS'], seconds: 0.2 },
  { file: 'call-hold', over: ['TCP', 'TCP, cut', 'TLS', 'UDP over IPv6'], seconds: 0.5 },
  { file: 'call-transferred', keys: ['transfer sip:ben@192.0.2.9'], over: ['TLS', 'TCP, cut'] },
  { file: 'call-transfer-in-vain', keys: ['transfer sip:ben@192.0.2.9', 'hangup'] },
  { file: 'call-transfer-refused', keys: ['transfer sip:ben@192.0.2.9', 'hangup'] },
  { file: 'call-held', keys: ['hold', 'resume', 'hangup'], over: ['TLS'] },
  { file: 'call-hold-refused', keys: ['hold', 'hangup'] },
  { file: 'call-update', seconds: 0.5 },
  { file: 'call-update-while-ringing', seconds: 0.5 },
  { file: 'call-refresh-by-peer', seconds: 0.5 },
  { file: 'call-interval-too-small', seconds: 0.2 },
  { file: 'call-stale-nonce', over: ['TLS', 'TCP, cut'], seconds: 0.2, account: true },
  { file: 'call-proxy-login', seconds: 0.2, account: true },
  { file: 'call-wrong-password', exit: 5, account: true },
  { file: 'call-redirected', seconds: 0.2, elsewhere: 'call-ringing' },
  { file: 'call-busy', exit: 6 },
  { file: 'call-declined', exit: 5 },
  { file: 'call-unknown-there', exit: 3 },
  { file: 'call-refused-codec', exit: 7 },
  { file: 'call-unavailable', exit: 4 },
  { file: 'call-given-up', over: ['TLS'], interruptAt: 'ringing', account: true },
  { file: 'call-given-up-early', seesRepeated: true, interruptAt: 'invited' },
  { file: 'call-answered-too-late', over: ['TCP, joined'], interruptAt: 'ringing' },
  { file: 'call-answer-thrice', seesRepeated: true, seconds: 0.5 },
  { file: 'call-answer-in-unknown-codec', exit: 7 },
  { file: 'call-by-proxy', over: ['UDP over IPv6'], seconds: 0.2 },
  { file: 'call-peer-hangs-up' },
  { file: 'call-ended-at-once' },
];

export const TAKEN: readonly Taken[] = [
  {
    file: 'take-call',
    over: ['TCP', 'TCP, cut', 'TCP, joined', 'TLS', 'UDP over IPv6', 'TCP over IPv6'],
    user: ECHO_TEST,
  },
  { file: 'take-cancel', over: ['TLS', 'TCP, cut'], user: PHONE },
  { file: 'take-cancel-too-late', user: ECHO_TEST },
  { file: 'take-lost-ack', seesRepeated: true, user: ECHO_TEST },
  { file: 'take-invite-again', seesRepeated: true, user: PHONE },
  {
    file: 'take-reliable-required',
    seesRepeated: true,
    over: ['TLS', 'TCP, joined and cut'],
    user: PHONE,
  },
  { file: 'take-bye-while-ringing', user: PHONE },
  { file: 'take-update-while-ringing', user: PHONE },
  {
    file: 'take-hold',
    over: ['TCP, joined and cut', 'TLS', 'UDP over IPv6', 'TCP over IPv6'],
    user: ECHO_TEST,
  },
  { file: 'take-bad-reoffer', user: ECHO_TEST },
  { file: 'take-reoffer-before-ack', user: ECHO_TEST },
  { file: 'take-by-proxy', user: ECHO_TEST },
  { file: 'take-offerless', over: ['TCP, joined'], user: ECHO_TEST },
  { file: 'take-no-common-codec', user: ECHO_TEST },
  { file: 'take-several-streams', user: ECHO_TEST },
  { file: 'take-compact', user: ECHO_TEST },
  {
    file: 'take-long',
    over: ['TCP', 'TCP, cut', 'TLS'],
    user: ECHO_TEST,
    keys: { padding: 'x'.repeat(60_000) },
  },
  { file: 'take-rfc2543', user: ECHO_TEST },
  { file: 'take-rfc2543-refused', user: 'nobody' },
  { file: 'take-interval-too-small', user: ECHO_TEST },
  { file: 'take-refresher-uas', user: ECHO_TEST },
  { file: 'take-merged', user: PHONE },
  { file: 'take-old-cseq', user: ECHO_TEST },
  { file: 'take-info', user: ECHO_TEST },
  { file: 'take-unknown-user', user: 'nobody' },
  { file: 'take-replaces', user: ECHO_TEST },
  { file: 'take-replaces-unknown', user: ECHO_TEST },
  { file: 'take-join', user: MEETING_ROOM },
  { file: 'take-refer', user: ECHO_TEST, elsewhere: 'call-peer-hangs-up' },
  { file: 'take-refer-to-nobody', user: ECHO_TEST },
  { file: 'ask-options', over: ['TLS', 'UDP over IPv6'], user: PHONE },
  { file: 'ask-last-hop', user: PHONE },
  { file: 'take-subscribe', over: ['TCP, cut', 'UDP over IPv6'], user: PHONE },
  { file: 'ask-unknown-event', user: PHONE },
  { file: 'ask-unknown-method', user: PHONE },
  { file: 'ask-unknown-extension', user: PHONE },
  { file: 'ask-malformed', over: ['TCP, cut'], user: PHONE },
  { file: 'ask-other-body', user: PHONE },
  { file: 'ask-unknown-dialog', user: PHONE },
  { file: 'ask-message', over: ['TCP, cut', 'TLS'], user: PHONE },
  { file: 'ask-message-html', user: PHONE },
  { file: 'ask-refer', user: PHONE },
];
