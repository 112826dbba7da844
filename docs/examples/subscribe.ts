// Prints the first two orders there are, and waits for them if need be:  node subscribe.js [URL]
import { connect } from 'memorystreamer';

const client = await connect(process.argv[2] ?? 'ms://127.0.0.1:7878');
client.on('gap', ({ subject, from, to }) => {
  console.error(`${subject}: ${from.toString()} to ${to.toString()} are lost`);
});

let count = 0;
for await (const { subject, sequence, payload } of client.subscribe('orders.>', {
  from: 'first',
})) {
  console.log(`${subject} ${sequence.toString()} ${Buffer.from(payload).toString()}`);
  if (++count === 2) break;
}
await client.drain();
