// `npm run test:guest`: the product on a Linux guest with a TPM of its own. The last line says how many checks passed and failed.
import { mkdtemp, rm } from 'node:fs/promises';
import { Checks } from './checks.ts';
import { testFleetDevice } from './fleet-device.ts';
import { makeVouchedTpm } from './maker.ts';
import { testTpmDevice } from './tpm-device.ts';

const checks = new Checks();
const started = performance.now();
// Sockets lie in it: short.
const dir = await mkdtemp('/tmp/guest-');
try {
  const tpm = await makeVouchedTpm(dir);
  await testTpmDevice(checks, dir);
  await testFleetDevice(checks, dir, tpm);
} finally {
  await rm(dir, { recursive: true, force: true });
}
checks.note(`${((performance.now() - started) / 1000).toFixed(0)} s in all`);
process.stdout.write(`${checks.passed} passed, ${checks.failed} failed\n`);
process.exitCode = checks.failed === 0 ? 0 : 1;
