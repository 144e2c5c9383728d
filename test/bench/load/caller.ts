/** Calls at a steady rate with voice, by SIPp: each timed from its INVITE to the 200. */
import { createReadStream, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startChild } from '../../harness/child.js';
import { percentile } from '../../harness/figures.js';
import { type Cleanup, PlainFailure } from '../../harness/program.js';

const SCENARIO = new URL('../../../../test/bench/load/call.xml', import.meta.url);

/** Of µ-law, over and over: a second is enough to be heard as something. */
const VOICE_OCTETS = 8000;
/** What SIPp may take longer than the calls take. */
const GRACE_SECONDS = 40;

export interface LoadOptions {
  readonly cleanup: Cleanup;
  /** For its scenario and logs. */
  readonly directory: string;
  /** Put before the command: the core it runs on. */
  readonly pinned: readonly string[];
  /** `HOST:PORT` to call, and the user there. */
  readonly target: string;
  readonly user: string;
  readonly callsPerSecond: number;
  readonly calls: number;
  /** From the ACK to the BYE. */
  readonly callMs: number;
}

export interface LoadResult {
  readonly successful: number;
  readonly failed: number;
  /** By the caller. */
  readonly retransmissions: number;
  /** From INVITE to 200, of every call that was answered. */
  readonly answerMs: readonly number[];
  /** Calls begun a second: a caller that is too slow itself begins fewer. */
  readonly rate: number;
}

export async function callSteadily(options: LoadOptions): Promise<LoadResult> {
  const { cleanup, directory, target, user, calls, callsPerSecond, callMs, pinned } = options;
  const [file, statistics, messages, voice] = ['xml', 'csv', 'messages', 'ul'].map(name =>
    join(directory, `load.${name}`),
  ) as [string, string, string, string];
  for (const old of [statistics, messages]) rmSync(old, { force: true });
  writeFileSync(
    voice,
    Uint8Array.from({ length: VOICE_OCTETS }, (_, at) => (at * 37) & 0xff),
  );
  writeFileSync(file, readFileSync(SCENARIO, 'utf8').replace('VOICE', voice));
  const seconds = Math.ceil(calls / callsPerSecond + callMs / 1000 + GRACE_SECONDS);
  const child = startChild(cleanup, [
    ...[...pinned, 'sipp', '-sf', file, target, '-s', user, '-i', '127.0.0.1'],
    ...['-m', String(calls), '-r', String(callsPerSecond), '-d', String(callMs)],
    // Its own limit of calls at once would hide that calls pile up.
    ...['-l', String(calls), '-timeout', `${seconds}s`, '-timeout_error', '-nostdin'],
    ...['-trace_stat', '-stf', statistics],
    // Its own times come in steps of 4 ms; those in this log are exact.
    ...['-trace_shortmsg', '-shortmessage_file', messages],
  ]);
  const ended = await child.ended;
  const row = lastRow(statistics);
  if (!row) throw new PlainFailure(`sipp ended with ${ended}:\n${child.output().slice(-2000)}`);
  return {
    successful: Number(row['SuccessfulCall(C)']),
    failed: Number(row['FailedCall(C)']),
    retransmissions: Number(row['Retransmissions(C)']),
    answerMs: await answerTimes(messages),
    rate: Number(row['CallRate(C)']),
  };
}

export function p99({ answerMs }: LoadResult): number {
  return percentile(answerMs, 0.99);
}

export function p50({ answerMs }: LoadResult): number {
  return percentile(answerMs, 0.5);
}

/** Lines of: date, time, seconds, S(ent) or R(eceived), Call-ID, CSeq, start line. */
async function answerTimes(log: string): Promise<number[]> {
  const asked = new Map<string, number>();
  const times: number[] = [];
  for await (const line of createInterface({ input: createReadStream(log) })) {
    const [, , at, direction, callId = '', sequence, startLine] = line.split('\t');
    if (direction === 'S' && startLine?.startsWith('INVITE') && !asked.has(callId)) {
      asked.set(callId, Number(at));
    }
    if (direction !== 'R' || !startLine?.startsWith('SIP/2.0 200')) continue;
    const began = asked.get(callId);
    if (began === undefined || sequence !== 'CSeq:1 INVITE') continue;
    times.push((Number(at) - began) * 1000);
    // A 200 that comes again is no second answer.
    asked.set(callId, Number.NaN);
  }
  return times.filter(time => !Number.isNaN(time));
}

/** The totals, by the column's name. */
function lastRow(path: string): Record<string, string> | undefined {
  if (!existsSync(path)) return undefined;
  const [head = '', ...rows] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const last = rows.at(-1)?.split(';');
  return (
    last && Object.fromEntries(head.split(';').map((name, index) => [name, last[index] ?? '']))
  );
}
