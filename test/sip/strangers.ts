/**
 * What strangers say to a user agent: requests and responses that are nearly right. They draw on all
 * that was said and heard before, so that tags, branches, sequence numbers and dialogs often match.
 */
import type { SipMessage } from '@sip-stack/parser';
import type { SeededRandom } from '../../src/simulation/seeded-random.js';
import { mutate } from '../fuzz/mutate.js';
import {
  changeField,
  copyOf,
  type Draft,
  draftOf,
  fieldOf,
  methodOf,
  octetsOf,
  setField,
} from './draft.js';
import { FIELDS } from './field-values.js';

/** So much of what was said and heard is remembered. */
const MEMORY = 24;
const USER_AGENT = '10.0.0.2:5060';

const SDP =
  'v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

const METHODS = [
  ...['INVITE', 'INVITE', 'INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS', 'PRACK', 'UPDATE'],
  ...[
    'REFER',
    'NOTIFY',
    'INFO',
    'MESSAGE',
    'REGISTER',
    'SUBSCRIBE',
    'PUBLISH',
    'WHATEVER',
    'invite',
  ],
];
const STATUSES = [
  ...[
    100, 100, 180, 180, 183, 183, 199, 200, 200, 200, 200, 202, 299, 300, 302, 305, 399, 400, 401,
  ],
  ...[
    401, 403, 404, 405, 407, 408, 413, 415, 416, 420, 421, 422, 423, 430, 439, 440, 480, 481, 482,
  ],
  ...[484, 486, 487, 488, 489, 491, 493, 500, 501, 503, 504, 505, 513, 580, 600, 603, 606, 699],
];

export class Strangers {
  readonly #random: SeededRandom;
  readonly #said: Draft[] = [];
  readonly #heard: Draft[] = [];
  #count = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The user agent said this to one of them. */
  hear(message: SipMessage): void {
    remember(this.#heard, draftOf(message));
  }

  /** What one of them says next. */
  speak(): Buffer {
    const random = this.#random;
    const draft = this.#think();
    if (random.unit() < 0.35) {
      for (let count = 1 + this.#below(3); count > 0; count--) this.#spoil(draft);
    }
    remember(this.#said, draft);
    const octets = octetsOf(draft);
    return random.unit() < 0.06 ? mutate(random, octets) : octets;
  }

  #think(): Draft {
    const chance = this.#random.unit();
    const said = this.#one(this.#said);
    const heard = this.#one(this.#heard);
    if (heard && chance < 0.35)
      return methodOf(heard) ? this.#answer(heard) : this.#followUp(heard);
    if (heard && chance < 0.6) return this.#withinDialog(heard);
    if (said && chance < 0.7) return copyOf(said);
    if (said && chance < 0.8) return this.#about(said, this.#one(['ACK', 'CANCEL'])!);
    return this.#request(this.#one(METHODS)!);
  }

  /** A new request outside any dialog. */
  #request(method: string): Draft {
    const id = `${++this.#count}x${this.#below(1000)}`;
    const draft: Draft = {
      start: `${method} sip:bob@${USER_AGENT} SIP/2.0`,
      fields: [
        ['Via', `SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK${id};rport`],
        ['Max-Forwards', '70'],
        ['From', `<sip:s@10.0.0.11>;tag=${id}`],
        ['To', '<sip:bob@10.0.0.2>'],
        ['Call-ID', id],
        ['CSeq', `1 ${method}`],
        ['Contact', '<sip:s@10.0.0.11:5060>'],
      ],
      body: '',
    };
    if (this.#random.unit() < 0.7) {
      draft.fields.push(['Supported', '100rel, timer'], ['Allow', 'INVITE, ACK, BYE, UPDATE']);
    }
    if (method === 'INVITE' && this.#random.unit() < 0.8) this.#describeMedia(draft);
    return draft;
  }

  /** ACK or CANCEL of something said: with its branch, as §9.1 and §17.1.1.3 have it. */
  #about(said: Draft, method: string): Draft {
    const draft = copyOf(said);
    const uri = said.start.split(' ')[1] ?? 'sip:bob@10.0.0.2';
    draft.start = `${method} ${uri} SIP/2.0`;
    draft.body = '';
    setField(draft, 'Content-Type', undefined);
    setField(draft, 'Require', undefined);
    changeField(draft, 'CSeq', value => `${value.split(' ')[0]} ${method}`);
    return draft;
  }

  /** What a response to a request of theirs calls for: ACK or PRACK, with its tag. */
  #followUp(response: Draft): Draft {
    const [sequence = '1', of = ''] = (fieldOf(response, 'CSeq') ?? '').split(' ');
    const rseq = fieldOf(response, 'RSeq');
    const [method, number] = rseq ? ['PRACK', Number(sequence) + 1] : ['ACK', sequence];
    const draft = this.#inDialog(response, method, `${number}`);
    // That to a refusal is of the same transaction.
    const refused = /^SIP\/2\.0 [3-6]/.test(response.start);
    if (refused) setField(draft, 'Via', fieldOf(response, 'Via'));
    if (rseq) draft.fields.push(['RAck', `${rseq} ${sequence} ${of}`]);
    return draft;
  }

  #withinDialog(heard: Draft): Draft {
    const method = this.#one([
      'BYE',
      'INVITE',
      'UPDATE',
      'INFO',
      'REFER',
      'NOTIFY',
      'OPTIONS',
      'MESSAGE',
    ])!;
    const draft = this.#inDialog(heard, method, String(2 + this.#below(6)));
    if (method === 'INVITE' || this.#random.unit() < 0.3) this.#describeMedia(draft);
    if (method === 'REFER') draft.fields.push(['Refer-To', '<sip:10.0.0.13>']);
    if (method === 'NOTIFY')
      draft.fields.push(['Event', 'refer'], ['Subscription-State', 'active']);
    return draft;
  }

  #inDialog(heard: Draft, method: string, sequence: string): Draft {
    const ours = methodOf(heard) !== '';
    const [from, to] = ours ? ['To', 'From'] : ['From', 'To'];
    const tag = ours && !(fieldOf(heard, 'To') ?? '').includes('tag=') ? ';tag=theirs' : '';
    const uri = /<([^>]*)>/.exec(fieldOf(heard, 'Contact') ?? '')?.[1] ?? `sip:bob@${USER_AGENT}`;
    return {
      start: `${method} ${uri} SIP/2.0`,
      fields: [
        ['Via', `SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK${++this.#count}d;rport`],
        ['Max-Forwards', '70'],
        ['From', (fieldOf(heard, from) ?? '') + tag],
        ['To', fieldOf(heard, to) ?? ''],
        ['Call-ID', fieldOf(heard, 'Call-ID') ?? ''],
        ['CSeq', `${sequence} ${method}`],
        ['Contact', '<sip:s@10.0.0.11:5060>'],
      ],
      body: '',
    };
  }

  /** A response to a request of the user agent. */
  #answer(request: Draft): Draft {
    const status = this.#one(STATUSES)!;
    const copied = request.fields.filter(([name]) =>
      ['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Record-Route'].includes(name),
    );
    const draft: Draft = {
      start: `SIP/2.0 ${status} Said`,
      fields: copied.map(([name, value]) => [name, value]),
      body: '',
    };
    const tag = this.#one(['theirs', 'theirs', 'theirs', 'other', `t${this.#below(4)}`])!;
    if (status > 100)
      changeField(draft, 'To', to => (to.includes('tag=') ? to : `${to};tag=${tag}`));
    if (status > 100 && status < 300) {
      draft.fields.push(
        ['Contact', `<sip:s@10.0.0.1${1 + this.#below(3)}:5060>`],
        ['Allow', 'INVITE, UPDATE'],
      );
      if (this.#random.unit() < 0.7) this.#describeMedia(draft);
      if (status < 200 && this.#random.unit() < 0.5) {
        draft.fields.push(['Require', '100rel'], ['RSeq', String(1 + this.#below(4))]);
      }
      if (status >= 200 && this.#random.unit() < 0.5) {
        draft.fields.push([
          'Session-Expires',
          `${90 + this.#below(100)};refresher=${this.#one(['uac', 'uas'])}`,
        ]);
      }
    }
    if (status === 401)
      draft.fields.push(['WWW-Authenticate', `Digest realm="r", nonce="${this.#below(9)}"`]);
    if (status === 407)
      draft.fields.push([
        'Proxy-Authenticate',
        `Digest realm="p", nonce="${this.#below(9)}", qop="auth"`,
      ]);
    if (status === 422) draft.fields.push(['Min-SE', String(this.#below(10_000))]);
    if (status >= 300 && status < 400) draft.fields.push(['Contact', '<sip:s@10.0.0.13:5060>']);
    return draft;
  }

  #describeMedia(draft: Draft): void {
    draft.body = SDP;
    setField(draft, 'Content-Type', 'application/sdp');
  }

  /** Puts one thing wrong. */
  #spoil(draft: Draft): void {
    const other = this.#one([...this.#said, ...this.#heard]);
    switch (this.#below(12)) {
      case 0:
        changeField(draft, 'To', to => retag(to, this.#tagOf(other)));
        return;
      case 1:
        changeField(draft, 'From', from => retag(from, this.#tagOf(other)));
        return;
      case 2:
        changeField(draft, 'Via', via => rebranch(via, this.#branchOf(other)));
        return;
      case 3:
        changeField(draft, 'CSeq', cseq => this.#resequence(cseq));
        return;
      case 4:
        if (other) setField(draft, 'Call-ID', fieldOf(other, 'Call-ID'));
        return;
      case 5: {
        const [name, ...values] = this.#one(FIELDS)!;
        setField(draft, name, this.#one(values));
        return;
      }
      case 6:
        draft.fields.splice(this.#below(draft.fields.length), 1);
        return;
      case 7: {
        const twice = this.#one(draft.fields);
        if (twice) draft.fields.splice(this.#below(draft.fields.length), 0, [...twice]);
        return;
      }
      case 8:
        if (methodOf(draft)) draft.start = draft.start.replace(/^\S+/, this.#one(METHODS)!);
        else draft.start = `SIP/2.0 ${this.#one(STATUSES)} Else`;
        return;
      case 9:
        draft.start = draft.start.replace(
          / \S+ SIP/,
          ` ${this.#one(['tel:1', 'sips:b@h', 'sip:10.0.0.2', 'x', 'sip:b@[::1]'])} SIP`,
        );
        return;
      case 10:
        draft.body = this.#one(['', 'v=0', '\0\xff', SDP])!;
        return;
      case 11:
        if (other) this.#borrow(draft, other);
        return;
    }
  }

  #borrow(draft: Draft, { fields }: Draft): void {
    const field = this.#one(fields);
    if (field) setField(draft, ...field);
  }

  #tagOf(draft: Draft | undefined): string {
    const field = draft && fieldOf(draft, this.#one(['To', 'From'])!);
    return /tag=([^;]*)/.exec(field ?? '')?.[1] ?? '';
  }

  #branchOf(draft: Draft | undefined): string {
    const branch = /branch=([^;]*)/.exec((draft && fieldOf(draft, 'Via')) ?? '')?.[1];
    return this.#one([branch ?? '', `z9hG4bKnew${++this.#count}`, 'old', ''])!;
  }

  #resequence(cseq: string): string {
    const [number = '1', method = ''] = cseq.split(' ');
    const next = this.#one([Number(number) + 1, Number(number) - 1, 0, 2 ** 31 - 1, 2 ** 32 - 1]);
    return this.#random.unit() < 0.7 ? `${next} ${method}` : `${number} ${this.#one(METHODS)}`;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.unit() * limit);
  }

  #one<T>(choices: readonly T[]): T | undefined {
    return choices[this.#below(choices.length)];
  }
}

function remember(drafts: Draft[], draft: Draft): void {
  drafts.push(draft);
  if (drafts.length > MEMORY) drafts.shift();
}

function retag(address: string, tag: string): string {
  const bare = address.replace(/;tag=[^;]*/, '');
  return tag === '' ? bare : `${bare};tag=${tag}`;
}

function rebranch(via: string, branch: string): string {
  return branch === ''
    ? via.replace(/;branch=[^;]*/, '')
    : via.replace(/branch=[^;]*/, `branch=${branch}`);
}
