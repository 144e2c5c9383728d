/**
 * How the commands talk to the phone that runs on this machine: one JSON object a line over a Unix
 * socket in its data directory. The client sends one request; the phone answers with events until
 * either side closes.
 */
import { join } from 'node:path';
import type { CallAudioOptions } from '../calling/call-audio.js';
import type { DivertedBy } from '../calling/caller.js';
import type { DigitRoute } from '../calling/digits-machine.js';
import type { HandsetKey } from '../calling/handset-key.js';
import { CodedError } from '../core/errors.js';
import type { TextMessage } from '../services/messages/inbox-machine.js';
import type { LampState } from '../sip/events/dialog-info.js';
import type { PhoneStatus } from './phone-status.js';

export type ControlRequest =
  | { readonly method: 'status' }
  /** Answer this phone's calls, those that ring now first, for as long as the connection is open. */
  | { readonly method: 'answer'; readonly audio: CallAudioOptions }
  /** A key of the handset: what it does to this phone's calls. */
  | { readonly method: 'press'; readonly pressed: HandsetKey }
  /** Messages that nobody has seen, or all; with `follow` also those that come in from now on. */
  | { readonly method: 'messages'; readonly all: boolean; readonly follow: boolean }
  /** Somebody was expelled from an overlay, by a command beside the phone: its ring is to know. */
  | { readonly method: 'tell-expelled'; readonly overlay: string }
  /** Watch the lamps of others, for as long as the connection is open. */
  | { readonly method: 'watch'; readonly names: readonly string[] };

export type ControlEvent =
  | { readonly event: 'status'; readonly status: PhoneStatus }
  /** The request is granted; what follows are the calls. */
  | { readonly event: 'ready'; readonly name: string }
  | {
      readonly event: 'call';
      readonly id: string;
      readonly from: string;
      readonly phase: string;
      /** Who sent the call on to us, the latest first. */
      readonly divertedBy?: readonly DivertedBy[];
    }
  /** The other side of a call pressed a key. */
  | {
      readonly event: 'digit';
      readonly id: string;
      readonly from: string;
      readonly digit: string;
      readonly by: DigitRoute;
    }
  | {
      readonly event: 'ended';
      readonly id: string;
      readonly code: string;
      readonly message: string;
    }
  /** The key has done what it does; with whom that call was. */
  | { readonly event: 'done'; readonly key: HandsetKey['key']; readonly with: string }
  | { readonly event: 'message'; readonly message: TextMessage }
  /** Whether the ring knows now. */
  | { readonly event: 'told'; readonly inRing: boolean }
  | { readonly event: 'lamp'; readonly name: string; readonly state: LampState }
  /** Nothing more will be told of it. */
  | {
      readonly event: 'unwatched';
      readonly name: string;
      readonly code: string;
      readonly message: string;
    }
  | {
      readonly event: 'error';
      readonly code: string;
      readonly message: string;
      readonly remedy?: string;
    };

/** What the kernel's `sun_path` holds, less its final zero: unix(7). */
const MAX_SOCKET_PATH_OCTETS = 107;

/** @throws {CodedError} `PATH_TOO_LONG` */
export function controlSocketPath(dataDirectory: string): string {
  const path = join(dataDirectory, 'control.sock');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_OCTETS) {
    throw new CodedError(
      'PATH_TOO_LONG',
      `expected a data directory whose path has at most ${MAX_SOCKET_PATH_OCTETS - 13} octets, found ${dataDirectory}`,
      { remedy: 'Choose a shorter one with --data.' },
    );
  }
  return path;
}
