// What is compared. `worse` says which way is bad; `threshold` is the change that counts, as a part of the base.
//
// A `deciding` metric counts work (CPU time, bytes), which other work on the machine hardly changes: left unclear,
// the whole comparison is void. The others are times on the wall's clock, which it does change: they fail the
// gate when they are clearly slower, and are told, no more, when they stay unclear.

export const metrics = [
  metric('throughput.small.cpu', 'broker CPU per frame, 16 B', 'ns', 'more', 0.07, true),
  metric('throughput.large.cpu', 'broker CPU per frame, 16 KiB', 'ns', 'more', 0.1, true),
  metric('throughput.small.rate', 'throughput, 16 B', 'frames/s', 'less', 0.15, false),
  metric('throughput.large.rate', 'throughput, 16 KiB', 'frames/s', 'less', 0.2, false),
  metric('latency.p50', 'latency p50, 5000/s', 'us', 'more', 0.25, false),
  metric('latency.p99', 'latency p99, 5000/s', 'us', 'more', 0.75, false),
  metric('connect.cpu', 'broker CPU per connection', 'us', 'more', 0.12, true),
  metric('connect.rate', 'connections established', '1/s', 'less', 0.25, false),
  metric('memory.idle', 'RSS, idle', 'MiB', 'more', 0.05, true),
  metric('memory.connection', 'RSS per idle connection', 'B', 'more', 0.2, true),
  metric('codec.encode', 'encode, 128 B', 'ns', 'more', 0.08, true),
  metric('codec.check', 'decode, 128 B', 'ns', 'more', 0.08, true),
  metric('config.load', 'configuration load, CPU', 'ms', 'more', 0.1, true),
];

function metric(id, title, unit, worse, threshold, deciding) {
  return { id, title, unit, worse, threshold, deciding };
}

/** ln(candidate / base), turned so that more is worse. */
export function badness({ worse }, base, candidate) {
  const log = Math.log(candidate / base);
  return worse === 'more' ? log : -log;
}

/** A badness as the change of the figure itself, as people read it: +0.15 is 15 % more. */
export function changeOf({ worse }, value) {
  return Math.expm1(worse === 'more' ? value : -value);
}

/** The threshold as a badness. A rate that falls by a tenth is ln(1 / 0.9) worse. */
export function thresholdLog({ worse, threshold }) {
  return worse === 'more' ? Math.log1p(threshold) : -Math.log1p(-threshold);
}
