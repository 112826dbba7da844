// The page as a reader sees it: opened in Chromium, in both colour schemes, without a network.
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { perfModule } from '../../module.js';
import { result } from './result.js';

const { pageOf } = await perfModule<{ pageOf: (whole: unknown, stored: unknown[]) => string }>(
  'lib/page/page.mjs',
);
const theme = await perfModule<{
  series: Record<string, { light: string; dark: string }>;
  panels: { light: string; dark: string };
}>('lib/page/theme.mjs');

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'];
const SCHEMES = ['light', 'dark'] as const;

function isThere(path: string) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const executablePath = CHROMIUM.find(isThere);
const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-page-'));
const file = join(folder, 'page.html');

const earlier = {
  ...result,
  machine: { ...result.machine, date: '2026-01-01T00:00:00.000Z', commit: '1111111222' },
};

/** Between the two, on a machine that others used. */
const noisy = structuredClone(earlier);
noisy.machine = { ...noisy.machine, date: '2026-01-01T12:00:00.000Z', commit: '2222222333' };
noisy.results.throughput.figures[1]!.voidBecause = ['others had 40 % of the CPUs'];

/** What Chromium does of its own accord, updates and look-ups, is switched off. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

it('Chromium is there for the page to be looked at (apt-get install chromium)', (context) => {
  // A contributor without it can still run all other tests; the pipeline cannot go without.
  if (executablePath === undefined && !process.env['CI']) context.skip('there is no Chromium here');
  expect(executablePath).toBeDefined();
});

function luminance(colour: string) {
  const [red = 0, green = 0, blue = 0] = channels(colour).map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const channels = (colour: string) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** From 1 to 21, as the Web Content Accessibility Guidelines compute it. */
function contrast(a: string, b: string) {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

describe.each(SCHEMES)('colours in the %s scheme', (scheme) => {
  it.each(Object.keys(theme.series))('%s stands out from its panel', (name) => {
    const colour = theme.series[name]![scheme];
    expect(contrast(colour, theme.panels[scheme])).toBeGreaterThanOrEqual(3);
  });
});

it('contrast is that of the guidelines', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 5);
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2);
});

it('asks nothing of a network, and holds no script', () => {
  const html = pageOf(result, [earlier]);
  expect(html).not.toMatch(/<script|https?:\/\/|@import|url\(/);
});

describe.skipIf(executablePath === undefined)('the page', () => {
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  const requests: string[] = [];

  beforeAll(async () => {
    writeFileSync(file, pageOf(result, [earlier, noisy]));
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: QUIET });
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(file).href);
  }, 60_000);

  /** What an expression says in the page; `all` and `box` are there for it. */
  function inPage<T>(expression: string): Promise<T> {
    const given = `const all = (selector) => [...document.querySelectorAll(selector)];
      const box = (element) => element.getBoundingClientRect();`;
    return page.evaluate<T>(`(() => { ${given} return ${expression}; })()`);
  }

  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });

  it('opens without a complaint, and fetches nothing but itself', () => {
    expect(complaints).toEqual([]);
    expect(requests.filter((url) => !url.startsWith('data:'))).toEqual([pathToFileURL(file).href]);
  });

  it('says where the figures come from, with every letter as it is', async () => {
    const facts = await page.locator('.facts').innerText();
    for (const said of ['abcdef0123', 'v20.20.2', 'A <Processor> & Co', 'node perf/bench.mjs']) {
      expect(facts).toContain(said);
    }
  });

  it('draws bars whose lengths are in proportion to their figures', async () => {
    const bars = await inPage<{ peer: string; value: number; pixels: number; left: number }[]>(
      `all('#throughput rect.bar').map((mark) => ({
        peer: mark.dataset.peer,
        value: Number(mark.dataset.value),
        pixels: box(mark).width,
        left: box(mark).left,
      }))`,
    );
    expect(bars.map(({ peer }) => peer)).toEqual([
      'memorystreamer',
      'nats',
      'redis',
      'aedes',
      'relay',
    ]);
    const pixelsEach = bars[0]!.pixels / bars[0]!.value;
    expect(bars[0]!.pixels).toBeGreaterThan(30);
    for (const { value, pixels, left } of bars) {
      expect(pixels / value / pixelsEach).toBeCloseTo(1, 2);
      expect(left).toBeCloseTo(bars[0]!.left, 1);
    }
  });

  it('shows figures, ratios, what is missing and what is void', async () => {
    const said = (await page.locator('#throughput svg').textContent())!;
    for (const part of ['8 M/s', '4.00x', '8.00x', 'MISSING: not installed']) {
      expect(said).toContain(part);
    }
    const voids = page.locator('#throughput g.void title');
    await expect(voids.allTextContents()).resolves.toEqual([
      'aedes: 400 k/s, void: others had 40 % of the CPUs',
    ]);
  });

  it('says what failed: in short beside the bars, and whole in the table', async () => {
    const panels = page.locator('#idle svg');
    await expect(panels.first().textContent()).resolves.toMatch(/FAILED: loadgen idle.*…/);
    await expect(page.locator('#idle table').textContent()).resolves.toContain('for a long reason');
  });

  it('shows the memory of all idle connections, and of the later ones apart', async () => {
    const said = await page.locator('#idle svg').allTextContents();
    expect(said[0]).toContain('100x');
    expect(said[1]).toContain('90.0x');
    expect(said).toHaveLength(2);
  });

  it('says where another broker is ahead, and where not', async () => {
    const ahead = page.locator('main > .scroll tr');
    await expect(ahead.allInnerTexts()).resolves.toEqual([
      expect.stringContaining('what'),
      expect.stringMatching(/latency, 10000\/s\s+p50 us\s+redis\s+30\s+40\s+0.75x/),
      expect.stringMatching(/latency, 10000\/s\s+p99 us\s+redis\s+120\s+160\s+0.75x/),
    ]);
  });

  it('draws a curve for every peer that kept the rate, higher for slower, and names those left out', async () => {
    const curves = await inPage<{ peer: string; top: number }[]>(
      `all('#latency polyline').map((mark) => ({ peer: mark.dataset.peer, top: box(mark).top }))`,
    );
    expect(curves.map(({ peer }) => peer)).toEqual(['memorystreamer', 'nats', 'redis', 'relay']);
    const byTop = [...curves].sort((a, b) => b.top - a.top).map(({ peer }) => peer);
    expect(byTop).toEqual(['relay', 'redis', 'memorystreamer', 'nats']);
    const captions = await page.locator('#latency figcaption').allInnerTexts();
    expect(captions.join()).toContain('aedes (rate not reached)');
    expect(await page.locator('#latency polygon.area').count()).toBe(4);
  });

  it('spaces percentiles evenly by the logarithm of how many messages lie behind them', async () => {
    const middles = await inPage<number[]>(
      `['0 %', '90 %', '99 %', '99.9 %'].map((label) => {
        const tick = all('#latency text').find((one) => one.textContent === label);
        return box(tick).left + box(tick).width / 2;
      })`,
    );
    const steps = middles.slice(1).map((x, i) => x - middles[i]!);
    expect(steps[0]).toBeGreaterThan(20);
    for (const step of steps) expect(step / steps[0]!).toBeCloseTo(1, 1);
  });

  it('draws the history over commits, oldest first, without a run that is void', async () => {
    const dots = page.locator('#history circle');
    await expect(dots.locator('title').allTextContents()).resolves.toEqual([
      '2026-01-01, 1111111, 16 B: 4.00x',
      '2026-01-02, abcdef0, 16 B: 4.00x',
    ]);
    const across = await inPage<number[]>(`all('#history circle').map((dot) => box(dot).left)`);
    expect(across[0]).toBeLessThan(across[1]!);
  });

  it('keeps every text inside its panel, on a wide screen and on a narrow one', async () => {
    for (const width of [1200, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const outside = await inPage<string[]>(
        `all('figure').flatMap((panel) => [...panel.querySelectorAll('text')]
          .filter((one) => box(one).left < box(panel).left || box(one).right > box(panel).right)
          .map((one) => one.textContent))`,
      );
      expect(outside, `${width} wide`).toEqual([]);
      expect(await inPage('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    }
    await page.setViewportSize({ width: 1200, height: 900 });
  });

  it.each(SCHEMES)('takes the %s scheme from the reader’s system', async (scheme) => {
    await page.emulateMedia({ colorScheme: scheme });
    const fill = await inPage(`getComputedStyle(all('#throughput rect.bar')[0]).fill`);
    const wanted = channels(theme.series['memorystreamer']![scheme]);
    expect(fill).toBe(`rgb(${wanted.join(', ')})`);
  });
});
