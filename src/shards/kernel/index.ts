export { check, encode } from '../../frame/kernel/index';
export { seedChaos, setDeathOneIn } from '../../ring/kernel/chaos';
