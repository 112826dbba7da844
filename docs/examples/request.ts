// Asks on one subject and takes the answer on another, which the question names:  node request.js [URL]
import { connect } from 'memorystreamer';

const url = process.argv[2] ?? 'ms://127.0.0.1:7878';

interface Question {
  replyTo: string;
  text: string;
}

const server = await connect(url, { name: 'upper-case/1' });
const questions = server.subscribe('upper-case');
await questions.ready;
const serving = (async () => {
  for await (const { payload } of questions) {
    const { replyTo, text } = JSON.parse(Buffer.from(payload).toString()) as Question;
    await server.publish(replyTo, text.toUpperCase());
  }
})();

const client = await connect(url);
const replyTo = `replies.${process.pid}`;
const answers = client.subscribe(replyTo);
// Only once the broker has taken the subscription no answer can be missed.
await answers.ready;
await client.publish('upper-case', JSON.stringify({ replyTo, text: 'hello' }));
for await (const { payload } of answers) {
  console.log(Buffer.from(payload).toString());
  break;
}

await client.drain();
await server.drain();
await serving;
