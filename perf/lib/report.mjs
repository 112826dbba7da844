// Medians, spreads and tables.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The distance from the least to the greatest, as a part of the median. */
export function spread(values) {
  const middle = median(values);
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / middle;
}

export function percent(part) {
  return Number.isFinite(part) ? `${(part * 100).toFixed(0)} %` : '-';
}

export function count(value, digits = 0) {
  const options = { maximumFractionDigits: digits, minimumFractionDigits: digits };
  return Number.isFinite(value) ? value.toLocaleString('en-GB', options) : '-';
}

export function ratio(value) {
  return Number.isFinite(value) ? `${value.toFixed(2)}x` : '-';
}

/** Prints rows under a heading; the first column is set left, the others right. */
export function printTable(title, columns, rows) {
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...rows.map((row) => String(row[i]).length)),
  );
  const line = (cells) =>
    cells
      .map((cell, i) =>
        i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]),
      )
      .join('  ')
      .trimEnd();
  console.log(`\n${title}`);
  console.log(line(columns));
  console.log(line(widths.map((width) => '-'.repeat(width))));
  for (const row of rows) console.log(line(row));
}
