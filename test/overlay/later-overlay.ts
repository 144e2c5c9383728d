/**
 * An overlay of version 2 (later-message.ts): the present one, and between it and its user agent what a later version
 * would do otherwise. All that it sends is of version 2, signed as such. What somebody refuses because he does not know it,
 * by code, is said to him in the old way from then on, until he turns out to be of a later version.
 */
import { createHash } from 'node:crypto';
import type { SipMessage, SipRequest, SipResponse } from '@sip-stack/parser';
import { CallId, Via } from '@sip-stack/parser';
import { formatEndpoint } from '../../src/core/endpoint.js';
import { decodeCbor, encodeCbor } from '../../src/identity/cbor.js';
import { Overlay, type OverlayOptions } from '../../src/overlay/overlay.js';
import type { Id } from '../../src/overlay/ring/ids.js';
import { type RingRecord, recordText } from '../../src/overlay/ring/records.js';
import type { LinkKeys } from '../../src/overlay/ring-links.js';
import { DhtMessage } from '../../src/overlay/sip/fields.js';
import { decodeResponse } from '../../src/overlay/sip/response.js';
import { signedText, signMessage } from '../../src/overlay/sip/signature.js';
import type { ClientHandlers } from '../../src/sip/transaction/layer.js';
import {
  addLater,
  copyOf,
  inFirstWay,
  inLaterWay,
  LATER_VERSION,
  type NewWayRefusal,
  versionOf,
} from './later-message.js';

/** What a later version tells of itself. */
export type LaterEvent =
  /** Somebody does not know a way in which something was said to him; it is said again without that. */
  | { readonly event: 'refused'; readonly at: string; readonly code: NewWayRefusal }
  /** One of a later version was asked in the new way, and answered. */
  | { readonly event: 'understood'; readonly name: string; readonly code: string }
  | { readonly event: 'wrote' | 'read'; readonly records: readonly ToldRecord[] };

/** All that is signed of a record, and the signature. */
export interface ToldRecord {
  readonly text: string;
  readonly signature: string;
}

type Tell = (event: LaterEvent) => void;

export class LaterOverlay extends Overlay {
  readonly #keys: LinkKeys;
  readonly #tell: Tell;

  constructor(options: OverlayOptions, tell: Tell) {
    super(speakingLater(options, tell));
    this.#keys = options.keys;
    this.#tell = tell;
  }

  override keep(records: readonly RingRecord[]): void {
    super.keep(records.map(record => this.#later(record)));
  }

  override async put(record: RingRecord): Promise<number> {
    const later = this.#later(record);
    this.#tell({ event: 'wrote', records: [told(later)] });
    return super.put(later);
  }

  override async get(key: Id, signal?: AbortSignal): Promise<readonly RingRecord[]> {
    const records = await super.get(key, signal);
    this.#tell({ event: 'read', records: records.map(told) });
    return records;
  }

  /** With more items in its value, where that is an array; signed again, as record-signature.ts has it. */
  #later(record: RingRecord): RingRecord {
    const items = record.value && decodeCbor(record.value, { octets: 6144, depth: 1, items: 9 });
    if (!items?.ok || !Array.isArray(items.value)) return record;
    const [binding, certificate, enrolment = null] = items.value;
    const more = ['later', [1, [2, true]]];
    const value = encodeCbor([binding, certificate, enrolment, ...more]);
    const hash = createHash('sha256').update(recordText({ ...record, value }));
    return { ...record, value, signature: this.#keys.sign(`ring record 1 ${hash.digest('hex')}`) };
  }
}

export function told(record: RingRecord): ToldRecord {
  return { text: recordText(record), signature: record.signature };
}

function speakingLater(options: OverlayOptions, tell: Tell): OverlayOptions {
  const { userAgent, keys, name: overlay, tools } = options;
  /** What was refused to us, by where that was. */
  const refusedBy = new Map<string, ReadonlySet<NewWayRefusal>>();
  /** While one is read that was said in a new way: what was signed, and how it would have been said before. */
  let reading: { readonly first: string; readonly signed: string } | undefined;

  const readInFirstWay = <Message extends SipMessage>(
    sip: Message,
    read: (sip: Message) => void,
  ) => {
    const first = inFirstWay(sip);
    if (!first) return read(sip);
    reading = { first: signedText(first), signed: signedText(sip) };
    try {
      read(first);
    } finally {
      reading = undefined;
    }
  };

  const ask = (sip: SipRequest, target: Target, handlers: ClientHandlers, attempt = 1) => {
    const at = formatEndpoint(target.endpoint);
    const { transactions } = userAgent;
    const again = copyOf(sip);
    addLater(sip);
    const later = inLaterWay(sip, refusedBy.get(at));
    const asked = later ?? sip;
    signMessage(asked, keys.sign);
    return transactions.request(asked, target, {
      failed: error => handlers.failed(error),
      response: answer => {
        const code = later && codeOf(answer, overlay);
        if (code === 'UNKNOWN_MESSAGE' || code === 'UNKNOWN_VERSION') {
          refusedBy.set(at, new Set(refusedBy.get(at)).add(code));
          tell({ event: 'refused', at, code });
          const via = again.headers.require(Via);
          const params = via.params.clone().set('branch', transactions.newBranch());
          const callId = `${again.headers.require(CallId)}.${attempt}`;
          again.headers.set(Via, { ...via, params }).set(CallId, callId);
          ask(again, target, handlers, attempt + 1);
          return;
        }
        if (versionOf(answer) === LATER_VERSION) {
          refusedBy.delete(at);
          if (later) tell(understood(later));
        }
        readInFirstWay(answer, first => handlers.response(first));
      },
    });
  };

  const answer = (sip: SipResponse, toLater: boolean): SipResponse => {
    const signed = sip.headers.has('DHT-Signature');
    const written = copyOf(sip);
    addLater(written);
    const sent = (toLater && signed && inLaterWay(written)) || written;
    if (signed) signMessage(sent, keys.sign);
    return sent;
  };

  const addRouter: OverlayOptions['userAgent']['addRouter'] = router =>
    userAgent.addRouter((sip, transaction, source) => {
      if (!transaction || !sip.headers.has(DhtMessage)) return router(sip, transaction, source);
      const toLater = versionOf(sip) === LATER_VERSION;
      const answered = overriding(transaction, {
        respond: response => transaction.respond(answer(response, toLater)),
      });
      let taken = false;
      readInFirstWay(sip, first => {
        taken = router(first, answered, source);
      });
      return taken;
    });

  return {
    ...options,
    keys: {
      sign: keys.sign,
      verify: (signer, text, signature) =>
        keys.verify(signer, text === reading?.first ? reading.signed : text, signature),
    },
    userAgent: overriding(userAgent, {
      addRouter,
      get transactions() {
        return overriding(userAgent.transactions, { request: (...asked) => ask(...asked) });
      },
    }),
    tools: {
      ...tools,
      sign: draft => tools.sign({ ...draft, value: draft.value && laterPage(draft.value) }),
    },
  };
}

type Transactions = OverlayOptions['userAgent']['transactions'];
type Target = Parameters<Transactions['request']>[1];

/** The same object, but for some of its members. */
function overriding<Of extends object>(of: Of, own: Partial<Of>): Of {
  return new Proxy(of, {
    get: (_, name) => {
      const from = Reflect.has(own, name) ? own : of;
      const value: unknown = Reflect.get(from, name, from);
      return typeof value === 'function' ? value.bind(from) : value;
    },
  });
}

/** Why it was refused, where it was and that is told. */
function codeOf(sip: SipResponse, overlay: string): string | undefined {
  const decoded = decodeResponse(sip, 'ping', { overlay });
  return decoded.ok && decoded.value.type === 'rejected' ? decoded.value.code : undefined;
}

function understood({ headers }: SipRequest): LaterEvent {
  const name = headers.first(DhtMessage)?.token ?? '';
  return { event: 'understood', name, code: headers.text('DHT-Coding') ?? '' };
}

/** Of the list of nodes: rows that say more. */
function laterPage(value: Uint8Array): Uint8Array {
  const rows: unknown = JSON.parse(Buffer.from(value).toString());
  if (!Array.isArray(rows)) throw new Error('a page is no array');
  return Buffer.from(JSON.stringify(rows.map((row: unknown[]) => [...row, { zone: 'north' }, 7])));
}
