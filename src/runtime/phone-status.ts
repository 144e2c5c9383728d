/** What `ringline status` shows of a running phone. */

import type { AccountStatus } from '../calling/account.js';
import type { DivertedBy } from '../calling/caller.js';
import type { CallEncryption } from '../calling/encryption.js';
import type { LampState } from '../sip/events/dialog-info.js';
import type { WatcherStatus } from '../sip/events/notifier.js';
import type { SipProtocol } from '../sip/resolution/plan.js';
import type { UserStatus } from '../sip/server/sip-server.js';

export interface CallStatus {
  readonly id: string;
  readonly direction: 'outgoing' | 'incoming';
  readonly with: string;
  /** Who sent the call on to us, the latest first. */
  readonly divertedBy: readonly DivertedBy[];
  /** Its name in Replaces and Join: who calls `sip:NAME@HOST?Join=…` takes part. */
  readonly dialog: string | undefined;
  readonly phase: string;
  readonly codec: string | undefined;
  /** How its voice is encrypted; undefined while it is not. */
  readonly encryption: CallEncryption | undefined;
  /** How the voice sounds at this end and at the other, 1 to 5 (mean opinion score, estimated); the other has to say so. */
  readonly mosHere: number | undefined;
  readonly mosThere: number | undefined;
  /** Of our packets, lost on the way to the other end lately: 0 to 1. */
  readonly lossThere: number | undefined;
  /** Since it was connected. */
  readonly seconds: number | undefined;
}

import type { OverlayPlaceStatus } from './overlay-role.js';

export interface PhoneStatus {
  /** Undefined where it is in none. */
  readonly overlay: OverlayPlaceStatus | undefined;
  readonly name: string;
  readonly deviceId: string;
  readonly version: string;
  readonly pid: number;
  /** Starts of this device so far, this one included. */
  readonly bootCount: number;
  /** `ADDRESS:PORT` as bound. */
  readonly listen: string;
  /** Every protocol it takes SIP by, and `ADDRESS:PORT` as bound. */
  readonly listening: readonly { readonly protocol: SipProtocol; readonly at: string }[];
  /** Where others reach it, `ADDRESS:PORT` each. */
  readonly reachableAt: readonly string[];
  readonly upSeconds: number;
  readonly calls: readonly CallStatus[];
  readonly roomMembers: number;
  /** Somebody answers its calls; otherwise they ring. */
  readonly attended: boolean;
  /** That nobody has seen yet. */
  readonly newMessages: number;
  readonly accounts: readonly AccountStatus[];
  /** Who may register here, with the devices that are registered. */
  readonly users: readonly UserStatus[];
  /** Who is subscribed to the state of this phone and of its users. */
  readonly watchers: readonly WatcherStatus[];
  /** The lamps of others that this phone watches. */
  readonly watched: readonly { readonly name: string; readonly lamp: LampState }[];
  /** Other phones on the network, by name. */
  readonly phones: readonly string[];
  readonly residentMegabytes: number;
  readonly sip: {
    readonly received: number;
    readonly sent: number;
    readonly malformed: number;
    readonly sendErrors: number;
  };
  /** Whether voice packets carry their DSCP mark. */
  readonly dscp: boolean;
}
