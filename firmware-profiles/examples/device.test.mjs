// How your own tests ask a whole device: node --test device.test.mjs. With vitest, only the second import is another one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { enrolledDevice, holdsRelease, isAsSigned, rulesOf } from 'touchstone/testing';

/** @type {import('touchstone/testing').EnrolledDevice} */
let device;
let release;

// A software TPM, a broker, a controller and an agent, each a real process: some seconds, so once for the whole file.
before(async () => {
  device = await enrolledDevice();
});
after(async () => {
  await device[Symbol.asyncDispose]();
});

test('a signed release is installed and proven', async () => {
  // `model` may also be the path of your model's folder.
  release = await device.release({ model: { 'labels.txt': 'person\n' }, version: '1.0.0', securityVersion: 2 });
  const { end } = await device.install(release);
  assert.equal(end, 'attested');
  assert.equal((await device.status()).use, 'ready');
});

test('an older release is refused, by its rule', async () => {
  const older = await device.release({ version: '0.9.0', securityVersion: 1 });
  const { end, rule } = await device.install(older);
  assert.deepEqual({ end, rule }, { end: 'refused', rule: 'release-older' });
});

test('a release that lost its signature on the way is refused', async () => {
  const next = await device.release({ version: '1.1.0', securityVersion: 2 });
  await device.install(next);
  const stripped = await device.release({ version: '1.2.0', securityVersion: 2 });
  await rm(join(stripped.folder, 'model.sig'));
  assert.equal((await device.install(stripped)).rule, 'release-unsigned');
  release = next;
});

test('a device that loses its power comes back as it was', async () => {
  await device.cutPower();
  await device.powerOn();
  const back = await device.attest((one) => isAsSigned(one) && holdsRelease(one, 'detector', release.id));
  assert.deepEqual(rulesOf(back), ['tier-software']);
});

test('one changed bit is found, and the model may not be loaded any more', async () => {
  const tampered = await device.tamper();
  const found = await device.attest((one) => one.verdict?.status === 'contraindicated');
  assert.ok(rulesOf(found).includes('model-bytes'));
  assert.equal((await device.status()).use, 'stopped');
  await tampered.restore();
});
