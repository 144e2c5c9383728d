/**
 * REFER outside any call (RFC 3515): somebody has this phone call somebody else (click to dial), and we have
 * others do so. How it goes is told by the subscription that a REFER implies (RFC 6665).
 */
import {
  formatUri,
  isSipUri,
  ReferSub,
  ReferTo,
  type SipRequest,
  type SipResponse,
  type SipUri,
} from '@sip-stack/parser';
import { CodedError } from '../core/errors.js';
import type { Locator } from '../discovery/locator.js';
import { type Content, REFER } from '../sip/events/package.js';
import type { Watcher } from '../sip/events/watcher.js';
import { describeTarget } from '../sip/resolution/plan.js';
import type { CallerIdentity } from '../sip/self.js';
import type { ServerTransaction } from '../sip/transaction/layer.js';
import type { UserAgent } from '../sip/user-agent.js';
import { type CallEnd, endOfStatus, noSuchName, statusOfEnd } from './call-end.js';
import type { Calls } from './calls.js';
import { parseDialled } from './dialled.js';
import type { Person } from './person.js';
import { fragmentOf, type Referral, referralOf, statusOfFragment } from './transfer.js';

export interface ReferralsOptions {
  readonly userAgent: UserAgent;
  readonly calls: Calls;
  readonly person: Person;
  readonly locator: Locator;
  readonly identity: (target: SipUri) => CallerIdentity;
  /**
   * Whether whoever sent this REFER may have the phone call somebody.
   *
   * @returns undefined, or the refusal: a status, or a challenge
   */
  readonly admit: (
    refer: SipRequest,
    transaction: ServerTransaction,
  ) => number | SipResponse | undefined;
}

export class Referrals {
  readonly #options: ReferralsOptions;

  constructor(options: ReferralsOptions) {
    this.#options = options;
    options.userAgent.handle('REFER', (request, transaction) => this.#take(request, transaction));
  }

  /**
   * Asks the phone `phone` to call `who`.
   *
   * @param onProgress told each status of that call
   * @returns why it did not come about; undefined where they talk
   * @throws {CodedError} `BAD_TARGET`, `NO_SUCH_NAME`, `TOO_MANY`
   */
  async ask(
    phone: string,
    who: string,
    onProgress: (status: number) => void,
  ): Promise<CallEnd | undefined> {
    const { userAgent, identity } = this.#options;
    const uri = parseDialled(phone);
    const target = parseDialled(who);
    const place = await this.#locate(uri, phone);
    const subscription = userAgent.subscriber.refer({
      package: REFER,
      locate: async () => place,
      from: identity(uri),
      headers: { 'Refer-To': `<${formatUri(target)}>` },
    });
    return new Promise(resolve => {
      let end: CallEnd | undefined = {
        code: 'FAILED',
        message: `${phone} did not tell what became of the call`,
        remedy: 'Ask there.',
      };
      subscription.on('notified', content => {
        const status = content && statusOfFragment(content.body);
        if (status === undefined) return;
        onProgress(status);
        if (status >= 200)
          end = status < 300 ? undefined : endOfStatus(who, 'remote', status, '', false);
      });
      subscription.once('ended', ended =>
        resolve(ended.by === 'refusal' ? refused(phone, ended.status) : end),
      );
    });
  }

  async #locate(uri: SipUri, phone: string) {
    const [location] = await this.#options.locator.locate(uri, new AbortController().signal);
    if (!location) {
      const { code, message, remedy } = noSuchName(phone);
      throw new CodedError(code, message, remedy === undefined ? {} : { remedy });
    }
    const { endpoint, target } = location;
    return { uri: location.uri, to: target ?? { ...describeTarget(location.uri), endpoint } };
  }

  #take(refer: SipRequest, transaction: ServerTransaction): void {
    const { userAgent, calls, person, admit } = this.#options;
    const refuse = (status: number) => userAgent.respond(transaction, status);
    const refusal = admit(refer, transaction);
    const referral = referralOf(refer);
    const user = isSipUri(refer.uri) ? (refer.uri.user ?? '') : '';
    if (refer.headers.all(ReferTo).length !== 1) refuse(400);
    else if (typeof refusal === 'number') refuse(refusal);
    else if (refusal) transaction.respond(refusal);
    else if (!person.answersTo(user)) refuse(404);
    else if (!referral) refuse(603);
    // Nobody is called who would hear nobody.
    else if (!person.attended) refuse(480);
    else if (calls.full) refuse(486);
    else if (refer.headers.first(ReferSub)?.subscription === false) {
      userAgent.respond(transaction, 202, { [ReferSub.name]: 'false' });
      this.#call(referral);
    } else this.#callAndTell(refer, transaction, referral);
  }

  #call(referral: Referral) {
    const { calls, person } = this.#options;
    const call = calls.follow(referral);
    person.lend(call);
    return call;
  }

  #callAndTell(refer: SipRequest, transaction: ServerTransaction, referral: Referral): void {
    let body = fragmentOf(100, 'Trying');
    const begun = (watcher: Watcher) => {
      const call = this.#call(referral);
      let told = false;
      const tell = (status: number, reason: string) => {
        if (told) return;
        body = fragmentOf(status, reason);
        told = status >= 200;
        if (told) watcher.terminate({ reason: 'noresource' });
        else watcher.changed();
      };
      call.on('phase', phase => {
        if (phase === 'ringing') tell(180, 'Ringing');
        if (phase === 'connected') tell(200, 'OK');
      });
      call.once('ended', end => tell(statusOfEnd(end), 'Failed'));
    };
    const content = (): Content => ({ type: 'message/sipfrag;version=2.0', body });
    const { notifier } = this.#options.userAgent;
    notifier.imply(refer, transaction, { package: REFER, content, begun });
  }
}

function refused(phone: string, status: number): CallEnd {
  switch (status) {
    case 403:
      return {
        code: 'REFUSED',
        message: `${phone} calls nobody at the wish of others (403)`,
        remedy: 'Set clickToDial there, and use the account of one of its users.',
        status,
      };
    case 480:
      return {
        code: 'NO_ANSWER',
        message: `nobody is at ${phone} to talk (480)`,
        remedy: 'Start `ringline answer` there.',
        status,
      };
    default:
      return endOfStatus(phone, 'remote', status, '', false);
  }
}
