/** What a caller or subscriber wishes: Accept-Contact, Reject-Contact (RFC 3841), Refer-Sub (RFC 4488). */
import type { Cursor } from '../cursor.js';
import { headerField } from '../field.js';
import { fieldParamsDialect, readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';

const STAR = 0x2a;

/** RFC 3841 §9.2: these are flags, feature parameters have quoted values (RFC 3840 §9). */
const featureParams = fieldParamsDialect(name => name !== 'require' && name !== 'explicit');

/** The value is `*`, which says nothing; the features are its parameters. */
function featureField(name: string) {
  return headerField<Params>({
    name,
    list: true,
    read(cursor: Cursor) {
      cursor.expect(STAR);
      return readFieldParams(cursor, featureParams);
    },
    format: params => `*${writeFieldParams(params, featureParams)}`,
  });
}

export const AcceptContact = featureField('Accept-Contact');
export const RejectContact = featureField('Reject-Contact');

export interface ReferSubValue {
  /** Whether a REFER makes a subscription. */
  readonly subscription: boolean;
  readonly params: Params;
}

export const ReferSub = headerField<ReferSubValue>({
  name: 'Refer-Sub',
  read(cursor) {
    const start = cursor.pos;
    const word = cursor.takeToken('"true" or "false"').toLowerCase();
    if (word !== 'true' && word !== 'false') {
      cursor.pos = start;
      throw cursor.unexpected('"true" or "false"');
    }
    return { subscription: word === 'true', params: readFieldParams(cursor) };
  },
  format: ({ subscription, params }) => subscription + writeFieldParams(params),
});
