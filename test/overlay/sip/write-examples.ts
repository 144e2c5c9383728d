/** Writes src/overlay/sip/EXAMPLES.md anew: `node dist/test/overlay/sip/write-examples.js`, in the root of the sources. */
import { writeFile } from 'node:fs/promises';
import { examples } from './capture.js';

await writeFile('src/overlay/sip/EXAMPLES.md', examples());
