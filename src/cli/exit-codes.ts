/** Exit statuses: a script can tell what became of a call. The help shows this very table. */
import type { CallEndCode } from '../calling/call-end.js';
import { CodedError } from '../core/errors.js';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  noSuchName: 3,
  unreachable: 4,
  refused: 5,
  busy: 6,
  noCommonCodec: 7,
  noAnswer: 8,
  connectionLost: 9,
  notRunning: 10,
} as const;

export const EXIT_TABLE: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.failed, 'failed; the message says why'],
  [EXIT.usage, 'the command line or the configuration is wrong'],
  [EXIT.noSuchName, 'no phone or person of that name'],
  [EXIT.unreachable, 'no route, or no response'],
  [EXIT.refused, 'the call, or the message, was refused'],
  [EXIT.busy, 'busy'],
  [EXIT.noCommonCodec, 'no codec in common'],
  [EXIT.noAnswer, 'nobody answered'],
  [EXIT.connectionLost, 'the connection was lost during the call'],
  [EXIT.notRunning, 'no phone runs on this machine'],
];

const OF_ENDS: Readonly<Record<CallEndCode, number>> = {
  HUNG_UP: EXIT.ok,
  REMOTE_HUNG_UP: EXIT.ok,
  NO_SUCH_NAME: EXIT.noSuchName,
  NO_ROUTE: EXIT.unreachable,
  UNREACHABLE: EXIT.unreachable,
  REFUSED: EXIT.refused,
  BUSY: EXIT.busy,
  NO_COMMON_CODEC: EXIT.noCommonCodec,
  NO_ANSWER: EXIT.noAnswer,
  MEDIA_LOST: EXIT.connectionLost,
  FAILED: EXIT.failed,
};

export function exitCodeOfEnd(code: CallEndCode): number {
  return OF_ENDS[code];
}

const USAGE_ERRORS: readonly string[] = [
  'BAD_CONFIG',
  'BAD_ENDPOINT',
  'BAD_KEY',
  'BAD_KEY_TEXT',
  'BAD_LOG_LEVEL',
  'BAD_NAME',
  'BAD_PASSPHRASE',
  'BAD_PHONE_NAME',
  'BAD_PORT',
  'BAD_PUBLIC_KEY',
  'BAD_RECORD_TEXT',
  'BAD_TARGET',
  'BAD_TEXT',
  'BAD_USAGE',
  'PATH_TOO_LONG',
  'UNKNOWN_CODEC',
];

export function exitCodeOfError(error: unknown): number {
  if (!(error instanceof CodedError)) return EXIT.failed;
  if (error.code === 'NOT_RUNNING') return EXIT.notRunning;
  const end = Object.entries(OF_ENDS).find(([code]) => code === error.code);
  if (end) return end[1];
  return USAGE_ERRORS.includes(error.code) ? EXIT.usage : EXIT.failed;
}
