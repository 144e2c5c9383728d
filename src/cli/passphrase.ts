/** Where a passphrase comes from: a file, else a person at a terminal. Never the command line, which others can see. */
import { readFile } from 'node:fs/promises';
import { CodedError } from '../core/errors.js';

/**
 * @param twice where it is new: a mistake would lock the key up for good
 * @throws {CodedError} `BAD_PASSPHRASE`
 */
export async function readPassphrase(file: string | undefined, twice: boolean): Promise<string> {
  if (file !== undefined) return fromFile(file);
  if (!process.stdin.isTTY) {
    throw new CodedError('BAD_PASSPHRASE', 'expected a passphrase, found no terminal to ask at', {
      remedy: 'Name a file that holds it: --passphrase-file FILE, with mode 600.',
    });
  }
  const passphrase = await ask('Passphrase: ');
  if (!twice || (await ask('Once more: ')) === passphrase) return passphrase;
  throw new CodedError('BAD_PASSPHRASE', 'the two passphrases differ', { remedy: 'Try again.' });
}

async function fromFile(file: string): Promise<string> {
  try {
    const [line = ''] = (await readFile(file, 'utf8')).split(/\r?\n/);
    return line;
  } catch (cause) {
    throw new CodedError('BAD_PASSPHRASE', `${file} cannot be read`, {
      cause,
      remedy: 'Give a file whose first line is the passphrase.',
    });
  }
}

/** Without showing what is typed. */
function ask(question: string): Promise<string> {
  const { stdin, stderr } = process;
  // Before the question, lest a quick answer be shown.
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  stderr.write(question);
  return new Promise((resolve, reject) => {
    let typed = '';
    const done = (settle: () => void) => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const take = (characters: string) => {
      for (const character of characters) {
        switch (character) {
          case '\r':
          case '\n':
          case '\u0004':
            return done(() => resolve(typed));
          case '\u0003':
            return done(() => reject(new CodedError('BAD_PASSPHRASE', 'no passphrase was given')));
          case '\u007f':
          case '\b':
            typed = [...typed].slice(0, -1).join('');
            break;
          default:
            typed += character;
        }
      }
    };
    stdin.on('data', take);
  });
}
