/** Measured figures and whether they meet their goals, as the programs under test/ print them. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** null where nothing is asked of it. */
  readonly goal: number | null;
  readonly met: boolean | null;
  /** What happened, told last where the goal is missed. */
  readonly account?: string;
}

export function plain(name: string, value: number, unit: string): Figure {
  return { name, value: rounded(value), unit, goal: null, met: null };
}

export function atMost(goal: number, name: string, value: number, unit: string): Figure {
  return { name: `${name} (at most)`, value: rounded(value), unit, goal, met: value <= goal };
}

export function atLeast(goal: number, name: string, value: number, unit: string): Figure {
  return { name: `${name} (at least)`, value: rounded(value), unit, goal, met: value >= goal };
}

export function exactly(goal: number, name: string, value: number, unit: string): Figure {
  return { name: `${name} (exactly)`, value: rounded(value), unit, goal, met: value === goal };
}

/** With what happened, for whoever reads of a goal that was missed. */
export function explained(figure: Figure, account: string): Figure {
  return account === '' ? figure : { ...figure, account };
}

/** Prints a table, or one JSON object where the command line says `--json`. */
export function printFigures(given: readonly Figure[]): void {
  const figures = given.map(({ name, value, unit, goal, met }) => ({
    name,
    value,
    unit,
    goal,
    met,
  }));
  if (process.argv.includes('--json')) console.log(JSON.stringify({ figures }));
  else console.table(figures);
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** @param share 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
