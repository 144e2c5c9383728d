/** Phones of a private overlay as they run, on virtual time and network, and every SIP message that leaves one of them. */
import { parseMessage } from '@sip-stack/parser';
import { silentLogger } from '../../../src/core/logger.js';
import type { DatagramSocket, Endpoint } from '../../../src/core/network.js';
import { FixedSource } from '../../../src/discovery/candidates/fixed-source.js';
import { CAPABILITIES } from '../../../src/identity/device-certificate.js';
import { issueEnrolment } from '../../../src/identity/enrolment.js';
import { Ed25519Signer } from '../../../src/identity/signing.js';
import { StoredIdentity } from '../../../src/identity/stored-identity.js';
import { StoredOverlay } from '../../../src/identity/stored-overlay.js';
import {
  phoneCertificateNames,
  StoredTlsIdentity,
} from '../../../src/identity/stored-tls-identity.js';
import { StoredUser } from '../../../src/identity/stored-user.js';
import { OverlayRole } from '../../../src/runtime/overlay-role.js';
import { ServerRole } from '../../../src/runtime/server-role.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../../src/simulation/virtual-network.js';
import { resolverByLookup } from '../../../src/sip/resolver.js';
import { UserAgent } from '../../../src/sip/user-agent.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';

const YEAR_S = 365 * 86_400;
const [SIP_PORT, LINK_PORT] = [5060, 5061];

/** One message as it left. */
export interface Sent {
  readonly ms: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Buffer;
}

export interface HouseOptions {
  readonly role: 'always' | 'never';
  /** Addresses it knows from its configuration. */
  readonly bootstrap?: readonly string[];
  /** Names of ordinary phones that may register here. */
  readonly users?: readonly string[];
}

export interface House {
  readonly name: string;
  readonly address: string;
  readonly overlay: OverlayRole;
  readonly agent: UserAgent;
  stop(): Promise<void>;
}

export const PASSWORD = 'open sesame';

export class Street {
  readonly clock = new VirtualClock();
  readonly sent: Sent[] = [];
  readonly network: VirtualNetwork;
  readonly #overlay: string;
  readonly #random: SeededRandom;
  readonly #enroller: Ed25519Signer;
  readonly #houses: House[] = [];

  /** @param overlay its name */
  constructor(seed: number, overlay: string) {
    this.#overlay = overlay;
    this.#random = new SeededRandom(seed);
    this.#enroller = new Ed25519Signer(this.#random.bytes(32));
    this.network = new VirtualNetwork({ clock: this.clock, seed, link: { delayMs: 4 } });
    this.network.onSent = (from, to, data) => {
      // What keeps links alive is no message (RFC 5626 §4.4.1).
      if (data.length <= 4) return;
      this.sent.push({ ms: this.clock.now(), from, to, octets: Buffer.from(data) });
    };
  }

  /** A phone moves in, and is started. */
  async house(name: string, address: string, options: HouseOptions): Promise<House> {
    const { clock } = this;
    const network = this.network.host(address);
    const random = new SeededRandom(this.#random.uint32());
    const logger = silentLogger;
    const store = new MemoryStore();
    const identity = new StoredIdentity({ store, random });
    await this.#enrol(name, store, random, identity);
    const names = phoneCertificateNames(name, name);
    const tls = new StoredTlsIdentity({ store, random, names });
    const resolve = resolverByLookup(async () => []);
    const agent = new UserAgent({
      network,
      clock,
      random,
      logger,
      listen: { udp: { address, port: SIP_PORT }, tls: { address, port: LINK_PORT } },
      tls: { identity: () => tls.identity(), trust: { type: 'anybody' } },
      product: 'Ringline',
      resolve,
    });
    const seams = { clock, random, logger, network, userAgent: agent };
    const { role, bootstrap = [], users = [] } = options;
    const overlay: OverlayRole = new OverlayRole({
      ...seams,
      role,
      store: () => store,
      identity: () => identity,
      givenName: name,
      phoneName: () => name,
      reachableAt: () => [{ protocol: 'UDP', endpoint: { address, port: SIP_PORT } }],
      linksAt: () => [{ protocol: 'TLS', endpoint: { address, port: LINK_PORT } }],
      users: () => server.registered,
      sources: () => [
        new FixedSource({
          ...seams,
          resolve,
          bootstrap: bootstrap.map(host => ({ host, port: LINK_PORT, transport: 'tls' })),
        }),
      ],
      announcer: () => ({
        prepare: () => undefined,
        announce: async () => undefined,
        withdraw: async () => undefined,
      }),
      phonesSeen: () => 0,
      lacksKind: () => false,
    });
    const server = new ServerRole({
      ...seams,
      users: users.map(user => ({ name: user, password: PASSWORD })),
      store: () => undefined,
      realm: name,
      names: () => [name],
      overlay: () => overlay.address?.host,
      isPhone: user => user === name,
      locator: overlay,
      presenceChanged: () => overlay.usersChanged(),
    });
    await agent.start();
    await server.start();
    await overlay.start();
    const house: House = {
      name,
      address,
      overlay,
      agent,
      stop: async () => {
        await this.during(overlay.stop());
        await this.during(server.stop());
        await this.during(agent.stop());
        const index = this.#houses.indexOf(house);
        if (index >= 0) this.#houses.splice(index, 1);
      },
    };
    this.#houses.push(house);
    return house;
  }

  /** The power of a house goes: nothing comes from there any more, and nothing is refused. */
  powerCut({ address }: House): void {
    this.network.setLink(address, false);
  }

  /** A phone that knows nothing of all this. */
  async ordinaryPhone(address: string): Promise<DatagramSocket> {
    const local = { address, port: SIP_PORT };
    return this.network.host(address).bindDatagram({ ...local, trafficClass: 'default' });
  }

  async during<T>(work: Promise<T>): Promise<T> {
    let ended = false;
    const end = () => {
      ended = true;
    };
    work.then(end, end);
    await this.clock.advanceUntil(() => ended, 60_000);
    return work;
  }

  async until(holds: () => boolean): Promise<void> {
    await this.clock.advanceUntil(holds, 120_000);
  }

  async stop(): Promise<void> {
    for (const house of [...this.#houses].reverse()) await house.stop();
  }

  async #enrol(
    name: string,
    store: MemoryStore,
    random: SeededRandom,
    identity: StoredIdentity,
  ): Promise<void> {
    const stored = new StoredUser({ store, random });
    const { key } = await stored.make(name);
    const device = await identity.publicKey();
    await stored.accept(await stored.certify(device, CAPABILITIES), device);
    const enrolment = issueEnrolment(this.#enroller, this.#overlay, {
      name,
      user: key.publicKey,
      roles: ['user', 'super-node'],
      sequence: this.#houses.length + 1,
      lifetime: YEAR_S,
    });
    await new StoredOverlay({ store, random }).join(enrolment, key.publicKey);
  }
}

/** Name of the message of the ring, or what an ordinary phone would call it. */
export function saidIn({ octets }: Sent): { readonly name: string; readonly answers: boolean } {
  const sip = parseMessage(octets);
  const answers = sip.kind === 'response';
  const word = sip.headers.text('DHT-Message')?.split(';')[0];
  if (word !== undefined) return { name: word, answers };
  return { name: sip.kind === 'response' ? String(sip.status) : sip.method, answers };
}
