/** UDP by hand: a socket that speaks SIP with plain text, and free ports. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Endpoint } from '../../src/core/network.js';

/** A UDP port of this machine's address that nobody uses now. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  const socket = await openSocket(address);
  const { port } = socket.address();
  socket.close();
  return port;
}

export async function openSocket(address = '127.0.0.1'): Promise<Socket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4').bind(0, address);
  await once(socket, 'listening');
  return socket;
}

let requests = 0;

/** An OPTIONS request, as a socket on `port` sends it. */
export function optionsRequest(to: Endpoint, port: number): string {
  const id = `${process.pid}-${++requests}`;
  return [
    `OPTIONS sip:${to.address}:${to.port} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${id};rport`,
    `From: <sip:harness@127.0.0.1>;tag=${id}`,
    `To: <sip:${to.address}>`,
    `Call-ID: ${id}`,
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

/** How long until OPTIONS is answered in ms, asked every `everyMs`; undefined if it never is. */
export async function untilAnswered(
  to: Endpoint,
  withinMs: number,
  everyMs = 100,
): Promise<number | undefined> {
  const socket = await openSocket();
  const started = performance.now();
  const ask = () => socket.send(optionsRequest(to, socket.address().port), to.port, to.address);
  const asking = setInterval(ask, everyMs);
  ask();
  try {
    await once(socket, 'message', { signal: AbortSignal.timeout(withinMs) });
    return performance.now() - started;
  } catch {
    return undefined;
  } finally {
    clearInterval(asking);
    socket.close();
  }
}
