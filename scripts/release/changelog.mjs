// CHANGELOG.md as its sections: a heading of each version, and the text below it.

const HEADING = /^## \[([^\]]+)\](?: - (.+))?$/;
const DATE = /^\d{4}-\d\d-\d\d$/;

/** Sections in their order: {name, date, body}; `head` is what stands before the first. */
export function readChangelog(text) {
  const changelog = { head: '', sections: [] };
  for (const line of text.split('\n')) {
    const [, name, date] = HEADING.exec(line) ?? [];
    const current = changelog.sections.at(-1);
    if (name !== undefined) changelog.sections.push({ name, date, body: '' });
    else if (current === undefined) changelog.head += `${line}\n`;
    else current.body += `${line}\n`;
  }
  return changelog;
}

export function writeChangelog({ head, sections }) {
  const texts = sections.map(({ name, date, body }) => {
    const heading = date === undefined ? `## [${name}]` : `## [${name}] - ${date}`;
    return `${heading}\n\n${body.trim()}`.trimEnd();
  });
  return `${head.trimEnd()}\n\n${texts.join('\n\n')}\n`;
}

/** Whether the section says anything beside its own headings. */
export function isEmpty({ body }) {
  return body.split('\n').every((line) => line.trim() === '' || line.startsWith('#'));
}

/** What is wrong with it as a whole. */
export function changelogFaults({ sections }) {
  const faults = [];
  if (sections[0]?.name !== 'Unreleased') faults.push('its first section is not [Unreleased]');
  for (const { name, date } of sections.slice(1)) {
    if (!DATE.test(date ?? '')) faults.push(`[${name}] has no date as 2026-01-31`);
  }
  const names = sections.map(({ name }) => name);
  for (const name of names.filter((each, at) => names.indexOf(each) !== at)) {
    faults.push(`[${name}] stands in it twice`);
  }
  return faults.map((fault) => `CHANGELOG.md: ${fault}`);
}
