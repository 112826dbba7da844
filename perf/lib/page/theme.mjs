// Colours and type. Peers differ by more than colour wherever they could be confused: every bar and line bears its
// name, and lines their own dashes. The colours keep 3:1 against the ground in both schemes (a test computes it), and apart
// from each other for eyes that do not tell red from green.

export const series = {
  memorystreamer: { title: 'MemoryStreamer', light: '#0b62b0', dark: '#5cb3f5', dash: null },
  beside: { title: 'another build', light: '#6b52c8', dark: '#b3a2f7', dash: '4 2' },
  nats: { title: 'nats-server', light: '#c04f00', dark: '#ff8f4a', dash: '7 3' },
  redis: { title: 'redis-server', light: '#a83c86', dark: '#ea8fcb', dash: '2 3' },
  mosquitto: { title: 'mosquitto', light: '#00795a', dark: '#35c79a', dash: '9 3 2 3' },
  aedes: { title: 'aedes', light: '#8a6d00', dark: '#e0c54a', dash: '5 2' },
  relay: { title: 'bare relay', light: '#6a717b', dark: '#9aa1ab', dash: '1 3' },
  answer: { title: 'bare server', light: '#6a717b', dark: '#9aa1ab', dash: '1 3' },
};

/** What charts stand on. */
export const panels = { light: '#f6f7f9', dark: '#1c2027' };

const ink = {
  light: {
    ground: '#ffffff',
    panel: panels.light,
    ink: '#1a1e24',
    soft: '#555d68',
    line: '#d9dde3',
  },
  dark: {
    ground: '#15181d',
    panel: panels.dark,
    ink: '#e8ebef',
    soft: '#a4acb8',
    line: '#363c46',
  },
};

function variables(scheme) {
  const own = Object.entries(ink[scheme]).map(([name, value]) => `--${name}:${value};`);
  const peers = Object.entries(series).map(([name, one]) => `--s-${name}:${one[scheme]};`);
  return [...own, ...peers].join('');
}

const rules = `
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px}
h2{font-size:19px;margin:44px 0 2px}
h3{font-size:14px;font-weight:600;margin:0 0 6px}
p{margin:0 0 12px;max-width:78ch}
.soft,.topology{color:var(--soft)}
.topology{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.facts{color:var(--soft);font-size:13px;max-width:none}
code{font:0.92em ui-monospace,monospace;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:10px;margin:18px 0}
.tile{background:var(--panel);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:24px;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px;display:block}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:14px;margin:14px 0;align-items:start}
.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,460px),1fr))}
figure{margin:0;background:var(--panel);border-radius:8px;padding:12px 14px;min-width:0}
figcaption{color:var(--soft);font-size:12.5px;margin-top:6px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .soft{fill:var(--soft);font-size:11px}
svg .num{font-variant-numeric:tabular-nums}
svg .own{font-weight:600}
.axis{stroke:var(--line);stroke-width:1}
.curve{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
.curve.own{stroke-width:2.6}
.area{fill:var(--c);fill-opacity:.32;stroke:var(--c);stroke-width:1.2}
.bar{fill:var(--c)}
.void .bar{fill-opacity:.35;stroke:var(--c);stroke-dasharray:3 2}
.dot{fill:var(--c);stroke:var(--panel);stroke-width:1.5}
.swatch{fill:var(--c)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin:8px 0}
th,td{text-align:right;padding:3px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child,td.text,th.text{text-align:left}
td.text{white-space:normal;min-width:13ch}
details{margin:8px 0}
summary{cursor:pointer;color:var(--soft);font-size:13px}
.warning{border-left:3px solid var(--s-nats);padding:8px 12px;background:var(--panel);border-radius:0 8px 8px 0}
@media print{details{display:none}}
`;

export function styleSheet() {
  const classes = Object.keys(series).map((name) => `.s-${name}{--c:var(--s-${name})}`);
  return `:root{color-scheme:light dark;${variables('light')}}
@media (prefers-color-scheme:dark){:root{${variables('dark')}}}
${classes.join('')}${rules}`;
}
