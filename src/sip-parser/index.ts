export { checkRequest, checkResponse } from './check.js';
export { Cursor } from './cursor.js';
export { SipSyntaxError, type SipSyntaxErrorCode, type SipSyntaxErrorOptions } from './errors.js';
export { type HeaderField, type HeaderFieldOptions, headerField } from './field.js';
export { readFieldParams, writeFieldParams } from './field-params.js';
export * from './fields/address.js';
export * from './fields/date.js';
export * from './fields/scalar.js';
export * from './fields/text.js';
export * from './fields/tokens.js';
export * from './fields/via.js';
export { type FramerEvent, StreamFramer, type StreamFramerOptions } from './framer.js';
export { Headers } from './headers.js';
export { DEFAULT_LIMITS, type ParseLimits } from './limits.js';
export * from './message.js';
export { Params } from './params.js';
export { parseMessage } from './parse.js';
export { reasonPhrase } from './reasons.js';
export { serializeMessage } from './serialize.js';
export {
  formatUri,
  isSipUri,
  type OtherUri,
  parseUri,
  type SipUri,
  type SipUriParts,
  sipUri,
  type Uri,
} from './uri.js';
export { sameUri } from './uri-compare.js';
