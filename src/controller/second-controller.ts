// Makes the state directory of another controller of the same fleet: the same keys and rules, a name of its own at the broker.
import { chmodSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../errors.ts';
import { CONTROLLER_NAME, CONTROLLERS } from './broker-config.ts';
import { controllerClient } from './fleet-files.ts';
import { loadSettings, STATE_FILES } from './settings.ts';

/** What is the same for all controllers of a fleet. Releases are too big to be copied unasked. */
const SAME = [
  STATE_FILES.fleet,
  STATE_FILES.root,
  STATE_FILES.resultKey,
  STATE_FILES.operatorKey,
  STATE_FILES.challengeKey,
  STATE_FILES.authorityKey,
  STATE_FILES.authority,
  STATE_FILES.profiles,
  STATE_FILES.references,
  STATE_FILES.ekRoots,
  STATE_FILES.allowed,
] as const;

/**
 * Writes the state directory `out` of the controller `name` beside that of `stateDir`. Errors: ConfigError CONFIG_INVALID when their
 * registry would not be one and the same, ALREADY_THERE; whatever loadSettings says.
 */
export function makeSecondController(stateDir: string, out: string, name: string, now: number): void {
  const { file, authority } = loadSettings(stateDir, now);
  if (file.registry === undefined) {
    throw new ConfigError(
      'CONFIG_INVALID',
      `${join(stateDir, STATE_FILES.controller)} names no "registry": two controllers share a PostgreSQL database`,
    );
  }
  if (name === CONTROLLER_NAME || !CONTROLLERS.includes(name)) {
    throw new ConfigError('CONFIG_INVALID', `the broker's rules know no other controller ${name}`);
  }
  if (existsSync(out)) throw new ConfigError('ALREADY_THERE', `${out} is there already; nothing was written`);
  mkdirSync(join(out, dirname(STATE_FILES.tlsKey)), { recursive: true, mode: 0o700 });
  chmodSync(out, 0o700);
  for (const one of SAME) {
    if (existsSync(join(stateDir, one))) cpSync(join(stateDir, one), join(out, one), { recursive: true });
  }
  mkdirSync(join(out, STATE_FILES.releases), { mode: 0o700 });
  // The broker reads the list that the first one writes.
  const { brokerCrl: _theFirstOnes, ...shared } = file;
  writeFileSync(join(out, STATE_FILES.controller), `${JSON.stringify(shared, null, 2)}\n`);
  const { privateKey, certPem } = controllerClient(name, authority, now);
  writeFileSync(join(out, STATE_FILES.tlsCertificate), certPem);
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  writeFileSync(join(out, STATE_FILES.tlsKey), pem, { mode: 0o600 });
}
