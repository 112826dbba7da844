#!/usr/bin/env node
// The process entry. An old Node.js has to get as far as the check below, so this file has no static
// import, and no syntax younger than ECMAScript 2018; everything else is imported after the check.
const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 12;

const found = process.versions.node.split('.').map(Number);
const major = found[0]!;
const minor = found[1]!;

if (major < NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor < NODE_MINOR_MIN)) {
  process.stderr.write(
    `memorystreamer: Node.js ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer is needed, this is ` +
      `${process.versions.node}; install a newer one from https://nodejs.org (MS_ERR_NODE_VERSION)\n`,
  );
  process.exitCode = 1;
} else {
  void import('./start.js').then(async ({ start }) => {
    await start(process.argv.slice(2));
  });
}
