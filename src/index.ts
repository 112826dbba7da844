export { ERROR_CODES, MemoryStreamerError, type ErrorCode, type ErrorContext } from './errors.js';
export * from './client/index.js';
export type { Clock, Random } from './clock.js';
export type { From, FromPlace } from './frame/payloads.js';
