/** Requests within dialogs: to whom they go, and with which branch (RFC 3261 §12.2.1.1). */
import { isSipUri, type SipRequest, Via } from '@sip-stack/parser';
import { withZoneOf } from '../core/endpoint.js';
import { asError, CodedError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { Endpoint } from '../core/network.js';
import { nextHop } from './dialog.js';
import type { RequestClient, RequestHandlers } from './request-client.js';
import type { UriResolver } from './resolver.js';
import type { TransactionLayer } from './transaction/layer.js';
import type { Target } from './transport/transport.js';

export interface DialogRequestsOptions {
  readonly client: RequestClient;
  readonly transactions: TransactionLayer;
  /** For Contact and Route of the other side, which may name anything. */
  readonly resolve: UriResolver;
  readonly logger: Logger;
}

/** The two ends of a dialog. */
export interface DialogEnds {
  /** The address of ours it goes by. */
  readonly local: Endpoint;
  /** How the other side was first reached: the way to who listens nowhere. */
  readonly peer: Target;
}

export class DialogRequests {
  readonly #options: DialogRequestsOptions;

  constructor(options: DialogRequestsOptions) {
    this.#options = options;
  }

  /** Sends a request as `requestInDialog` makes it. One whose way cannot be found fails, and is logged. */
  send(request: SipRequest, { local, peer }: DialogEnds, handlers: RequestHandlers): void {
    const { client } = this.#options;
    // Counted from now on, not from when the address is known: `stop` waits for it.
    const settled = client.expectResponse();
    void this.#destination(request, peer)
      .then(to => {
        client.addVia(request, local);
        client.send(request, to, { ...handlers, settled });
      })
      .catch(error => {
        this.#undeliverable(request, error);
        handlers.failed(undeliverable(request, error));
        settled();
      });
  }

  /** Sends the ACK to a 2xx, outside any transaction. */
  async acknowledge(ack: SipRequest, { local, peer }: DialogEnds): Promise<void> {
    try {
      const to = await this.#destination(ack, peer);
      // Sent again as it is, and with the branch it had, when the 2xx comes again.
      if (!ack.headers.has(Via)) this.#options.client.addVia(ack, local);
      this.#options.transactions.sendStateless(ack, to);
    } catch (error) {
      this.#undeliverable(ack, error);
    }
  }

  #undeliverable(request: SipRequest, error: unknown): void {
    const reason = asError(error).message;
    this.#options.logger.warn({ method: request.method, reason }, 'could not send a request');
  }

  /** By the URIs of the dialog, where anybody listens there. */
  async #destination(request: SipRequest, peer: Target): Promise<Target> {
    const hop = nextHop(request);
    // A browser listens nowhere; it is reached by the connection it opened (RFC 7118 §5.2).
    if (isSipUri(hop) && hop.host.endsWith('.invalid')) return peer;
    const [target] = await this.#options.resolve(hop);
    if (!target) return peer;
    const { address, port } = target.endpoint;
    return { ...target, endpoint: { address: withZoneOf(address, peer.endpoint.address), port } };
  }
}

function undeliverable({ method }: SipRequest, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const message = `${method} could not be sent: ${asError(error).message}`;
  return new CodedError('NO_ROUTE', message, { cause: error });
}
