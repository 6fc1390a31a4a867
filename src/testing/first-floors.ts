// Gives a device its version floors before it joins, as its factory does: the one token of its life, made for this TPM.
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FLOOR_FIRST_TOKEN_FILE, FLOOR_REQUEST_FILE } from '../agent/floor-keeper.ts';
import { fromHex } from '../bytes/text.ts';
import { STATE_FILES } from '../controller/settings.ts';
import { importPrivateKey } from '../crypto/ecdsa.ts';
import { floorDefinitionOf } from '../release/floor-definition.ts';
import { loadTrust } from '../release/root.ts';
import type { FloorDefinition } from '../tpm/floor/definition.ts';
import { encodeFloorToken } from '../tpm/floor/token-file.ts';
import { floorToken } from '../tpm/floor/token.ts';
import type { FloorOrder, FloorToken } from '../tpm/floor/token.ts';
import type { Sandbox } from './sandbox.ts';
import type { Stage } from './stage.ts';

/** What the values of the TPM's hierarchies are kept in: all that a device keeps from before its first use. */
const AUTH_FILE = 'tpm-auth.json';
const KEY_FILES = { floor: 'floor.key.pem', root: 'floor-recovery.key.pem' } as const;

/** The holder of both floor keys of the fleet on this stage. */
export interface FloorSigner {
  readonly definition: FloorDefinition;
  sign(by: FloorToken['by'], order: FloorOrder): Promise<Buffer>;
}

/** Errors: TypeError when the stage's fleet has no floor keys, as every new one has. */
export async function floorSigner(stage: Stage, now: number): Promise<FloorSigner> {
  const at = async (...parts: string[]): Promise<Buffer> => readFile(stage.path('fleet', ...parts));
  const { root } = loadTrust(await at('device', STATE_FILES.fleet), await at('device', STATE_FILES.root), now, 0);
  const definition = floorDefinitionOf(root);
  if (definition === null) throw new TypeError('the fleet that was made has no floor key');
  return {
    definition,
    sign: async (by, order) => {
      const privateKey = importPrivateKey((await at('root', KEY_FILES[by])).toString());
      return encodeFloorToken(floorToken(definition, order, { by, privateKey }));
    },
  };
}

/** `values`: the eight floors. The device is off afterwards, has never been used, and takes the token at its next start. */
export async function giveFirstFloors(sandbox: Sandbox, values: readonly bigint[], now: number): Promise<void> {
  const at = (name: string): string => join(sandbox.deviceState, name);
  await sandbox.powerOn();
  await sandbox.cutPower();
  const { akName, generation } = JSON.parse(await readFile(at(FLOOR_REQUEST_FILE), 'utf8')) as Record<string, string>;
  const token = await (
    await floorSigner(sandbox.stage, now)
  ).sign('root', {
    kind: 'first-write',
    values,
    generation: BigInt(generation ?? ''),
    akName: Buffer.from(fromHex(akName ?? '')),
  });
  for (const name of await readdir(sandbox.deviceState)) {
    if (name !== AUTH_FILE) await rm(at(name), { recursive: true });
  }
  await writeFile(at(FLOOR_FIRST_TOKEN_FILE), token);
}
