/** Members that call a mixer of somebody else's by SIP over UDP: just enough of it to hold many calls of G.711. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Cleanup } from '../../../harness/program.js';

const ADDRESS = '127.0.0.1';
/** RFC 3261 timer B at most; a program that takes longer for a call does not carry it. */
const ANSWER_MS = 8000;

interface Call {
  /** Where it listens, and where the mixer does. */
  readonly port: number;
  remotePort: number | undefined;
  /** Calls that wait for something to come from the mixer. */
  told: () => void;
  /** How the INVITE was refused. */
  refusal: string | undefined;
  /** Descriptions the mixer sent after the first: it moves calls into its conference so. */
  offers: number;
}

export class Callers {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #calls: Call[] = [];

  static async open(cleanup: Cleanup, mixerPort: number): Promise<Callers> {
    const socket = createSocket('udp4');
    socket.bind(0, ADDRESS);
    await once(socket, 'listening');
    cleanup.add(() => void socket.close());
    return new Callers(socket, mixerPort);
  }

  private constructor(socket: Socket, mixerPort: number) {
    this.#socket = socket;
    this.#port = mixerPort;
    socket.on('message', data => this.#receive(data.toString('latin1')));
  }

  /** Where the mixer listens to each call. */
  get remotePorts(): number[] {
    return this.#calls.map(({ remotePort }) => remotePort ?? 0);
  }

  /** Calls for a member that listens at `port`; its number. */
  call(port: number): number {
    const number = this.#calls.length;
    const told = () => undefined;
    this.#calls.push({ port, remotePort: undefined, told, refusal: undefined, offers: 0 });
    const body = description(port, 'sendrecv');
    this.#send([
      `INVITE sip:mixer@${ADDRESS}:${this.#port} SIP/2.0`,
      ...this.#headers(number, `<sip:mixer@${ADDRESS}:${this.#port}>`, '1 INVITE', 'i'),
      `Contact: <${this.#contact(number)}>`,
      'Content-Type: application/sdp',
      `Content-Length: ${body.length}`,
      '',
      body,
    ]);
    return number;
  }

  /** Whether the call was answered in time; else why not. */
  async answered(number: number): Promise<true | string> {
    const call = this.#calls[number]!;
    const there = await this.#until(call, () => call.remotePort !== undefined || !!call.refusal);
    return call.refusal ?? (there || `no answer within ${ANSWER_MS} ms`);
  }

  /** How it refused the call, so far. */
  refusal(number: number): string | undefined {
    return this.#calls[number]!.refusal;
  }

  /** Whether the mixer has moved the call into its conference. */
  async joined(number: number): Promise<boolean> {
    const call = this.#calls[number]!;
    return this.#until(call, () => call.offers > 0);
  }

  async #until(call: Call, done: () => boolean): Promise<boolean> {
    const until = performance.now() + ANSWER_MS;
    while (!done() && performance.now() < until) {
      const { promise, resolve } = withResolvers();
      call.told = resolve;
      const timer = setTimeout(resolve, until - performance.now());
      await promise;
      clearTimeout(timer);
    }
    return done();
  }

  #receive(message: string): void {
    const number = Number(/^m(\d+)$/.exec(header(message, 'Call-ID'))?.[1] ?? -1);
    const call = this.#calls[number];
    if (!call) return;
    if (message.startsWith('SIP/2.0')) this.#answer(message, number, call);
    else this.#request(message, number, call);
    call.told();
  }

  #answer(message: string, number: number, call: Call): void {
    const status = Number(message.slice(8, 11));
    if (status < 200 || header(message, 'CSeq') !== '1 INVITE') return;
    if (status >= 300) call.refusal = message.split('\r\n', 1)[0];
    else call.remotePort ??= mediaPort(message);
    const target = /<([^>]*)>/.exec(header(message, 'Contact'))?.[1];
    const to = header(message, 'To');
    this.#send([
      `ACK ${target ?? `sip:mixer@${ADDRESS}:${this.#port}`} SIP/2.0`,
      ...this.#headers(number, to, '1 ACK', status < 300 ? 'a' : 'i'),
      'Content-Length: 0',
      '',
      '',
    ]);
  }

  #request(message: string, number: number, call: Call): void {
    const method = message.split(' ', 1)[0]!;
    if (method === 'ACK') return;
    const port = mediaPort(message);
    let body = '';
    if (port !== undefined) {
      call.remotePort = port;
      call.offers++;
      body = description(call.port, /a=sendonly/.test(message) ? 'recvonly' : 'sendrecv');
    }
    this.#send([
      'SIP/2.0 200 OK',
      ...['Via', 'From', 'To', 'Call-ID', 'CSeq'].map(name => `${name}: ${header(message, name)}`),
      `Contact: <${this.#contact(number)}>`,
      ...(body ? ['Content-Type: application/sdp'] : []),
      `Content-Length: ${body.length}`,
      '',
      body,
    ]);
  }

  #headers(number: number, to: string, sequence: string, branch: string): string[] {
    const { port } = this.#socket.address();
    return [
      `Via: SIP/2.0/UDP ${ADDRESS}:${port};branch=z9hG4bK${branch}${number};rport`,
      'Max-Forwards: 70',
      `From: <${this.#contact(number)}>;tag=m${number}`,
      `To: ${to}`,
      `Call-ID: m${number}`,
      `CSeq: ${sequence}`,
    ];
  }

  #contact(number: number): string {
    return `sip:m${number}@${ADDRESS}:${this.#socket.address().port}`;
  }

  #send(lines: readonly string[]): void {
    this.#socket.send(lines.join('\r\n'), this.#port, ADDRESS);
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>(done => {
    resolve = done;
  });
  return { promise, resolve };
}

function header(message: string, name: string): string {
  return new RegExp(`^${name}: *(.*)\r$`, 'im').exec(message)?.[1] ?? '';
}

function mediaPort(message: string): number | undefined {
  const port = /^m=audio (\d+)/m.exec(message)?.[1];
  return port === undefined ? undefined : Number(port);
}

function description(port: number, direction: string): string {
  return [
    'v=0',
    `o=- 1 1 IN IP4 ${ADDRESS}`,
    's=-',
    `c=IN IP4 ${ADDRESS}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
    'a=rtpmap:0 PCMU/8000',
    `a=${direction}`,
    '',
  ].join('\r\n');
}
