/** `ringline who`: the phones on this network, as they come and go. */
import { formatEndpoint } from '../core/endpoint.js';
import { afterSeconds, firstOf } from '../core/signals.js';
import type { PhoneSighting } from '../discovery/discovery.js';
import { createLogger } from '../runtime/logging.js';
import { systemSeams } from '../runtime/system.js';
import { EXIT } from './exit-codes.js';
import type { Output } from './output.js';
import { aborted, stopSignal } from './stop-signal.js';

const SIGNS = { up: '+', changed: '~', down: '-' } as const;

export async function who(seconds: number | undefined, output: Output): Promise<number> {
  const until = firstOf(stopSignal(), afterSeconds(seconds));
  const { browser, watcher } = systemSeams(await createLogger('error'));
  /** As last shown: what changes is often nothing that people see. */
  const shown = new Map<string, string>();
  const tell = (event: keyof typeof SIGNS) => (phone: PhoneSighting) => {
    const endpoints = phone.endpoints.map(formatEndpoint);
    const { name, deviceId, host } = phone;
    const id = deviceId === undefined ? 'no Ringline phone' : deviceId.slice(0, 8);
    const text = `${name.padEnd(20)} ${(endpoints[0] ?? '').padEnd(24)} ${id}`;
    const isNews = event !== 'changed' || shown.get(name) !== text;
    if (event === 'down') shown.delete(name);
    else shown.set(name, text);
    output.event(
      { event, name, deviceId, host, endpoints },
      isNews ? `${SIGNS[event]} ${text}` : undefined,
    );
  };
  browser.on('up', tell('up'));
  browser.on('changed', tell('changed'));
  browser.on('down', tell('down'));
  output.event({ event: 'looking' }, 'Looking for phones on this network; ^C ends it.');
  await watcher.start();
  await browser.start();
  await aborted(until);
  if (browser.phones().length === 0) {
    output.event({ event: 'none' }, 'None seen. `ringline run` makes this machine one.');
  }
  await browser.stop();
  await watcher.stop();
  return EXIT.ok;
}
