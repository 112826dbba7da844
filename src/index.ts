export { MemoryStreamerError } from './errors.js';
