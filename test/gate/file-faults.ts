// Releases whose files are not those that were signed: changed, missing, too many, or no plain files.
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/bytes/text.ts';
import { manifestDigest } from '../../src/release/manifest.ts';
import { edited, one, parsed, planned } from './bad-release.ts';
import type { BadRelease } from './bad-release.ts';
import { profile } from './device.ts';

const model = (folder: string, path: string): string => join(folder, 'model', path);

export const FILE_FAULTS: readonly BadRelease[] = [
  {
    name: 'with one byte changed',
    ...one('files', 'release-file-changed'),
    alsoManifest: true,
    make: edited((folder) => {
      writeFileSync(model(folder, 'classifier.onnx'), 'weights of version 2');
    }),
  },
  {
    name: 'with the labels of another camera',
    ...one('files', 'release-file-changed'),
    alsoManifest: true,
    make: edited((folder) => {
      writeFileSync(model(folder, 'labels/en.txt'), 'hangar\napron\nvehicle\n');
    }),
  },
  {
    name: 'with one byte changed in a shard',
    ...one('files', 'release-file-changed'),
    alsoManifest: true,
    make: edited(
      (folder) => {
        writeFileSync(model(folder, 'classifier.onnx'), 'weights of version 2');
      },
      { method: 'shards', shardBytes: 7 },
    ),
  },
  {
    name: 'with a file cut short, in shards',
    ...one('files', 'release-file-changed'),
    alsoManifest: true,
    make: edited(
      (folder) => {
        writeFileSync(model(folder, 'classifier.onnx'), 'weights');
      },
      { method: 'shards', shardBytes: 7 },
    ),
  },
  {
    name: 'with a file missing',
    ...one('files', 'release-file-missing'),
    alsoManifest: true,
    make: edited((folder) => {
      rmSync(model(folder, 'labels/en.txt'));
    }),
  },
  {
    name: 'with a file too many',
    ...one('files', 'release-file-surplus'),
    make: edited((folder) => {
      writeFileSync(model(folder, 'custom_op.so'), 'code');
    }),
  },
  {
    name: 'with an empty file too many',
    ...one('files', 'release-file-surplus'),
    make: edited((folder) => {
      writeFileSync(model(folder, '__init__.py'), '');
    }),
  },
  {
    name: 'in shards, with an empty file too many',
    // A statement of shards cannot name an empty file: only the manifest sees it.
    ...one('manifest', 'release-manifest'),
    make: edited(
      (folder) => {
        writeFileSync(model(folder, '__init__.py'), '');
      },
      { method: 'shards' },
    ),
  },
  {
    name: 'whose passport names another manifest',
    ...one('manifest', 'release-manifest'),
    make: planned({ passport: { manifestDigest: toHex(manifestDigest([])) } }),
  },
  {
    name: 'with a folder renamed',
    rules: ['release-file-missing', 'release-file-surplus'],
    check: null,
    make: edited((folder) => {
      renameSync(model(folder, 'labels'), model(folder, 'words'));
    }),
  },
  {
    name: 'with a symbolic link too many',
    ...one('files', 'release-file-kind'),
    make: edited((folder) => {
      symlinkSync('/etc/passwd', model(folder, 'passwd'));
    }),
  },
  {
    name: 'with a symbolic link in place of a file',
    ...parsed('release-file-kind'),
    make: edited((folder) => {
      rmSync(model(folder, 'labels/en.txt'));
      symlinkSync('../MODEL_CARD.md', model(folder, 'labels/en.txt'));
    }),
  },
  {
    name: 'with a symbolic link in place of a folder',
    ...parsed('release-file-kind'),
    make: edited((folder) => {
      renameSync(model(folder, 'labels'), join(folder, 'elsewhere'));
      symlinkSync('../elsewhere', model(folder, 'labels'));
    }),
  },
  {
    name: 'whose model folder is a symbolic link',
    ...parsed('release-file-kind'),
    make: edited((folder) => {
      renameSync(join(folder, 'model'), join(folder, 'elsewhere'));
      symlinkSync('elsewhere', join(folder, 'model'));
    }),
  },
  {
    name: 'whose model folder is a file',
    ...parsed('release-file-kind'),
    make: edited((folder) => {
      rmSync(join(folder, 'model'), { recursive: true });
      writeFileSync(join(folder, 'model'), 'x');
    }),
  },
  {
    name: 'without its model folder',
    ...parsed('release-file-missing'),
    make: edited((folder) => {
      rmSync(join(folder, 'model'), { recursive: true });
    }),
  },
  {
    name: 'with an empty model folder',
    ...parsed('release-file-missing'),
    make: edited((folder) => {
      rmSync(join(folder, 'model'), { recursive: true });
      mkdirSync(join(folder, 'model'));
    }),
  },
  {
    name: 'with a script, where the profile lists formats',
    ...parsed('release-format'),
    make: planned({ files: { 'setup.py': 'import os', 'MODEL_CARD.md': '#' } }),
    device: { profile: { ...profile, formats: ['onnx'] } },
  },
  {
    name: 'with a network that is none, where the profile lists formats',
    ...parsed('release-format-header'),
    make: planned({}),
    device: { profile: { ...profile, formats: ['onnx'] } },
  },
];
