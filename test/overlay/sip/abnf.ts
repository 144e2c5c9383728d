/** Grammars as RFC 5234 writes them, as far as the ring's needs: no recursion, each rule on lines of its own. */

const ESCAPED = /[.*+?^${}()|[\]\\/-]/g;
const TOKEN = /"[^"]*"|%x[0-9A-F.-]+|[A-Za-z][\w-]*|\d*\*\d*|\d+|[/()[\]]/g;

/** RFC 5234 appendix B.1 and RFC 3261 §25.1, as regular expressions; `LWS` around separators is one form here. */
const CORE: Readonly<Record<string, string>> = {
  DIGIT: '[0-9]',
  HEXDIG: '[0-9A-Fa-f]',
  ALPHA: '[A-Za-z]',
  CRLF: '\\r\\n',
  SP: ' ',
  HCOLON: '[ \\t]*:[ \\t]*',
  SEMI: '[ \\t]*;[ \\t]*',
  EQUAL: '[ \\t]*=[ \\t]*',
  LAQUOT: '[ \\t]*<',
  RAQUOT: '>[ \\t]*',
  token: "[A-Za-z0-9.!%*_+`'~-]+",
  'quoted-string': '"(?:[^"\\\\]|\\\\.)*"',
  host: '(?:\\[[0-9A-Za-z:.%]+\\]|[A-Za-z0-9.-]+)',
  port: '[0-9]{1,5}',
  OCTET: '[^]',
};

/** The blocks of a README that are marked as ABNF, as matchers of whole texts by the names of their rules. */
export function grammarOf(markdown: string): (rule: string) => RegExp {
  const rules = new Map<string, string>();
  for (const [, block = ''] of markdown.matchAll(/```abnf\n(.*?)```/gs)) {
    const plain = block.replace(/;\s.*$/gm, '').replace(/\n[ \t]+/g, ' ');
    for (const [, name = '', of = ''] of plain.matchAll(/^([A-Za-z][\w-]*)\s*=\s*(.*)$/gm)) {
      if (rules.has(name)) throw new Error(`${name} is written twice`);
      rules.set(name, of);
    }
  }
  const compiled = new Map<string, string>();
  const sourceOf = (name: string, within: readonly string[]): string => {
    const known = compiled.get(name) ?? CORE[name];
    if (known !== undefined) return known;
    const of = rules.get(name);
    if (of === undefined) throw new Error(`no rule ${name}, asked for by ${within.at(-1)}`);
    if (within.includes(name)) throw new Error(`${name} is a part of itself`);
    const source = `(?:${compile(of, inner => sourceOf(inner, [...within, name]))})`;
    compiled.set(name, source);
    return source;
  };
  return rule => new RegExp(`^${sourceOf(rule, [])}$`);
}

function compile(text: string, sourceOf: (name: string) => string): string {
  let repeat = '';
  let source = '';
  const closes: string[] = [];
  const add = (element: string) => {
    source += `(?:${element})${repeat}`;
    repeat = '';
  };
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '(' || token === '[') {
      source += '(?:';
      closes.push(token === '(' ? `)${repeat}` : ')?');
      repeat = '';
    } else if (token === ')' || token === ']') source += closes.pop() ?? '';
    else if (token === '/') source += '|';
    else if (token.startsWith('"')) add(anyCase(token.slice(1, -1)));
    else if (token.startsWith('%x')) add(octets(token.slice(2)));
    else if (/^\d*\*\d*$/.test(token))
      repeat = `{${token.split('*')[0] || 0},${token.split('*')[1]}}`;
    else if (/^\d+$/.test(token)) repeat = `{${token}}`;
    else add(sourceOf(token));
  }
  return source;
}

/** RFC 5234 §2.3: strings in quotes are of either case. */
function anyCase(text: string): string {
  return text
    .replace(ESCAPED, '\\$&')
    .replace(/(?<!\\)[A-Za-z]/g, letter => `[${letter.toUpperCase()}${letter.toLowerCase()}]`);
}

function octets(text: string): string {
  const escaped = (hex: string) => `\\x${hex.padStart(2, '0')}`;
  if (text.includes('-')) return `[${text.split('-').map(escaped).join('-')}]`;
  return text.split('.').map(escaped).join('');
}
