// A state directory with a slot and a release in it, and the release as its publisher would have signed it.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SlotProfile } from '../../src/profile/profile.ts';
import { manifestDigest } from '../../src/release/manifest.ts';
import type { SignedRelease } from '../../src/release/open.ts';

export const RELEASE: string = 'ab'.repeat(32);

export const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest();

/** Files by relative path. */
export type Files = Readonly<Record<string, string>>;

export function writeFiles(folder: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

export function slotProfile(configs: SlotProfile['configs'] = []): SlotProfile {
  return {
    name: 'main',
    role: 'main',
    modelIds: ['m'],
    configs,
    required: true,
    onFailure: 'stop',
    onLeaseExpired: 'continue',
  };
}

/** What measuring needs to know of a signed release. */
export function signedRelease(files: Files): SignedRelease {
  const entries = Object.entries(files).map(([path, text]) => ({ path, size: text.length, sha256: sha256(text) }));
  const release = {
    id: RELEASE,
    passport: { manifestDigest: manifestDigest(entries).toString('hex') },
    statement: { files: entries.map(({ path }) => ({ path })) },
    entries,
    signedBy: 'publisher',
  };
  return release as unknown as SignedRelease;
}

export class SlotFolder {
  readonly stateDir: string = mkdtempSync(join(tmpdir(), 'slots-'));
  readonly link: string = join(this.stateDir, 'slots', 'main');

  constructor() {
    mkdirSync(join(this.stateDir, 'slots'));
    mkdirSync(join(this.stateDir, 'releases'));
  }

  modelOf(id: string = RELEASE): string {
    return join(this.stateDir, 'releases', id, 'model');
  }

  /** Puts a release in place and points the slot to it. */
  install(files: Files, id: string = RELEASE): void {
    mkdirSync(this.modelOf(id), { recursive: true });
    writeFiles(this.modelOf(id), files);
    rmSync(this.link, { force: true });
    symlinkSync(`../releases/${id}`, this.link);
  }

  [Symbol.dispose](): void {
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}
