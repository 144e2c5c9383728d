/** The parsers of npm as contestants. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { AllFields, Contestant, RoutingFields } from './contestants.js';

// npm `sip`: headers are read eagerly, address URIs stay text until `parseUri`.

interface NpmSipUri {
  user?: string;
  host: string;
}
interface NpmSipAddress<U> {
  name?: string;
  uri: U;
  params: Record<string, string | undefined>;
}
interface NpmSipVia {
  host: string;
  port?: number;
  params: Record<string, string | undefined>;
}
interface NpmSipMessage {
  method: string;
  uri: string;
  content: string;
  headers: {
    via: NpmSipVia[];
    from: NpmSipAddress<string>;
    to: NpmSipAddress<string>;
    contact: NpmSipAddress<string>[];
    route: NpmSipAddress<NpmSipUri>[];
    'record-route': NpmSipAddress<NpmSipUri>[];
    cseq: { seq: number; method: string };
    'call-id': string;
    'max-forwards': string;
    'content-length': number;
    'content-type': string;
    'user-agent': string;
    allow: string;
    supported: string;
  };
}
interface NpmSip {
  parse(data: Uint8Array): NpmSipMessage;
  parseUri(text: string): NpmSipUri;
}

function npmSip(sip: NpmSip): Contestant {
  const routing = ({ method, uri, headers }: NpmSipMessage): RoutingFields => {
    const requestUri = sip.parseUri(uri);
    const via = headers.via[0]!;
    return {
      method,
      requestUser: requestUri.user,
      requestHost: requestUri.host,
      branch: via.params.branch,
      sentByHost: via.host,
      sentByPort: via.port,
      fromTag: headers.from.params.tag,
      toTag: headers.to.params.tag,
      callId: headers['call-id'],
      sequence: headers.cseq.seq,
      routeHost: headers.route[0]!.uri.host,
      maxForwards: Number(headers['max-forwards']),
    };
  };
  return {
    name: 'sip 0.0.6',
    routing: data => routing(sip.parse(data)),
    all(data) {
      const message = sip.parse(data);
      const { headers } = message;
      const contact = headers.contact[0]!;
      const contactUri = sip.parseUri(contact.uri);
      return {
        routing: routing(message),
        secondSentBy: headers.via[1]!.host,
        secondBranch: headers.via[1]!.params.branch,
        recordRouteHost: headers['record-route'][0]!.uri.host,
        fromName: headers.from.name?.replace(/^"|"$/g, ''),
        fromUser: sip.parseUri(headers.from.uri).user,
        toName: headers.to.name,
        toUser: sip.parseUri(headers.to.uri).user,
        sequenceMethod: headers.cseq.method,
        contactUser: contactUri.user,
        contactHost: contactUri.host,
        contactExpires: Number(contact.params.expires),
        allow: headers.allow.split(', '),
        supported: headers.supported.split(', '),
        userAgent: headers['user-agent'],
        contentType: headers['content-type'],
        contentLength: headers['content-length'],
        bodyLength: message.content.length,
      };
    },
  };
}

// JsSIP and SIP.js share an ancestor: routing fields are read eagerly by a generated grammar.

interface GrammarAddress {
  uri: { user?: string; host: string };
  getParam(name: string): string | undefined;
}
interface JsSipAddress extends GrammarAddress {
  display_name?: string;
}
interface SipJsAddress extends GrammarAddress {
  displayName?: string;
}
interface GrammarVia {
  host: string;
  port?: number;
  branch?: string;
}
interface GrammarMessage {
  method: string;
  ruri: { user?: string; host: string };
  via: GrammarVia;
  body: string;
  getHeader(name: string): string;
  parseHeader(name: string, index?: number): unknown;
}
interface JsSipMessage extends GrammarMessage {
  via_branch: string;
  from: JsSipAddress;
  from_tag: string;
  to: JsSipAddress;
  to_tag: string;
  call_id: string;
  cseq: number;
}
interface SipJsMessage extends GrammarMessage {
  viaBranch: string;
  from: SipJsAddress;
  fromTag: string;
  to: SipJsAddress;
  toTag: string;
  callId: string;
  cseq: number;
}

function allFields(
  message: GrammarMessage,
  routing: RoutingFields,
  [fromName, fromUser]: readonly [string | undefined, string | undefined],
  [toName, toUser]: readonly [string | undefined, string | undefined],
): AllFields {
  const second = message.parseHeader('via', 1) as GrammarVia;
  const contact = message.parseHeader('contact') as GrammarAddress;
  return {
    routing,
    fromName,
    fromUser,
    toName,
    toUser,
    secondSentBy: second.host,
    secondBranch: second.branch,
    recordRouteHost: (message.parseHeader('record-route') as GrammarAddress).uri.host,
    sequenceMethod: (message.parseHeader('cseq') as { method: string }).method,
    contactUser: contact.uri.user,
    contactHost: contact.uri.host,
    contactExpires: Number(contact.getParam('expires')),
    allow: message.getHeader('allow').split(', '),
    supported: message.getHeader('supported').split(', '),
    userAgent: message.getHeader('user-agent'),
    contentType: message.parseHeader('content-type') as string,
    contentLength: message.parseHeader('content-length') as number,
    bodyLength: message.body.length,
  };
}

interface JsSip {
  parseMessage(data: string, userAgent: object): JsSipMessage;
}

function jsSip({ parseMessage: parse }: JsSip): Contestant {
  const userAgent = {};
  const read = (data: Uint8Array) => parse(data.toString(), userAgent);
  const routing = (message: JsSipMessage): RoutingFields => ({
    method: message.method,
    requestUser: message.ruri.user,
    requestHost: message.ruri.host,
    branch: message.via_branch,
    sentByHost: message.via.host,
    sentByPort: message.via.port,
    fromTag: message.from_tag,
    toTag: message.to_tag,
    callId: message.call_id,
    sequence: message.cseq,
    routeHost: (message.parseHeader('route') as Pick<GrammarAddress, 'uri'>).uri.host,
    maxForwards: message.parseHeader('max-forwards') as number,
  });
  return {
    name: 'jssip 3.13.8',
    routing: data => routing(read(data)),
    all(data) {
      const message = read(data);
      const { from, to } = message;
      return allFields(
        message,
        routing(message),
        [from.display_name, from.uri.user],
        [to.display_name, to.uri.user],
      );
    },
  };
}

interface SipJs {
  Parser: { parseMessage(data: string, logger: object): SipJsMessage };
  Grammar: { nameAddrHeaderParse(text: string): GrammarAddress };
}

function sipJs({ Parser, Grammar }: SipJs): Contestant {
  const read = (data: Uint8Array) => Parser.parseMessage(data.toString(), console);
  const routing = (message: SipJsMessage): RoutingFields => ({
    method: message.method,
    requestUser: message.ruri.user,
    requestHost: message.ruri.host,
    branch: message.viaBranch,
    sentByHost: message.via.host,
    sentByPort: message.via.port,
    fromTag: message.fromTag,
    toTag: message.toTag,
    callId: message.callId,
    sequence: message.cseq,
    // Its own Route rule does not read a Route; this is how it reads any other address.
    routeHost: Grammar.nameAddrHeaderParse(message.getHeader('route')).uri.host,
    maxForwards: message.parseHeader('max-forwards') as number,
  });
  return {
    name: 'sip.js 0.21.2',
    routing: data => routing(read(data)),
    all(data) {
      const message = read(data);
      const { from, to } = message;
      return allFields(
        message,
        routing(message),
        [from.displayName, from.uri.user],
        [to.displayName, to.uri.user],
      );
    },
  };
}

/** @param folder where the rivals are installed, with a trailing slash */
export async function loadRivals(folder: URL): Promise<Contestant[]> {
  const require = createRequire(folder);
  const module = async (path: string): Promise<unknown> =>
    import(pathToFileURL(require.resolve(path)).href);
  return [
    npmSip(require('sip/sip.js') as NpmSip),
    jsSip(require('jssip/lib/Parser.js') as JsSip),
    sipJs({
      ...((await module('sip.js/lib/core/messages/parser.js')) as Pick<SipJs, 'Parser'>),
      ...((await module('sip.js/lib/grammar/grammar.js')) as Pick<SipJs, 'Grammar'>),
    }),
  ];
}
