/** What a process holds, as Linux shows it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** USER_HZ, the same on every Linux. */
const CLOCK_TICKS = 100;

const BOUND_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** Resident memory in MB (10^6 octets). */
export function residentMegabytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return (Number(kibibytes) * 1024) / 1e6;
}

/** Of all its threads, user and system. */
export function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

/** How long its main thread has been ready to run, in ms, while other programs had the processors. */
export function waitedMs(pid: number): number {
  try {
    const [, nanoseconds] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
    return Number(nanoseconds) / 1e6;
  } catch {
    return 0; // A kernel that does not count it.
  }
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** IPv4 UDP ports a process has bound. */
export function udpPorts(pid: number): number[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map(fd => descriptorOf(pid, fd)));
  const [, ...rows] = readFileSync(`/proc/${pid}/net/udp`, 'latin1').trimEnd().split('\n');
  return rows
    .map(row => row.trim().split(/\s+/))
    .filter(columns => sockets.has(`socket:[${columns[9]}]`))
    .map(columns => Number.parseInt(columns[1]?.split(':')[1] ?? '', 16));
}

/** Waits until some process of this machine has bound a port; no longer than a few seconds. */
export async function untilBound({
  port,
  protocol,
}: {
  readonly port: number;
  readonly protocol: 'UDP' | 'TCP';
}): Promise<void> {
  const pattern = new RegExp(`^ *\\d+: [0-9A-F]+:${hex(port)} `, 'm');
  const tables = ['', '6'].map(family => `/proc/net/${protocol.toLowerCase()}${family}`);
  for (const until = performance.now() + BOUND_WITHIN_MS; performance.now() < until; ) {
    if (tables.some(table => pattern.test(readFileSync(table, 'latin1')))) return;
    await delay(LOOK_EVERY_MS);
  }
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function descriptorOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return ''; // closed meanwhile
  }
}
