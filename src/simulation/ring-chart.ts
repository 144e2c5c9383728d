/** What experiments with rings found, as a picture (SVG): hops, and how long lookups took. */
import { fitLine } from './figures.js';
import type { RingReport } from './ring-experiment.js';

const WIDTH = 1000;
const HEIGHT = 440;
const PANEL = { top: 60, bottom: 380, width: 400 };
const LEFTS = [60, 560] as const;
const COLOURS = ['#1b6ca8', '#c8553d', '#588b4a', '#8e5ea2', '#b8860b'];
/** Ring sizes up to this are forecast. */
export const FORECAST_NODES = 8_000_000;

interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
  readonly title: string;
}

/** One report: its lookups by hops. Several: mean hops by ring size, with the line through them. */
export function ringChart(reports: readonly RingReport[]): string {
  const parts = [
    reports.length === 1 ? hopsOfOne(reports[0]!) : hopsBySize(reports),
    latencies(reports),
  ];
  const title = `${reports.map(({ nodes }) => thousands(nodes)).join(', ')} super-nodes, routing ${reports[0]?.routing ?? ''}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>
<text x="${WIDTH / 2}" y="26" text-anchor="middle" font-size="17">${title}</text>
${parts.join('\n')}
</svg>
`;
}

function hopsOfOne({ hopCounts, hops }: RingReport): string {
  const total = hopCounts.reduce((sum, count) => sum + count, 0);
  const shares = hopCounts.map(count => (100 * count) / Math.max(1, total));
  const x: Axis = {
    from: -0.5,
    to: Math.max(1, hopCounts.length - 1) + 0.5,
    ticks: shares.map((_, at) => ({ at, text: String(at) })),
    title: `hops (mean ${hops.mean.toFixed(2)})`,
  };
  const y = linear(Math.max(10, ...shares), '% of lookups');
  const width = PANEL.width / (x.to - x.from);
  const bars = shares.map((share, hop) => {
    const top = placeY(y, share);
    const left = placeX(x, hop, 0) - width * 0.4;
    return `<rect x="${round(left)}" y="${round(top)}" width="${round(width * 0.8)}" height="${round(PANEL.bottom - top)}" fill="${COLOURS[0]}"/>`;
  });
  return [frame(x, y, 0), ...bars].join('\n');
}

function hopsBySize(reports: readonly RingReport[]): string {
  const points = reports.map(({ nodes, hops }) => ({ x: Math.log10(nodes), y: hops.mean }));
  const line = fitLine(points);
  const to = Math.log10(FORECAST_NODES);
  const forecast = line && line.offset + line.slope * to;
  const from = Math.floor(Math.min(...points.map(point => point.x)));
  const x: Axis = {
    from,
    to: Math.ceil(to),
    ticks: Array.from({ length: Math.ceil(to) - from + 1 }, (_, i) => ({
      at: from + i,
      text: thousands(10 ** (from + i)),
    })),
    title: 'super-nodes',
  };
  const y = linear(Math.max(1, forecast ?? 0, ...points.map(point => point.y)), 'hops, mean');
  const parts = [frame(x, y, 0)];
  if (line && forecast !== undefined) {
    const start = Math.min(...points.map(point => point.x));
    parts.push(
      `<line x1="${round(placeX(x, start, 0))}" y1="${round(placeY(y, line.offset + line.slope * start))}" x2="${round(placeX(x, to, 0))}" y2="${round(placeY(y, forecast))}" stroke="#888" stroke-dasharray="5 4"/>`,
      `<circle cx="${round(placeX(x, to, 0))}" cy="${round(placeY(y, forecast))}" r="5" fill="white" stroke="#888"/>`,
      `<text x="${round(placeX(x, to, 0) - 8)}" y="${round(placeY(y, forecast) - 10)}" text-anchor="end" fill="#555">forecast for ${thousands(FORECAST_NODES)}: ${forecast.toFixed(1)}</text>`,
    );
  }
  points.forEach((point, i) => {
    const left = placeX(x, point.x, 0);
    const top = placeY(y, point.y);
    parts.push(
      `<circle cx="${round(left)}" cy="${round(top)}" r="5" fill="${colour(i)}"/>`,
      `<text x="${round(left + 9)}" y="${round(top + 16)}">${point.y.toFixed(2)}</text>`,
    );
  });
  return parts.join('\n');
}

function latencies(reports: readonly RingReport[]): string {
  const longest = Math.max(100, ...reports.map(({ latencyMs }) => latencyMs.p99));
  const x = linear(longest, 'milliseconds from question to answer');
  const y = linear(100, '% of lookups');
  const parts = [frame(x, y, 1)];
  reports.forEach(({ nodes, latencyPercentiles, latencyMs }, i) => {
    const points = latencyPercentiles
      .map((ms, percent) => ({ ms, percent }))
      .filter(({ ms }) => ms <= longest)
      .map(({ ms, percent }) => `${round(placeX(x, ms, 1))},${round(placeY(y, percent))}`);
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour(i)}" stroke-width="2"/>`,
      `<text x="${LEFTS[1] + PANEL.width - 8}" y="${PANEL.bottom - 14 - 20 * (reports.length - 1 - i)}" text-anchor="end" fill="${colour(i)}">${thousands(nodes)}: mean ${latencyMs.mean.toFixed(0)} ms, 99% within ${latencyMs.p99.toFixed(0)} ms</text>`,
    );
  });
  return parts.join('\n');
}

function frame(x: Axis, y: Axis, panel: 0 | 1): string {
  const left = LEFTS[panel];
  const parts = [
    `<path d="M${left} ${PANEL.top}V${PANEL.bottom}H${left + PANEL.width}" fill="none" stroke="#444"/>`,
    `<text x="${left + PANEL.width / 2}" y="${PANEL.bottom + 42}" text-anchor="middle">${x.title}</text>`,
    `<text x="${left - 40}" y="${PANEL.top - 14}">${y.title}</text>`,
  ];
  for (const { at, text } of x.ticks) {
    parts.push(
      `<text x="${round(placeX(x, at, panel))}" y="${PANEL.bottom + 20}" text-anchor="middle" fill="#444">${text}</text>`,
    );
  }
  for (const { at, text } of y.ticks) {
    const top = round(placeY(y, at));
    parts.push(
      `<path d="M${left} ${top}H${left + PANEL.width}" stroke="#e4e4e4"/>`,
      `<text x="${left - 8}" y="${top + 4}" text-anchor="end" fill="#444">${text}</text>`,
    );
  }
  return parts.join('\n');
}

/** From zero, with three to seven ticks at round figures. */
function linear(highest: number, title: string): Axis {
  const rough = highest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(candidate => candidate >= rough)!;
  const count = Math.ceil(highest / step - 1e-9);
  const ticks = Array.from({ length: count + 1 }, (_, i) => ({
    at: i * step,
    text: String(Number((i * step).toPrecision(6))),
  }));
  return { from: 0, to: count * step, ticks, title };
}

function placeX({ from, to }: Axis, at: number, panel: 0 | 1): number {
  return LEFTS[panel] + ((at - from) / (to - from)) * PANEL.width;
}

function placeY({ from, to }: Axis, at: number): number {
  return PANEL.bottom - ((at - from) / (to - from)) * (PANEL.bottom - PANEL.top);
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function thousands(value: number): string {
  return value.toLocaleString('en');
}
