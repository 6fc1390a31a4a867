// `npm run test:guest`: the product on a Linux guest with a TPM of its own. The last line says how many checks passed and failed.
import { mkdtemp, rm } from 'node:fs/promises';
import { makeSoftwareTpmState } from '../support/software-tpm-setup.ts';
import { Checks } from './checks.ts';
import { testTpmDevice } from './tpm-device.ts';

const checks = new Checks();
const started = performance.now();
// Sockets lie in it: short.
const dir = await mkdtemp('/tmp/guest-');
try {
  await makeSoftwareTpmState(dir, {});
  await testTpmDevice(checks, dir);
} finally {
  await rm(dir, { recursive: true, force: true });
}
checks.note(`${((performance.now() - started) / 1000).toFixed(0)} s in all`);
process.stdout.write(`${checks.passed} passed, ${checks.failed} failed\n`);
process.exitCode = checks.failed === 0 ? 0 : 1;
