export * from './attributes.js';
export * from './constants.js';
export { type DecodedHeader, decode, decodeHeader, messageLength } from './decode.js';
export { encode, encodeForDatagram } from './encode.js';
export * from './errors.js';
export { type Comparison, type Filter, filterMatches, parseFilter } from './filter.js';
export * from './limits.js';
export * from './message.js';
export {
  isUrl,
  parseServiceType,
  parseServiceUrl,
  type ServiceType,
  type ServiceUrl,
  typeMatches,
} from './service-type.js';
export { type EscapeSet, escapeText, fold, sameText, unescapeText } from './strings.js';
