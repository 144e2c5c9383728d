/** The requests that sessions send, and what becomes of them. */
import { CSeq, type SipRequest } from '@sip-stack/parser';
import { type DialogEnds, DialogRequests, type DialogRequestsOptions } from '../dialog-requests.js';
import type { RequestHandlers } from '../request-client.js';
import type { Target } from '../transport/transport.js';
import type { SipSession } from './session.js';

export class SessionRequests {
  readonly #options: DialogRequestsOptions;
  readonly #inDialog: DialogRequests;

  constructor(options: DialogRequestsOptions) {
    this.#options = options;
    this.#inDialog = new DialogRequests(options);
  }

  /** @param peer how the other side was or is first reached */
  send(session: SipSession, request: SipRequest, peer: Target): void {
    if (request === session.invite) this.#sendInvite(session, request, peer);
    else if (request.method === 'CANCEL') this.#sendCancel(request, peer);
    else this.#sendInDialog(session, request, peer);
  }

  /** Sends the ACK to a 2xx. */
  async acknowledge(ack: SipRequest, ends: DialogEnds): Promise<void> {
    await this.#inDialog.acknowledge(ack, ends);
  }

  #sendInvite(session: SipSession, request: SipRequest, peer: Target): void {
    const { client } = this.#options;
    client.addVia(request, session.local);
    client.send(request, peer, {
      ...this.#reissuing(session),
      signal: session.over,
      response: response => session.step({ type: 'response', response }),
      failed: error => {
        const status = error.code === 'REQUEST_TIMEOUT' ? 408 : 503;
        session.step({ type: 'invite-failed', status, reason: error.message });
      },
    });
  }

  /** It follows its INVITE, and what is said to it matters to nobody (§9.1). */
  #sendCancel(request: SipRequest, peer: Target): void {
    this.#options.client.send(request, peer, {
      response: () => undefined,
      failed: () => undefined,
    });
  }

  #sendInDialog(session: SipSession, request: SipRequest, peer: Target): void {
    const ends = { local: session.local, peer };
    this.#inDialog.send(request, ends, {
      ...this.#reissuing(session),
      // A call may be over before its re-INVITE is answered; its BYE is not.
      ...(request.method === 'INVITE' && { signal: session.over }),
      response: (response, sent) => {
        const { status } = response;
        if (status < 200) return;
        session.step({ type: 'dialog-response', request: sent, status, response });
      },
      failed: error => {
        const status = error.code === 'REQUEST_TIMEOUT' ? 408 : 503;
        session.step({ type: 'dialog-response', request, status });
      },
    });
  }

  /** Gives a challenged request of a session its next sequence number and branch. */
  #reissuing(session: SipSession): Pick<RequestHandlers, 'reissue'> {
    return {
      reissue: (challenged, request) => {
        const sequence = session.nextSequence(challenged);
        request.headers.set(CSeq, { sequence, method: request.method });
        this.#options.client.addVia(request, session.local);
        session.step({ type: 'reissued', challenged, request });
      },
    };
  }
}
