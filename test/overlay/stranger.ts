/**
 * Somebody on the network who has keys of their own, as many as they like, and keeps no rule: what they say is signed, and
 * may be anything. Used on virtual time and, by `test/lan/hostile.ts`, against phones that run.
 */
import { Params, type SipRequest, SipResponse, Via } from '@sip-stack/parser';
import { withoutZone } from '../../src/core/endpoint.js';
import { type Random, randomToken } from '../../src/core/random.js';
import { signAsId } from '../../src/identity/id-signature.js';
import { deviceIdOf } from '../../src/identity/identity.js';
import { Ed25519Signer } from '../../src/identity/signing.js';
import type { LinkRequest } from '../../src/overlay/link-messages.js';
import type { Id } from '../../src/overlay/ring/ids.js';
import { entryText, type MembershipEntry } from '../../src/overlay/ring/membership-entry.js';
import { type LinkProtocol, linkTarget, type Peer } from '../../src/overlay/ring/peer.js';
import { recordSignatureBy } from '../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { encodeRequest } from '../../src/overlay/sip/request.js';
import { signMessage } from '../../src/overlay/sip/signature.js';
import type { UserAgent } from '../../src/sip/user-agent.js';

export interface StrangerOptions {
  readonly random: Random;
  /** Started. */
  readonly agent: UserAgent;
  readonly overlay: string;
  readonly protocol: LinkProtocol;
  /** Where it takes links, as `Peer.address` has it. */
  readonly address: string;
}

/** What became of a request. */
export interface Told {
  readonly status: number;
  /** The name of the message, or why it was rejected: `pong`, `OVERLOADED`. */
  readonly said: string;
  readonly words: string;
}

/** One key of a stranger. */
export class StrangersKey {
  readonly signer: Ed25519Signer;
  readonly id: Id;
  /** As it says of itself. */
  readonly self: Peer;
  readonly #options: StrangerOptions;
  readonly #callId: string;
  #number = 2 ** 32;
  #sequence = 1;

  constructor(options: StrangerOptions, signer = new Ed25519Signer(options.random.bytes(32))) {
    this.#options = options;
    this.signer = signer;
    this.id = deviceIdOf(signer.publicKey);
    this.self = { id: this.id, address: options.address };
    this.#callId = randomToken(options.random, 16);
  }

  /** @param change made to each message before it is signed */
  async ask(
    to: Peer,
    request: LinkRequest,
    change: (sip: SipRequest) => void = () => undefined,
  ): Promise<Told> {
    const { overlay, random } = this.#options;
    const number = this.#number++;
    const tag = randomToken(random, 8);
    const frame = { overlay, to, callId: this.#callId, sequence: this.#sequence, tag };
    const parts = encodeRequest({ kind: 'request', from: this.self, number, request }, frame);
    this.#sequence += parts.length;
    let told: Told = { status: 0, said: 'nothing', words: '' };
    for (const sip of parts) {
      change(sip);
      told = toldBy(await this.#send(to, sip));
      if (told.said !== 'continue') break;
    }
    return told;
  }

  /** Of any member; by this key. */
  entry(
    version: number,
    state: MembershipEntry['state'] = 'present',
    peer: Peer = this.self,
  ): MembershipEntry {
    const said = { peer, version, state };
    return { ...said, signer: this.id, signature: signAsId(this.signer, entryText(said)) };
  }

  record(key: Id, value: Uint8Array | undefined, lifeMs = 3_600_000, sequence = 1): RingRecord {
    const record = { key, publisher: this.id, sequence, lifeMs, value };
    return { ...record, ageMs: 0, signature: recordSignatureBy(this.signer, record) };
  }

  async #send(to: Peer, sip: SipRequest): Promise<SipResponse> {
    const { agent, protocol } = this.#options;
    const target = linkTarget(to.address, protocol);
    const local = await agent.localEndpointFor(target.endpoint.address);
    sip.headers.set(Via, {
      transport: 'UDP',
      host: withoutZone(local.address),
      port: local.port,
      params: new Params().set('branch', agent.transactions.newBranch()).set('rport'),
    });
    signMessage(sip, text => signAsId(this.signer, text));
    return new Promise(resolve => {
      agent.transactions.request(sip, target, {
        response: response => response.status >= 200 && resolve(response),
        failed: ({ code }) => resolve(new SipResponse({ status: 408, reason: code })),
      });
    });
  }
}

function toldBy({ status, headers, reason }: SipResponse): Told {
  const words = headers.text('DHT-Message') ?? '';
  const [name = ''] = words.split(';');
  const code = /code=([A-Z_]+)/.exec(words)?.[1];
  return { status, said: code ?? (name || reason), words };
}
