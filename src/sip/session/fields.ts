import { headerField, Params, readFieldParams, writeFieldParams } from '@sip-stack/parser';

export const RSeq = headerField<number>({
  name: 'RSeq',
  read: cursor => cursor.takeNumber('a number', 2 ** 32 - 1),
  format: String,
});

export const RAck = headerField<{ rseq: number; sequence: number; method: string }>({
  name: 'RAck',
  read(cursor) {
    const rseq = cursor.takeNumber('a response number', 2 ** 32 - 1);
    cursor.skipSpace();
    const sequence = cursor.takeNumber('a sequence number', 2 ** 31);
    cursor.skipSpace();
    return { rseq, sequence, method: cursor.takeToken('a method') };
  },
  format: ({ rseq, sequence, method }) => `${rseq} ${sequence} ${method}`,
});

export const MinSE = headerField<number>({
  name: 'Min-SE',
  read: cursor => {
    const value = cursor.takeNumber('seconds', 2 ** 32 - 1);
    readFieldParams(cursor);
    return value;
  },
  format: String,
});

export interface SessionExpiresValue {
  readonly seconds: number;
  readonly refresher?: string | undefined;
}

export const SessionExpires = headerField<SessionExpiresValue>({
  name: 'Session-Expires',
  read(cursor) {
    const seconds = cursor.takeNumber('seconds', 2 ** 32 - 1);
    return { seconds, refresher: readFieldParams(cursor).get('refresher')?.toLowerCase() };
  },
  format: ({ seconds, refresher }) =>
    `${seconds}${writeFieldParams(refresher ? Params.from({ refresher }) : new Params())}`,
});
