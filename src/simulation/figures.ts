/** Means, percentiles and straight lines. */

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of values in ascending order; 0 where there are none. */
export function percentile(sorted: readonly number[], percent: number): number {
  const index = Math.ceil((percent / 100) * sorted.length) - 1;
  return sorted[Math.max(0, index)] ?? 0;
}

export interface Line {
  readonly offset: number;
  readonly slope: number;
}

/** Least squares; undefined for fewer than two different x. */
export function fitLine(
  points: readonly { readonly x: number; readonly y: number }[],
): Line | undefined {
  const x = mean(points.map(point => point.x));
  const y = mean(points.map(point => point.y));
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  if (points.length < 2 || spread === 0) return undefined;
  const slope = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread;
  return { offset: y - slope * x, slope };
}
