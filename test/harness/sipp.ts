/** SIPp: its built-in caller (INVITE, ACK, a pause, BYE, again and again), and scenarios played once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';

export interface SippOptions {
  readonly cleanup: Cleanup;
  /** For its statistics. */
  readonly directory: string;
  /** `HOST:PORT` to call. */
  readonly target: string;
  /** User part of the Request-URI. */
  readonly user: string;
  readonly calls: number;
  readonly callsPerSecond: number;
  readonly callMs: number;
}

export interface SippResult {
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** What it says of those that failed; the beginning. */
  readonly complaints: string;
}

/** Calls, against those there are where each takes no longer than it has to. */
const AT_A_TIME = 3;

export async function runSipp(options: SippOptions): Promise<SippResult> {
  const { cleanup, directory, target, user, calls, callsPerSecond, callMs } = options;
  const statistics = join(directory, 'sipp.csv');
  const seconds = calls / callsPerSecond + callMs / 1000;
  const errors = join(directory, 'sipp-errors.log');
  const child = startChild(cleanup, [
    ...['sipp', '-sn', 'uac', target, '-s', user, '-i', '127.0.0.1'],
    ...['-m', String(calls), '-r', String(callsPerSecond), '-d', String(callMs)],
    // A machine that is busy makes fewer calls a second, not more at a time.
    ...['-l', String(Math.ceil((callsPerSecond * callMs * AT_A_TIME) / 1000))],
    // Calls that never end would hold it for ever.
    ...['-timeout', `${Math.ceil(5 * seconds + 40)}s`, '-timeout_error'],
    ...['-nostdin', '-trace_stat', '-stf', statistics],
    ...['-trace_err', '-error_file', errors],
  ]);
  const ended = await child.ended;
  const row = lastRow(statistics);
  if (!row) throw new PlainFailure(`sipp ended with ${ended}:\n${child.output().slice(-2000)}`);
  return {
    successful: Number(row['SuccessfulCall(C)']),
    failed: Number(row['FailedCall(C)']),
    retransmissions: Number(row['Retransmissions(C)']),
    complaints: contentOf(errors).slice(0, 3000),
  };
}

export interface ScenarioOptions {
  readonly cleanup: Cleanup;
  /** For its error log; each scenario has its own. */
  readonly directory: string;
  /** The XML file. */
  readonly file: string;
  /** Of this machine: what it speaks from, and is reached at. */
  readonly address: string;
  readonly port: number;
  readonly protocol: 'UDP' | 'TCP';
  /** `HOST:PORT` and user to call, where the scenario calls. */
  readonly call?: { readonly target: string; readonly user: string };
  /** The scenario itself deals with messages that come again, unchanged. */
  readonly seesRepeated?: boolean;
  /** What `[key]` stands for in the file. */
  readonly keys?: Readonly<Record<string, string>>;
}

/** A message that does not come in time fails the scenario. */
const MESSAGE_LIMIT_MS = 30_000;
const SCENARIO_LIMIT_S = 60;
const LOOK_EVERY_MS = 20;

/** Of the messages of a scenario that failed, so many are told: the last. */
const MESSAGES_TOLD = 25;

/** Plays a scenario once; answers what went wrong, or undefined where all went as it says. */
export async function playScenario(options: ScenarioOptions): Promise<string | undefined> {
  const { cleanup, directory, file, address, port, protocol, call, keys = {} } = options;
  const errors = join(directory, 'errors.log');
  const child = startChild(cleanup, [
    ...['sipp', '-sf', file, '-i', address, '-p', String(port), '-m', '1'],
    ...['-t', protocol === 'UDP' ? 'u1' : 't1'],
    ...(call ? [call.target, '-s', call.user] : []),
    ...Object.entries(keys).flatMap(([key, value]) => ['-key', key, value]),
    // What comes again is passed over: a busy machine makes it come.
    ...(options.seesRepeated ? ['-nr'] : []),
    ...['-nostdin', '-recv_timeout', String(MESSAGE_LIMIT_MS)],
    ...['-timeout', `${SCENARIO_LIMIT_S}s`, '-timeout_error'],
    ...['-trace_err', '-error_file', errors],
    ...['-trace_shortmsg', '-shortmessage_file', messageFile(directory)],
  ]);
  const ended = await child.ended;
  if (ended === 0) return undefined;
  const complaints = contentOf(errors).slice(0, 3000) || child.output().slice(-2000);
  const passed = messagesOf(directory).slice(-MESSAGES_TOLD).join('\n');
  return `sipp ended with ${ended}\n${complaints}\n${passed}`;
}

/**
 * Whether SIPp itself tells, in what `playScenario` answers, that it stood still, or was not yet done with
 * sending what came before (what comes meanwhile it takes for unexpected), or that another program took its
 * port before it could. Such a scenario says nothing.
 */
export function isFaultOfSipp(problem: string): boolean {
  return /watchdog timer \S+ has been tripped|while sending \(index|Unable to bind/i.test(problem);
}

/** Waits until a scenario that is played with this directory has received a message that begins so. */
export async function received(directory: string, beginning: string): Promise<void> {
  const pattern = new RegExp(`^\\S+ R ${beginning}`);
  for (const until = performance.now() + MESSAGE_LIMIT_MS; performance.now() < until; ) {
    if (messagesOf(directory).some(message => pattern.test(message))) return;
    await delay(LOOK_EVERY_MS);
  }
  throw new PlainFailure(`sipp received no ${beginning} within ${MESSAGE_LIMIT_MS} ms`);
}

function messageFile(directory: string): string {
  return join(directory, 'messages.csv');
}

/** What was sent and received, in short: `17:30:15.246276 R INVITE sip:… SIP/2.0 (CSeq:1 INVITE)`. */
function messagesOf(directory: string): string[] {
  const rows = contentOf(messageFile(directory)).trimEnd().split('\n');
  return rows.map(row => {
    const [, time = '', , way, , sequence, first] = row.split('\t');
    return `${time} ${way} ${first} (${sequence})`;
  });
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The totals, by the column's name. */
export function lastRow(path: string): Record<string, string> | undefined {
  try {
    const [head = '', ...rows] = readFileSync(path, 'utf8').trimEnd().split('\n');
    const last = rows.at(-1)?.split(';');
    return (
      last && Object.fromEntries(head.split(';').map((name, index) => [name, last[index] ?? '']))
    );
  } catch {
    return undefined;
  }
}
