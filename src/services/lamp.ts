/**
 * What others may see of this phone: whether it rings or is busy (RFC 4235), and whether it can be reached (RFC 3856).
 * Told is the state of its calls, not with whom they are; nor what would let somebody take one over (RFC 3891).
 */
import { EventEmitter } from 'node:events';
import type { SipRequest, SipResponse } from '@sip-stack/parser';
import { formatUri, isSipUri, sipUri } from '@sip-stack/parser';
import type { Call } from '../calling/call.js';
import type { CallPhase } from '../calling/call-machine.js';
import type { Calls } from '../calling/calls.js';
import {
  type DialogEntry,
  type DialogStateName,
  writeDialogInfo,
} from '../sip/events/dialog-info.js';
import type { EventSource, Notifier } from '../sip/events/notifier.js';
import { type Content, DIALOG, PRESENCE } from '../sip/events/package.js';
import { writePidf } from '../sip/events/pidf.js';
import type { Source } from '../sip/transport/transport.js';

import type { UserPresence } from './presence.js';

export interface LampOptions {
  readonly notifier: Notifier;
  readonly calls: Calls;
  /** What the phone is called now. */
  readonly name: () => string;
  /** Whether the phone itself goes by this name; empty for none. */
  readonly isMe: (user: string) => boolean;
  /** Whether one of its services does. */
  readonly isService: (user: string) => boolean;
  /** Undefined where whoever asks may watch; else the refusal. */
  readonly refusal: (request: SipRequest, source: Source) => number | SipResponse | undefined;
  /** Those whose presence is kept here; undefined while there are none. */
  readonly others: () => Pick<UserPresence, 'owns' | 'presence'> | undefined;
}

/** The phone itself, among the resources: services go by their names, others by theirs behind `user:`. */
const PHONE = '';
const OF_USER = 'user:';

/** A call as RFC 4235 §3.7.1 sees it. */
const STATES: Readonly<Record<CallPhase, DialogStateName>> = {
  locating: 'trying',
  trying: 'trying',
  ringing: 'early',
  answering: 'early',
  connected: 'confirmed',
  ended: 'terminated',
};

export interface LampEvents {
  /** Whether the phone is on a call. */
  changed: [];
}

export class Lamp extends EventEmitter<LampEvents> {
  readonly #options: LampOptions;
  /** Of calls, by which others tell them apart; what they are called on the wire is nobody's business. */
  readonly #ids = new WeakMap<Call, string>();
  #count = 0;

  constructor(options: LampOptions) {
    super();
    this.#options = options;
    const { calls, notifier } = options;
    notifier.serve(this.#source(DIALOG, (resource, sequence) => this.#dialogs(resource, sequence)));
    notifier.serve(this.#source(PRESENCE, resource => this.#presence(resource)));
    calls.on('call', call => {
      this.#ids.set(call, String(++this.#count));
      const changed = () => this.#changed(this.#resourceOf(call));
      call.on('phase', changed);
      call.on('transferred', changed);
      call.once('ended', changed);
      // One that comes in may be for a service, which takes it without ringing.
      if (call.direction === 'outgoing') changed();
    });
  }

  /** The presence of somebody else that is kept here has changed. */
  userChanged(user: string): void {
    this.#options.notifier.changed(PRESENCE.name, OF_USER + user);
  }

  #changed(resource: string): void {
    const { notifier } = this.#options;
    notifier.changed(DIALOG.name, resource);
    if (resource !== PHONE) return;
    notifier.changed(PRESENCE.name, resource);
    this.emit('changed');
  }

  #source(of: EventSource['package'], content: EventSource['content']): EventSource {
    return {
      package: of,
      admit: (request, source) => {
        const resource = this.#resource(request, of === PRESENCE);
        if (resource === undefined) return 404;
        return this.#options.refusal(request, source) ?? { resource };
      },
      content,
    };
  }

  #resource({ uri }: SipRequest, withOthers: boolean): string | undefined {
    const { isMe, isService, others } = this.#options;
    const user = isSipUri(uri) ? (uri.user ?? '') : undefined;
    if (user === undefined) return undefined;
    const other = withOthers ? others()?.owns(user) : undefined;
    if (other !== undefined) return OF_USER + other;
    if (user === '' || isMe(user)) return PHONE;
    return isService(user) ? user.toLowerCase() : undefined;
  }

  /** Calls that come in for a service are its own; all else is the phone's. */
  #resourceOf({ direction, calledUser }: Call): string {
    const { isMe } = this.#options;
    const ofPhone = direction === 'outgoing' || calledUser === '' || isMe(calledUser);
    return ofPhone ? PHONE : calledUser.toLowerCase();
  }

  #callsOf(resource: string): readonly Call[] {
    return this.#options.calls.current.filter(call => this.#resourceOf(call) === resource);
  }

  #dialogs(resource: string, version: number): Content {
    const dialogs = this.#callsOf(resource).map(
      (call): DialogEntry => ({
        id: this.#ids.get(call) ?? '0',
        state: STATES[call.phase],
        direction: call.direction === 'outgoing' ? 'initiator' : 'recipient',
      }),
    );
    // Many a phone looks for a dialog and its state, and knows no document without one.
    const idle: DialogEntry = { id: '0', state: 'terminated', direction: undefined };
    return writeDialogInfo({
      version,
      state: 'full',
      entity: this.#entity(resource),
      dialogs: dialogs.length > 0 ? dialogs : [idle],
    });
  }

  #presence(resource: string): Content {
    const others = this.#options.others();
    if (others && resource.startsWith(OF_USER))
      return others.presence(resource.slice(OF_USER.length));
    return this.presenceOf(this.#entity(resource));
  }

  /** The phone's own presence, as that of a URI it goes by. */
  presenceOf(entity: string): Content {
    const talking = this.#callsOf(PHONE).length > 0;
    const activities = talking ? ['on-the-phone'] : [];
    const note = talking ? 'on the phone' : undefined;
    const tuple = { id: 'phone', basic: 'open', ...(note && { note }) } as const;
    return writePidf({ entity, tuples: [tuple], activities });
  }

  #entity(resource: string): string {
    const name = this.#options.name();
    const uri =
      resource === PHONE
        ? { user: name, host: 'local' }
        : { user: resource, host: `${name}.local` };
    return formatUri(sipUri(uri));
  }
}
