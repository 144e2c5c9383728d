/** Logs of the running program: pino, one JSON object a line, to standard error. */
import type { Logger } from '../core/logger.js';
import type { LogLevel } from './config-settings.js';

export async function createLogger(level: LogLevel): Promise<Logger> {
  const { default: pino } = await import('pino');
  // Synchronous: what was logged before a crash is what one wants to read.
  const logger: Logger = pino(
    { level, base: undefined },
    pino.destination({ dest: 2, sync: true }),
  );
  return logger;
}
