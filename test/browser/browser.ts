/** Chromium, headless, with a page for each phone. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { requireProgram } from '../harness/child.js';
import { type Cleanup, PlainFailure } from '../harness/program.js';
import { bundleForBrowser } from './bundle.js';

/** Beside the sources: it is not compiled. */
const PAGE = fileURLToPath(new URL('../../../test/browser/page.js', import.meta.url));

const PROGRAM = 'chromium';

const ANSWERS_WITHIN_MS = 30_000;

const ARGUMENTS = [
  '--no-sandbox', // As root it runs only without.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Both pages are on this host, which may have no other network.
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

export interface Phones {
  /** A page that is a phone of its own. */
  open(): Promise<BrowserPhone>;
  /** Ends Chromium; answers whether any process of it is left. */
  close(): Promise<boolean>;
}

export class BrowserPhone {
  readonly #evaluate: (expression: string) => Promise<unknown>;

  constructor(evaluate: (expression: string) => Promise<unknown>) {
    this.#evaluate = evaluate;
  }

  /** Calls a method of the page's phone, and waits for what it answers. */
  async do(method: string, ...args: unknown[]): Promise<unknown> {
    const expression = `phone.${method}(${args.map(arg => JSON.stringify(arg)).join(', ')})`;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const failure = new PlainFailure(`${expression}: no answer within ${ANSWERS_WITHIN_MS} ms`);
      timer = setTimeout(() => reject(failure), ANSWERS_WITHIN_MS);
    });
    try {
      return await Promise.race([this.#evaluate(expression), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** As `do`, for what answers a status or another number. */
  async number(method: string, ...args: unknown[]): Promise<number> {
    return Number(await this.do(method, ...args));
  }

  /** Waits until a list that a method answers has this entry. */
  async saw(
    method: 'events' | 'heard',
    entry: string,
    withinMs = ANSWERS_WITHIN_MS,
  ): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const found = await this.do(method);
      if (Array.isArray(found) && found.includes(entry)) return;
      if (performance.now() > until) {
        throw new PlainFailure(
          `expected "${entry}" in the browser, found ${JSON.stringify(found)}`,
        );
      }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  }
}

export async function startBrowser(cleanup: Cleanup): Promise<Phones> {
  requireProgram(PROGRAM, 'chromium');
  const address = await servePage(cleanup);
  const server = await chromium.launchServer({
    executablePath: `/usr/bin/${PROGRAM}`,
    args: ARGUMENTS,
    handleSIGINT: false,
    handleSIGTERM: false,
  });
  cleanup.add(() => server.kill());
  const browser = await chromium.connect(server.wsEndpoint());
  return {
    open: () => openPage(browser, address),
    close: async () => {
      await browser.close();
      await server.close();
      return isAlive(server.process().pid ?? 0);
    },
  };
}

async function openPage(browser: Browser, address: string): Promise<BrowserPhone> {
  const context = await browser.newContext({ permissions: ['microphone'] });
  const page = await context.newPage();
  await page.goto(address);
  return new BrowserPhone(expression => page.evaluate(expression));
}

/** From loopback, where pages may use the microphone without TLS. */
async function servePage(cleanup: Cleanup): Promise<string> {
  const scripts = new Map([
    ['/jssip.js', bundleForBrowser('jssip', 'JsSIP')],
    ['/page.js', readFileSync(PAGE, 'utf8')],
  ]);
  const html = '<!doctype html><script src="jssip.js"></script><script src="page.js"></script>';
  const server = createServer(({ url = '/' }, response) => {
    const script = scripts.get(url);
    response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
    response.end(script ?? html);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => {
    server.close();
    server.closeAllConnections();
  });
  const bound = server.address();
  return `http://127.0.0.1:${typeof bound === 'object' ? bound?.port : bound}/`;
}

/** Whether a process group has members that run; those that only wait to be reaped do not count. */
function isAlive(group: number): boolean {
  return readdirSync('/proc').some(entry => {
    try {
      const status = readFileSync(`/proc/${entry}/stat`, 'utf8');
      // State, parent and process group follow the name, which is in parentheses: proc_pid_stat(5).
      const [state, , found] = status.slice(status.lastIndexOf(')') + 2).split(' ');
      return Number(found) === group && state !== 'Z';
    } catch {
      return false;
    }
  });
}
