/** Why: Reason (RFC 3326), Warning (RFC 3261 §20.43). */
import { quote } from '../cursor.js';
import { headerField } from '../field.js';
import { fieldParamsDialect, readFieldParams, writeFieldParams } from '../field-params.js';
import type { TokenWithParams } from './tokens.js';

const reasonParams = fieldParamsDialect(name => name === 'text');

/** A protocol (`SIP`, `Q.850`) with `cause` and `text`. */
export const Reason = headerField<TokenWithParams>({
  name: 'Reason',
  list: true,
  read: cursor => ({
    token: cursor.takeToken('a protocol'),
    params: readFieldParams(cursor, reasonParams),
  }),
  format: ({ token, params }) => token + writeFieldParams(params, reasonParams),
});

export interface WarningValue {
  /** Three digits, RFC 3261 §20.43. */
  readonly code: number;
  /** Host or pseudonym of who warns. */
  readonly agent: string;
  readonly text: string;
}

export const Warning = headerField<WarningValue>({
  name: 'Warning',
  list: true,
  read(cursor) {
    const start = cursor.pos;
    const code = cursor.takeNumber('a warn-code', 999);
    if (cursor.pos - start !== 3) {
      cursor.pos = start;
      throw cursor.unexpected('a warn-code of three digits');
    }
    cursor.skipSpace();
    const agentStart = cursor.pos;
    while (cursor.peek() > 0x20 && cursor.peek() !== 0x22) cursor.pos++;
    const agent = cursor.text.slice(agentStart, cursor.pos);
    cursor.skipSpace();
    if (agent === '' || cursor.peek() !== 0x22)
      throw cursor.unexpected('a warn-agent and a quoted text');
    return { code, agent, text: cursor.takeQuoted() };
  },
  format: ({ code, agent, text }) => `${code} ${agent} ${quote(text)}`,
});
