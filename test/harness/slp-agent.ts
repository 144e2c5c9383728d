/**
 * An agent of `slp-js` as a process of its own, on the network of Node.js; prints one JSON object a line:
 *
 *     slp-agent offer URL [ATTRIBUTES]      until it is stopped
 *     slp-agent directory                   until it is stopped
 *     slp-agent find TYPE [PREDICATE]       asks everybody, or the directory agent where SLP_DIRECTORY is set
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Attributes,
  DirectoryAgent,
  formatAttributes,
  parseAttributes,
  ServiceAgent,
  UserAgent,
} from 'slp-js';
import { nodeClock, nodeNetwork, nodeRandom } from 'slp-js/node';
import { SystemNetwork } from '../../src/core/system-network.js';

const [what, subject = '', detail = ''] = process.argv.slice(2);
/** That of Ringline, or of the package. */
const network = process.env.SLP_NETWORK === 'core' ? new SystemNetwork() : nodeNetwork;
const world = { network, clock: nodeClock, random: nodeRandom };
const say = (line: object) => console.log(JSON.stringify(line));
const options = {
  ...world,
  onProblem: ({ code }: { code: string }) => say({ event: 'problem', code }),
};
/** How long a directory agent is waited for: three seconds by chance (RFC 2608 §12.2.1), and some. */
const DIRECTORY_WITHIN_MS = 10_000;

switch (what) {
  case 'offer': {
    const agent = new ServiceAgent({
      ...options,
      onNotice: notice => say({ event: notice.kind, error: 'error' in notice ? notice.error : 0 }),
    });
    await agent.start();
    agent.offer({ url: subject, attributes: parseAttributes(detail), lifetime: 600 });
    say({ event: 'ready' });
    await untilStopped();
    await agent.stop();
    break;
  }
  case 'directory': {
    const agent = new DirectoryAgent(options);
    await agent.start();
    say({ event: 'ready' });
    await untilStopped();
    await agent.stop();
    break;
  }
  case 'find': {
    const agent = new UserAgent(options);
    await agent.start();
    const until = performance.now() + DIRECTORY_WITHIN_MS;
    if (process.env.SLP_DIRECTORY) {
      while (agent.directoryAgents.length === 0 && performance.now() < until) await delay(20);
    }
    const began = performance.now();
    let firstMs: number | undefined;
    const found = await agent.findServices(subject, {
      predicate: detail,
      onFound: () => {
        firstMs ??= performance.now() - began;
      },
    });
    const directory = agent.directoryAgents[0]?.url;
    const attributes = found[0]
      ? await agent.findAttributes(found[0].url)
      : (new Map() as Attributes);
    say({
      event: 'found',
      urls: found.map(({ url }) => url).sort(),
      tags: [...attributes.keys()],
      octets: formatAttributes(attributes).length,
      firstMs,
      tookMs: performance.now() - began,
      directory,
    });
    await agent.stop();
    break;
  }
  default:
    throw new Error(`expected offer, directory or find, found ${what}`);
}

/** Until SIGTERM, or the end of what started it. */
async function untilStopped(): Promise<void> {
  const alive = setInterval(() => undefined, 3_600_000);
  await once(process, 'SIGTERM');
  clearInterval(alive);
}
