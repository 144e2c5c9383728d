/** Tells the LAN that there is a super-node here, by multicast DNS. */
import { parseEndpoint } from '../core/endpoint.js';
import { SUPER_NODE_KEYS, SUPER_NODE_SERVICE } from '../discovery/candidates/super-node-service.js';
import type { Advertiser } from '../discovery/discovery.js';
import type { Announcer } from '../overlay/overlay.js';
import type { Peer } from '../overlay/peer.js';

const KEY = 'super-node';

export class MdnsAnnouncer implements Announcer {
  readonly #advertiser: Advertiser;
  readonly #overlay: string;

  constructor(advertiser: Advertiser, overlay: string) {
    this.#advertiser = advertiser;
    this.#overlay = overlay;
  }

  async announce({ id, address }: Peer): Promise<void> {
    const { port } = parseEndpoint(address, { address: '', port: 5061 });
    this.#advertiser.publish(KEY, {
      name: `${this.#overlay}-${id.slice(0, 8)}`,
      services: [
        {
          type: SUPER_NODE_SERVICE,
          port,
          texts: [
            'txtvers=1',
            `${SUPER_NODE_KEYS.overlay}=${this.#overlay}`,
            `${SUPER_NODE_KEYS.nodeId}=${id}`,
          ],
        },
      ],
    });
  }

  async withdraw(): Promise<void> {
    this.#advertiser.withdraw(KEY);
  }
}
