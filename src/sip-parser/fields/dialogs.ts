/** Header fields that point at another dialog: Replaces (RFC 3891), Join (RFC 3911). */
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';
import { readCallId } from './scalar.js';

export interface DialogReference {
  readonly callId: string;
  /** `to-tag` and `from-tag`, as the one who is asked sees them; Replaces knows `early-only`. */
  readonly params: Params;
}

const TAGS = ['to-tag', 'from-tag'];

function dialogField(name: string) {
  return headerField<DialogReference>({
    name,
    read(cursor) {
      const callId = readCallId(cursor);
      const params = readFieldParams(cursor);
      for (const tag of TAGS) {
        if (!params.get(tag)) throw cursor.unexpected(`a ${tag}`);
      }
      return { callId, params };
    },
    format: ({ callId, params }) => callId + writeFieldParams(params),
  });
}

export const Replaces = dialogField('Replaces');
export const Join = dialogField('Join');
