/** Active discovery of directory agents (RFC 2608 §12.2.1). */
import { DIRECTORY_AGENT_TYPE } from './constants.js';
import type { DAAdvert, SrvRqst } from './message.js';
import type { Requests } from './requests.js';

export interface Discovery {
  readonly requests: Requests;
  readonly scopes: readonly string[];
  readonly language: string;
  readonly signal: AbortSignal;
  readonly onAdvert: (advert: DAAdvert) => void;
  /** Nobody is left who has not answered. Not called after the signal. */
  readonly onEnd: () => void;
}

export function discoverDirectoryAgents(discovery: Discovery): void {
  const { requests, scopes, language, signal, onAdvert, onEnd } = discovery;
  const request: SrvRqst = {
    kind: 'SrvRqst',
    xid: 0,
    language,
    previousResponders: [],
    serviceType: DIRECTORY_AGENT_TYPE,
    scopes,
    predicate: '',
    spi: '',
  };
  const asked = requests.askAll(
    request,
    reply => {
      if (reply.kind === 'DAAdvert') onAdvert(reply);
    },
    signal,
    true,
  );
  void asked.then(onEnd, () => undefined);
}
