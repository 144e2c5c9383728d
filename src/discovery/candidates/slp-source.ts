/** Super-nodes that Service Location Protocol tells of: by a directory agent where there is one, else by asking everybody. */
import { isIP } from 'node:net';
import { type Attributes, parseServiceUrl, UserAgent } from 'slp-js';
import { type Clock, sleep } from '../../core/clock.js';
import { asError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type { Network } from '../../core/network.js';
import type { Random } from '../../core/random.js';
import type { Candidate, CandidateSource, Search } from './candidate.js';
import { nodeIdIn, SUPER_NODE_SLP_TYPE } from './super-node-service.js';

export interface SlpSourceOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Everybody is asked for 6 to 15 s; then there is a pause, which doubles. */
const FIRST_AGAIN_MS = 30_000;
const LONGEST_AGAIN_MS = 15 * 60_000;
/** Each answer costs a question for its attributes: so many of one round are looked at. */
const MOST_OF_A_ROUND = 32;

export class SlpSource implements CandidateSource {
  readonly name = 'slp';
  readonly #options: SlpSourceOptions;

  constructor(options: SlpSourceOptions) {
    this.#options = options;
  }

  async search({ overlay, found, signal }: Search): Promise<void> {
    const { clock, logger } = this.#options;
    const onProblem = ({ code, message }: { code: string; message: string }) =>
      logger.info({ code, message }, 'no SLP on a link');
    const agent = new UserAgent({ ...this.#options, onProblem });
    try {
      await agent.start();
      let pauseMs = FIRST_AGAIN_MS;
      while (!signal.aborted) {
        await this.#ask(agent, { overlay, found, signal });
        await sleep(clock, pauseMs, signal).catch(() => undefined);
        pauseMs = Math.min(2 * pauseMs, LONGEST_AGAIN_MS);
      }
    } finally {
      await agent.stop();
    }
  }

  async #ask(agent: UserAgent, { overlay, found, signal }: Search): Promise<void> {
    const { logger } = this.#options;
    const looking: Promise<void>[] = [];
    const look = async (url: string) => {
      const attributes = await agent
        .findAttributes(url, { tags: ['id', 'tls'], signal })
        .catch(() => new Map() as Attributes);
      const candidate = candidateOf(url, attributes);
      if (candidate && !signal.aborted) found({ ...candidate, overlay });
    };
    try {
      await agent.findServices(SUPER_NODE_SLP_TYPE, {
        predicate: `(overlay=${overlay})`,
        signal,
        onFound: ({ url }) => {
          if (looking.length < MOST_OF_A_ROUND) looking.push(look(url));
        },
      });
    } catch (error) {
      if (!signal.aborted) logger.info({ error: asError(error) }, 'SLP was asked in vain');
    }
    await Promise.all(looking);
  }
}

/** By TLS where it says at which port, else by TCP at the port of its URL. */
function candidateOf(url: string, attributes: Attributes): Candidate | undefined {
  const place = placeIn(url);
  if (!place) return undefined;
  const nodeId = nodeIdIn(textIn(attributes, 'id'));
  const told = { host: place.host, source: 'slp', ...(nodeId && { nodeId }) } as const;
  const tls = Number(textIn(attributes, 'tls'));
  const isPort = Number.isInteger(tls) && tls > 0 && tls < 65_536;
  if (isPort) return { ...told, port: tls, transport: 'tls' };
  return place.port ? { ...told, port: place.port, transport: 'tcp' } : undefined;
}

function placeIn(url: string) {
  try {
    const place = parseServiceUrl(url);
    return isIP(place.host) === 0 ? undefined : place;
  } catch {
    return undefined;
  }
}

function textIn(attributes: Attributes, tag: string): string | undefined {
  const [first] = attributes.get(tag)?.values ?? [];
  return typeof first === 'string' || typeof first === 'number' ? String(first) : undefined;
}
