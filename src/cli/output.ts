/** What a command prints: lines for people, or one JSON object a line for programs. */
import { CodedError } from '../core/errors.js';

export interface Output {
  /** `text` is for people; undefined where they need not know. */
  event(fields: { readonly event: string } & Record<string, unknown>, text?: string): void;
  /** For people the error, for programs the event that tells it. */
  failure(fields: { readonly event: string } & Record<string, unknown>, error: unknown): void;
  error(error: unknown): void;
}

export function newOutput(json: boolean): Output {
  return json ? jsonOutput : textOutput;
}

const textOutput: Output = {
  event(_fields, text) {
    if (text !== undefined) process.stdout.write(`${text}\n`);
  },
  failure(_fields, error) {
    textOutput.error(error);
  },
  error(error) {
    const { message, remedy } = describe(error);
    process.stderr.write(`ringline: ${message}${remedy === undefined ? '' : `\n  ${remedy}`}\n`);
  },
};

const jsonOutput: Output = {
  event(fields) {
    process.stdout.write(`${JSON.stringify(fields)}\n`);
  },
  failure(fields) {
    jsonOutput.event(fields);
  },
  error(error) {
    process.stdout.write(`${JSON.stringify({ event: 'error', ...describe(error) })}\n`);
  },
};

function describe(error: unknown): { code: string; message: string; remedy?: string } {
  if (error instanceof CodedError) {
    const { code, message, remedy } = error;
    return { code, message, ...(remedy !== undefined && { remedy }) };
  }
  return { code: 'FAILED', message: error instanceof Error ? error.message : String(error) };
}

/** Text in columns, the first row a heading. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map(row => [...(row[column] ?? '')].length)),
  );
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
