// Releases that a publisher signed, but not for this slot of this device now, or in words that no device takes.
import type { Profile } from '../../src/profile/profile.ts';
import { DAY, handStatement, NOW, signAgain, trustOf } from '../release/publisher.ts';
import { one, parsed, planned, spoken } from './bad-release.ts';
import type { BadRelease } from './bad-release.ts';
import { profile } from './device.ts';

export const ESCAPES: readonly BadRelease[] = [
  '../evil',
  '/etc/passwd',
  'a//b',
  './a',
  'a/./b',
  'a\u0000b',
  'a\nb',
].map((name) => ({
  name: `with a file called ${JSON.stringify(name)}`,
  ...parsed('release-path'),
  make: spoken(() => handStatement({ resources: [{ name, digest: 'ab'.repeat(32), algorithm: 'sha256' }] })),
}));

const PLANNED: Profile = {
  ...profile,
  slots: profile.slots.map((slot) => ({ ...slot, plannedChanges: ['PCCP-1', 'PCCP-2'] })),
};

export const UNFIT: readonly BadRelease[] = [
  {
    name: 'that was withdrawn by the one that runs',
    ...one('admission', 'release-withdrawn'),
    make: planned({}),
    running: (id) => ({ withdraws: [id] }),
  },
  {
    name: 'of another model',
    ...one('admission', 'release-model-id'),
    make: planned({ passport: { modelId: 'sign-reader' } }),
  },
  {
    name: 'for another role',
    ...one('admission', 'release-slot-role'),
    make: planned({ passport: { slotRole: 'reading' } }),
  },
  {
    name: 'of the other slot: two releases swapped',
    rules: ['release-model-id', 'release-slot-role'],
    check: null,
    make: planned({ passport: { modelId: 'sign-reader', slotRole: 'reading' } }),
  },
  {
    name: 'for other hardware',
    ...one('admission', 'release-hardware-class'),
    make: planned({ passport: { hardwareClass: ['edge-arm64', 'server'] } }),
  },
  {
    name: 'that is a change nobody planned',
    ...one('admission', 'release-planned-change'),
    make: planned({ passport: { pccpChangeId: 'PCCP-9' } }),
    device: { profile: PLANNED },
    running: () => ({ pccpChangeId: 'PCCP-1' }),
  },
  {
    name: 'that names no planned change where one must be',
    ...one('admission', 'release-planned-change'),
    make: planned({}),
    device: { profile: PLANNED },
    running: () => ({ pccpChangeId: 'PCCP-1' }),
  },
  {
    name: 'for a newer agent',
    ...one('admission', 'release-agent'),
    make: planned({ passport: { minimumAgent: '0.2.0' } }),
  },
  {
    name: 'for an agent whose version is no version',
    ...one('admission', 'release-agent'),
    make: planned({ passport: { minimumAgent: 'latest' } }),
  },
  {
    name: 'older than the one that runs',
    ...one('admission', 'release-older'),
    make: planned({ passport: { securityVersion: 1 } }),
  },
  {
    name: 'that is not yet valid',
    ...one('admission', 'release-not-yet-valid'),
    make: planned({ passport: { notBefore: NOW + 1 } }),
  },
  {
    name: 'that has expired',
    ...one('admission', 'release-expired'),
    make: planned({ passport: { notAfter: NOW - 1 } }),
  },
  {
    name: 'with dates that no calendar has',
    rules: ['release-not-yet-valid'],
    check: null,
    make: planned({ passport: { notBefore: Number.MAX_SAFE_INTEGER } }),
  },
  {
    name: 'under a root statement that has expired',
    ...one('admission', 'root-expired'),
    make: planned({}),
    device: { trust: trustOf({ expires: NOW - DAY }) },
  },
  {
    name: 'whose signer left out a folder',
    ...one('admission', 'release-ignore-paths'),
    make: async (folder, pool) => {
      const made = await planned({})(folder, pool);
      return signAgain(made, handStatement({ serialization: { ignore_paths: ['./.git', 'model.sig', 'code/'] } }));
    },
  },
  {
    name: 'whose signer left out many folders',
    rules: ['release-ignore-paths'],
    check: null,
    make: spoken(() => handStatement({ serialization: { ignore_paths: ['a', 'b', 'c', 'd', 'e', 'f'] } })),
  },
  {
    name: 'whose signer allows symbolic links',
    ...one('admission', 'release-file-kind'),
    make: spoken(() => handStatement({ serialization: { allow_symlinks: true } })),
  },
  {
    name: 'that is not the one that the command named',
    ...one('admission', 'release-id'),
    make: async (folder, pool) => ({ ...(await planned({})(folder, pool)), id: 'ef'.repeat(32) }),
  },
];
