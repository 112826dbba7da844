export { check, encode } from '../../frame/kernel/index';
export * from '../../ring/kernel/index';
