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

export function exitCodeOfEnd(code: CallEndCode): number {
  switch (code) {
    case 'HUNG_UP':
    case 'REMOTE_HUNG_UP':
      return EXIT.ok;
    case 'NO_SUCH_NAME':
      return EXIT.noSuchName;
    case 'NO_ROUTE':
    case 'UNREACHABLE':
      return EXIT.unreachable;
    case 'REFUSED':
      return EXIT.refused;
    case 'BUSY':
      return EXIT.busy;
    case 'NO_COMMON_CODEC':
      return EXIT.noCommonCodec;
    case 'NO_ANSWER':
      return EXIT.noAnswer;
    case 'MEDIA_LOST':
      return EXIT.connectionLost;
    case 'FAILED':
      return EXIT.failed;
  }
}

const USAGE_ERRORS: readonly string[] = [
  'BAD_CONFIG',
  'BAD_ENDPOINT',
  'BAD_LOG_LEVEL',
  'BAD_PHONE_NAME',
  'BAD_PORT',
  'BAD_TARGET',
  'BAD_TEXT',
  'BAD_USAGE',
  'PATH_TOO_LONG',
];

export function exitCodeOfError(error: unknown): number {
  if (!(error instanceof CodedError)) return EXIT.failed;
  if (error.code === 'NOT_RUNNING') return EXIT.notRunning;
  if (error.code === 'NO_ROUTE') return EXIT.unreachable;
  return USAGE_ERRORS.includes(error.code) ? EXIT.usage : EXIT.failed;
}
