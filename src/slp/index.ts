export type { AgentProblem } from './agent-sockets.js';
export { type Answerer, type AskedBy, answerQuery } from './answers.js';
export * from './attributes.js';
export * from './constants.js';
export {
  type DaDirectory,
  type DaDirectoryAction,
  type DaDirectoryEvent,
  type KnownDirectoryAgent,
  newDaDirectory,
  stepDaDirectory,
} from './da-directory.js';
export { type DecodedHeader, decode, decodeHeader, messageLength } from './decode.js';
export { DirectoryAgent, type DirectoryAgentDriverOptions } from './directory-agent.js';
export {
  type DirectoryAgentAction,
  type DirectoryAgentEvent,
  type DirectoryAgentOptions,
  type DirectoryAgentState,
  newDirectoryAgent,
  stepDirectoryAgent,
} from './directory-agent-machine.js';
export { encode, encodeForDatagram } from './encode.js';
export * from './errors.js';
export {
  type Exchange,
  type ExchangeAction,
  type ExchangeEvent,
  type ExchangeFailure,
  newExchange,
  stepExchange,
} from './exchange.js';
export { type Comparison, type Filter, filterMatches, parseFilter } from './filter.js';
export * from './limits.js';
export * from './message.js';
export { MessageFramer } from './message-framer.js';
export type * from './network.js';
export {
  newQuery,
  type Query,
  type QueryAction,
  type QueryEnd,
  type QueryEvent,
  type QueryOptions,
  stepQuery,
} from './query.js';
export { DEFAULT_REGISTRY_LIMITS, type Registration, type RegistryLimits } from './registry.js';
export {
  ServiceAgent,
  type ServiceAgentDriverOptions,
  type ServiceAgentNotice,
} from './service-agent.js';
export {
  newServiceAgent,
  type Service,
  type ServiceAgentAction,
  type ServiceAgentEvent,
  type ServiceAgentOptions,
  type ServiceAgentState,
  stepServiceAgent,
} from './service-agent-machine.js';
export {
  isUrl,
  parseServiceType,
  parseServiceUrl,
  type ServiceType,
  type ServiceUrl,
  typeMatches,
} from './service-type.js';
export { type EscapeSet, escapeText, fold, sameText, unescapeText } from './strings.js';
export {
  type FindOptions,
  type FindServicesOptions,
  UserAgent,
  type UserAgentOptions,
} from './user-agent.js';
