// A fleet for one play: its own keys and broker on this machine, and whoever may sign releases in it.
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { makeFleet } from '../controller/fleet-files.ts';
import { STATE_FILES } from '../controller/settings.ts';
import { importPrivateKey } from '../crypto/ecdsa.ts';
import type { LoadedProfile } from '../profile/profile.ts';
import { signRoot } from '../release/root-keys.ts';
import { judgeRoot, readFleetFile } from '../release/root.ts';
import type { RootStatement } from '../release/types.ts';

/** Whose releases a fleet takes. */
export type Signers = Pick<RootStatement, 'publishers' | 'revoked'>;

export interface PrivateFleetPlan {
  /** A new folder. */
  readonly dir: string;
  readonly profile: LoadedProfile;
  /** The profile's exact bytes. */
  readonly profileBytes: Uint8Array;
  /** In the place of the fleet's own publisher, whose key is DIR/publisher/publisher.key.pem. */
  readonly signers: Signers | null;
  readonly ports: { readonly fleet: number; readonly enrol: number };
  readonly now: number;
}

/** The root statement again, with other signers. */
async function nameSigners(dir: string, signers: Signers): Promise<void> {
  const at = (place: string, name: string): string => join(dir, place, name);
  const fleet = readFleetFile(await readFile(at('controller', STATE_FILES.fleet)));
  const judged = judgeRoot(fleet, await readFile(at('controller', STATE_FILES.root)), 0);
  if (!judged.ok) throw new TypeError('the root statement that was just made is not to be trusted');
  const key = importPrivateKey(await readFile(join(dir, 'root', 'root-1.key.pem'), 'utf8'));
  const { publishers, revoked } = signers;
  const envelope = signRoot({ ...judged.root, version: judged.root.version + 1, publishers, revoked }, [key]);
  for (const place of ['controller', 'device']) {
    await writeFile(at(place, STATE_FILES.root), `${JSON.stringify(envelope, null, 2)}\n`);
  }
}

/** Writes DIR as `fleet init` does, for 127.0.0.1 and one root key. No process is started. */
export async function makePrivateFleet(plan: PrivateFleetPlan): Promise<void> {
  const { dir, profile, profileBytes, signers, ports, now } = plan;
  const { slots, id } = profile.profile;
  makeFleet({
    dir,
    modelIds: [...new Set(slots.flatMap((slot) => slot.modelIds))],
    brokerHost: '127.0.0.1',
    bind: '127.0.0.1',
    fleetPort: ports.fleet,
    enrolPort: ports.enrol,
    // Started by root, Mosquitto would become another user, who may not read this folder.
    brokerUser: userInfo().username,
    rootKeys: 1,
    threshold: 1,
    now,
  });
  if (signers !== null) await nameSigners(dir, signers);
  await writeFile(join(dir, 'controller', STATE_FILES.profiles, `${id}.json`), profileBytes);
  await writeFile(join(dir, 'device', 'profile.json'), profileBytes);
}
