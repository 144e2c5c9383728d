/** The requests that sessions send: to whom they go, with which branch, and what becomes of them. */
import { CSeq, isSipUri, type SipRequest, Via } from '@sip-stack/parser';
import { withZoneOf } from '../../core/endpoint.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Endpoint } from '../../core/network.js';
import { nextHop } from '../dialog.js';
import type { RequestClient, RequestHandlers } from '../request-client.js';
import type { UriResolver } from '../resolver.js';
import type { TransactionLayer } from '../transaction/layer.js';
import type { Target } from '../transport/transport.js';
import type { SipSession } from './session.js';

export interface SessionRequestsOptions {
  readonly client: RequestClient;
  readonly transactions: TransactionLayer;
  /** For Contact and Route of the other side, which may name anything. */
  readonly resolve: UriResolver;
  readonly logger: Logger;
}

export class SessionRequests {
  readonly #options: SessionRequestsOptions;

  constructor(options: SessionRequestsOptions) {
    this.#options = options;
  }

  /** @param peer how the other side was or is first reached */
  send(session: SipSession, request: SipRequest, peer: Target): void {
    if (request === session.invite) this.#sendInvite(session, request, peer);
    else this.#sendInDialog(session, request, peer);
  }

  #sendInvite(session: SipSession, request: SipRequest, peer: Target): void {
    const { client } = this.#options;
    client.addVia(request, session.local);
    client.send(request, peer, {
      ...this.#reissuing(session, session.local),
      response: response => session.step({ type: 'response', response }),
      failed: error => {
        const status = error.code === 'REQUEST_TIMEOUT' ? 408 : 503;
        session.step({ type: 'invite-failed', status, reason: error.message });
      },
    });
  }

  #sendInDialog(session: SipSession, request: SipRequest, peer: Target): void {
    const cancels = request.method === 'CANCEL';
    // Counted from now on, not from when the address is known: `stop` waits for it.
    const { client } = this.#options;
    const settled = client.expectResponse();
    // A CANCEL follows its INVITE (§9.1).
    void (cancels ? Promise.resolve(peer) : this.#destination(request, peer))
      .then(to => {
        if (!cancels) client.addVia(request, session.local);
        client.send(request, to, {
          ...(cancels ? {} : this.#reissuing(session, session.local)),
          response: (response, sent) => {
            const { status } = response;
            if (status < 200 || cancels) return;
            session.step({ type: 'dialog-response', request: sent, status, response });
          },
          failed: error => {
            const status = error.code === 'REQUEST_TIMEOUT' ? 408 : 503;
            if (!cancels) session.step({ type: 'dialog-response', request, status });
          },
          settled,
        });
      })
      .catch(error => {
        this.#undeliverable(request, error);
        settled();
      });
  }

  /** Sends the ACK to a 2xx, outside any transaction. */
  async acknowledge(ack: SipRequest, local: Endpoint, peer: Target): Promise<void> {
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

  /** Where a request within a dialog goes: by the URIs of the dialog, where anybody listens there. */
  async #destination(request: SipRequest, peer: Target): Promise<Target> {
    const hop = nextHop(request);
    // A browser listens nowhere; it is reached by the connection it opened (RFC 7118 §5.2).
    if (isSipUri(hop) && hop.host.endsWith('.invalid')) return peer;
    const [target] = await this.#options.resolve(hop);
    if (!target) return peer;
    const { address, port } = target.endpoint;
    return { ...target, endpoint: { address: withZoneOf(address, peer.endpoint.address), port } };
  }

  /** Gives a challenged request of a session its next sequence number and branch. */
  #reissuing(session: SipSession, local: Endpoint): Pick<RequestHandlers, 'reissue'> {
    return {
      reissue: (challenged, request) => {
        const sequence = session.nextSequence(challenged);
        request.headers.set(CSeq, { sequence, method: request.method });
        this.#options.client.addVia(request, local);
        session.step({ type: 'reissued', challenged, request });
      },
    };
  }
}
