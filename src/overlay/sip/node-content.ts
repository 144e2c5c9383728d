/** The messages between nodes and super-nodes (node-messages.ts), as content.ts does those of members. */
import type { LinkAnswer, LinkRequest } from '../link-messages.js';
import type { NodeAnswer, NodeRequest } from '../nodes/node-messages.js';
import { writeBody } from './body.js';
import { type Content, content, items, links, needed, number, peerAt, peers } from './content.js';
import { Unreadable } from './refusal.js';

const MAX_EXPIRES_S = 86_400;
const MAX_NODES = 100_000;

type OwnAnswer = Extract<NodeAnswer, { readonly type: 'attached' | 'elsewhere' }>;

export function isNodeRequest(request: LinkRequest): request is NodeRequest {
  switch (request.type) {
    case 'attach':
    case 'detach':
    case 'query':
    case 'publish':
    case 'hand-over':
    case 'move':
      return true;
    default:
      return false;
  }
}

/** Answers that members do not give each other. */
export function isNodeAnswer(answer: LinkAnswer): answer is OwnAnswer {
  return answer.type === 'attached' || answer.type === 'elsewhere';
}

/** @throws {CodedError} `UNWRITABLE` */
export function nodeRequestContent(request: NodeRequest): Content {
  const { type: name } = request;
  switch (request.type) {
    case 'attach': {
      const { contact, expiresS, records } = request;
      return content({ name, contact, expiresS, body: writeBody({ records }) });
    }
    case 'detach':
      return content({ name, body: writeBody({ records: request.records }) });
    case 'query':
      return content({ name, key: request.key });
    case 'publish': {
      const { records } = request;
      const place = records[0] && { key: records[0].key };
      return content({ name, ...place, body: writeBody({ records }) });
    }
    case 'hand-over':
      return content({ name, body: writeBody({ nodes: request.nodes }) });
    case 'move':
      return content({ name, links: links('C', [request.to]) });
  }
}

export function nodeAnswerContent(answer: OwnAnswer): Content {
  const { type: name } = answer;
  switch (answer.type) {
    case 'attached':
      return content({
        name,
        words: {
          expires: String(answer.expiresS),
          ...(answer.nodes !== undefined && { nodes: String(answer.nodes) }),
        },
        links: links('S', answer.others),
      });
    case 'elsewhere':
      return content({ name, links: links('C', answer.at) });
  }
}

/**
 * Undefined for what is a request of members.
 * @throws {Unreadable}
 */
export function nodeRequestOf(from: Content): NodeRequest | undefined {
  const { name, contact, expiresS, key } = from;
  switch (name) {
    case 'attach':
      if (contact === undefined || expiresS === undefined) {
        throw new Unreadable('MALFORMED', 'expected Contact and Expires of a node, found none');
      }
      return {
        type: name,
        contact,
        expiresS: Math.min(expiresS, MAX_EXPIRES_S),
        records: signed(from),
      };
    case 'detach':
      return { type: name, records: signed(from) };
    case 'query':
      return { type: name, key: needed(key) };
    case 'publish':
      return { type: name, records: signed(from) };
    case 'hand-over':
      return { type: name, nodes: items(from).nodes };
    case 'move': {
      const to = peerAt(from, 'C', 1);
      if (to) return { type: name, to };
      throw new Unreadable('MALFORMED', 'expected link C1 of a super-node, found none');
    }
    default:
      return undefined;
  }
}

/**
 * Undefined for what is an answer of members.
 * @throws {Unreadable}
 */
export function nodeAnswerOf(from: Content): OwnAnswer | undefined {
  const { name, words } = from;
  switch (name) {
    case 'attached': {
      const expiresS = number(words.expires, 'expires', MAX_EXPIRES_S);
      const others = peers(from, 'S');
      if (words.nodes === undefined) return { type: name, expiresS, others };
      return { type: name, expiresS, others, nodes: number(words.nodes, 'nodes', MAX_NODES) };
    }
    case 'elsewhere':
      return { type: name, at: peers(from, 'C') };
    default:
      return undefined;
  }
}

function signed(from: Content) {
  const { records } = items(from);
  const unsigned = records.find(({ signature }) => signature === '');
  if (!unsigned) return records;
  throw new Unreadable('UNSIGNED', `the record under ${unsigned.key} is not signed`);
}
