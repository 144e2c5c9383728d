/** Header fields that point at something on the net: Alert-Info, Call-Info, Error-Info (RFC 3261 §20.4, §20.9, §20.18). */
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';
import { formatUri, type Uri } from '../uri.js';
import { readBracketedUri } from './address.js';

export interface InfoValue {
  readonly uri: Uri;
  /** `purpose` in Call-Info, `info` and `delay` in many an Alert-Info */
  readonly params: Params;
}

function infoField(name: string) {
  return headerField<InfoValue>({
    name,
    list: true,
    read: cursor => ({ uri: readBracketedUri(cursor), params: readFieldParams(cursor) }),
    format: ({ uri, params }) => `<${formatUri(uri)}>${writeFieldParams(params)}`,
  });
}

export const AlertInfo = infoField('Alert-Info');
export const CallInfo = infoField('Call-Info');
export const ErrorInfo = infoField('Error-Info');
