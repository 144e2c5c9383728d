/** Child process of file-store.test.ts: writes whole records again and again until it is killed. */
import { FileStore } from '../../src/storage/file-store.js';

const [directory = '', octets = '0'] = process.argv.slice(2);
const store = await FileStore.open({
  directory,
  onDamage: problem => {
    throw problem;
  },
});
for (let turn = ((await store.get<{ turn: number }>('held/record'))?.turn ?? 0) + 1; ; turn++) {
  await store.set('held/record', { turn, filling: String(turn % 10).repeat(Number(octets)) });
  process.stdout.write(`${turn}\n`);
}
