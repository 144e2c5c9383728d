import { test } from 'tap';
import { partOfSlot, slotOf, slotsBeyond } from '../../../src/overlay/ring/fingers.js';
import {
  between,
  distance,
  idAfter,
  idOf,
  ownerAmong,
  RING_SIZE,
  within,
} from '../../../src/overlay/ring/ids.js';
import { successorListLength } from '../../../src/overlay/ring/routing.js';

const id = (head: string) => head.padEnd(40, '0');

test('intervals of the ring go round its end', async t => {
  t.ok(within(id('5'), id('4'), id('5')), 'the end belongs to it');
  t.notOk(within(id('4'), id('4'), id('5')), 'the start does not');
  t.ok(within(id('1'), id('e'), id('2')), 'over zero');
  t.ok(within(id('f'), id('e'), id('2')));
  t.notOk(within(id('3'), id('e'), id('2')));
  t.ok(within(id('7'), id('7'), id('7')), 'a ring of one owns its own place too');
  t.ok(between(id('1'), id('7'), id('7')), 'and all others are between it and itself');
  t.notOk(between(id('7'), id('7'), id('7')));
  t.notOk(between(id('5'), id('4'), id('5')));
});

test('distances go clockwise, and lead back to where they were measured', async t => {
  t.equal(distance(id('f'), id('1')), RING_SIZE / 8);
  t.equal(distance(id('1'), id('f')), RING_SIZE - RING_SIZE / 8);
  const from = idOf('somebody');
  t.equal(distance(from, idAfter(from, 12345)), 12345);
  t.equal(idAfter(from, 0), from);
  t.equal(idAfter(from, RING_SIZE - 1).length, 40);
});

test('a key is owned by the first member at or after it, round the end', async t => {
  const members = ['2', '8', 'c'].map(head => ({ id: id(head) }));
  t.equal(ownerAmong(members, id('3'))?.id, id('8'));
  t.equal(ownerAmong(members, id('8'))?.id, id('8'));
  t.equal(ownerAmong(members, id('d'))?.id, id('2'));
  t.equal(ownerAmong([], id('d')), undefined);
});

test('each place of the ring is in the part of exactly one finger', async t => {
  const self = idOf('self');
  for (const base of ['base16', 'binary'] as const) {
    const slots = slotsBeyond(RING_SIZE / 2 ** 20, base);
    t.ok(slots.length > 0);
    for (let i = 0; i < 500; i++) {
      const ahead = Math.floor(RING_SIZE * ((i + 0.5) / 500) ** 3 + RING_SIZE / 2 ** 16);
      if (ahead >= RING_SIZE) continue;
      const slot = slotOf(self, idAfter(self, ahead), base);
      const { start, size } = partOfSlot(slot ?? 0, base);
      const right = slots.includes(slot ?? 0) && ahead >= start && ahead < start + size;
      if (!right) t.fail(`${base}: finger ${slot} for ${ahead}`);
    }
  }
  t.equal(slotOf(self, self, 'binary'), undefined);
});

test('successor lists are of 8 at least, and of 2·log2 N', async t => {
  t.equal(successorListLength(1), 8);
  t.equal(successorListLength(16), 8);
  t.equal(successorListLength(1024), 20);
  t.equal(successorListLength(10_000), 27);
});
