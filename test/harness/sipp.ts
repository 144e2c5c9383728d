/** SIPp's built-in caller: INVITE, ACK, a pause, BYE, again and again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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
}

export async function runSipp(options: SippOptions): Promise<SippResult> {
  const { cleanup, directory, target, user, calls, callsPerSecond, callMs } = options;
  const statistics = join(directory, 'sipp.csv');
  const seconds = calls / callsPerSecond + callMs / 1000;
  const child = startChild(cleanup, [
    ...['sipp', '-sn', 'uac', target, '-s', user, '-i', '127.0.0.1'],
    ...['-m', String(calls), '-r', String(callsPerSecond), '-d', String(callMs)],
    // Calls that never end would hold it for ever.
    ...['-timeout', `${Math.ceil(seconds + 40)}s`, '-timeout_error'],
    ...['-nostdin', '-trace_stat', '-stf', statistics],
  ]);
  const ended = await child.ended;
  const row = lastRow(statistics);
  if (!row) throw new PlainFailure(`sipp ended with ${ended}:\n${child.output().slice(-2000)}`);
  return {
    successful: Number(row['SuccessfulCall(C)']),
    failed: Number(row['FailedCall(C)']),
    retransmissions: Number(row['Retransmissions(C)']),
  };
}

/** The totals, by the column's name. */
function lastRow(path: string): Record<string, string> | undefined {
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
