// The rooms of the house, lowest floor first: a room imports only from rooms above it in this list.
const floors = [
  'core',
  'sip-parser',
  'slp',
  'storage',
  'native',
  'sip',
  'media',
  'identity',
  'discovery',
  'overlay',
  'calling',
  'conference',
  'services',
  'hal',
  'phone',
  'panel',
  'runtime',
  'simulation',
  'cli',
];

// These packages are used on their own too, so they lean on nothing else in the house.
const standalone = ['sip-parser', 'slp'];

const roomRules = floors.map((room, floor) => {
  const allowed = standalone.includes(room) ? [room] : floors.slice(0, floor + 1);
  return {
    name: `${room}-stays-on-its-floor`,
    severity: 'error',
    comment: `src/${room} may import only from: ${allowed.join(', ')}`,
    from: { path: `^src/${room}/` },
    to: { path: '^src/', pathNot: `^src/(${allowed.join('|')})/` },
  };
});

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: 'every-room-is-on-the-list',
      severity: 'error',
      comment: 'A folder under src/ needs its place in the floors above.',
      from: { path: '^src/', pathNot: `^src/(${floors.join('|')})/` },
      to: {},
    },
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'src-knows-no-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^test/' },
    },
    {
      name: 'no-dev-packages-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      comment: 'The other parsers are installed only for the benchmark.',
      from: { pathNot: '^test/bench/parser/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'default'],
    },
  },
};
