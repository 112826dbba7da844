export { ERROR_CODES, MemoryStreamerError, type ErrorCode } from './errors.js';
export * from './client/index.js';
export type { From } from './frame/payloads.js';
